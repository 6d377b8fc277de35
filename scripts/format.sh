#!/usr/bin/env bash
# Formats every C++ file with clang-format; with --check, changes nothing and fails where a file is not formatted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Versions differ in what they make of one .clang-format, so the one that the project uses comes first.
tool=$(command -v clang-format-14 || command -v clang-format || true)
if [[ -z $tool ]]; then
  echo "format: expected clang-format 14; found none; run scripts/setup.sh --developer" >&2
  exit 1
fi
mapfile -t files < <(find calor app tests bench cmake examples -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' 2>/dev/null | sort)
if [[ ${1:-} == --check ]]; then
  "$tool" --dry-run --Werror "${files[@]}"
  echo "${#files[@]} files are formatted"
else
  "$tool" -i "${files[@]}"
  echo "formatted ${#files[@]} files"
fi
