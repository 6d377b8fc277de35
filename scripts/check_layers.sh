#!/usr/bin/env bash
# Checks that each folder of calor/, and app/, includes only from itself and from the folders above it in
# scripts/layers.txt, and that public headers stay light: ATen/core/Tensor.h and single headers, never all of LibTorch.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

find calor app -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' | sort | xargs awk '
  BEGIN {
    while ((getline line < "scripts/layers.txt") > 0)
      if (line !~ /^#/ && line != "") rank[line] = ++layers
  }
  function complain(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; bad++ }
  function folder_of(path,  parts) { split(path, parts, "/"); return parts[1] == "app" ? "app" : parts[2] }
  FNR == 1 {
    files++
    own = folder_of(FILENAME)
    if (!(own in rank)) complain("folder " own " is not in scripts/layers.txt")
  }
  /^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    if (quoted[2] ~ /^app\//) { if (own != "app") complain("calor/ includes " quoted[2]); next }
    if (quoted[2] !~ /^calor\//) { complain("write \"calor/...\" or \"app/...\" in full, not \"" quoted[2] "\""); next }
    other = folder_of(quoted[2])
    if (!(other in rank)) complain("includes from " other ", which is not in scripts/layers.txt")
    else if (rank[other] > rank[own]) complain(own " includes " quoted[2] ", but " other " comes after " own)
  }
  FILENAME ~ /\.h$/ && /^[ \t]*#[ \t]*include[ \t]*<(torch\/|ATen\/ATen\.h|ATen\/Functions\.h)/ {
    complain("a header includes all of LibTorch; include <ATen/core/Tensor.h> here and the rest in the .cpp")
  }
  END {
    if (bad) { printf "%d violation(s)\n", bad; exit 1 }
    printf "%d files in %d folders: every include points upwards\n", files, layers
  }'
