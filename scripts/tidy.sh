#!/usr/bin/env bash
# Runs clang-tidy with the rules of .clang-tidy: scripts/tidy.sh [FILE...], by default on every source.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tool=$(command -v clang-tidy-14 || command -v clang-tidy || true)
if [[ -z $tool ]]; then
  echo "tidy: expected clang-tidy 14; found none; run scripts/setup.sh --developer" >&2
  exit 1
fi

# A configuration of its own, never built: clang reads neither GCC's precompiled headers nor all of its flags.
cmake --preset release -B build/tidy -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DCALOR_CCACHE=OFF >/dev/null
ninja -C build/tidy generated/presets.cpp >/dev/null

if [[ $# -gt 0 ]]; then files=("$@"); else mapfile -t files < <(find calor app tests bench -name '*.cpp' | sort); fi
printf '%s\n' "${files[@]}" | grep -v '^tests/install/' | xargs -P "$(scripts/jobs.sh)" -n 1 \
  "$tool" -p build/tidy --quiet --warnings-as-errors='*' \
  --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-ignored-optimization-argument --extra-arg=-fno-openmp
echo "${#files[@]} files are tidy"
