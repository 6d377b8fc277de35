#!/usr/bin/env bash
# Installs Calor into a fresh prefix, runs the installed program from there, and builds a project that uses the library
# through find_package(calor).
# ctest: slow
set -euo pipefail

: "${CALOR_BUILD_DIR:?the build folder, set by ctest}" "${CALOR_SOURCE_DIR:?the checkout, set by ctest}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== install into $work/prefix"
cmake --install "$CALOR_BUILD_DIR" --prefix "$work/prefix" >"$work/install.log"
"$work/prefix/bin/calor" --help >"$work/help.txt"
grep -q train "$work/help.txt"

echo "== build the consumer"
cmake -S "$CALOR_SOURCE_DIR/tests/install/consumer" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix"
cmake --build "$work/build"

echo "== run the consumer"
"$work/build/consumer"
