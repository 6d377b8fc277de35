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

echo "== build the examples, and let one control a tiny policy"
cmake -S "$CALOR_SOURCE_DIR/examples" -B "$work/examples" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/examples.log"
cmake --build "$work/examples"
cd "$work"
"$work/prefix/bin/calor" data record two-ways.npz --episodes 4 --quiet
"$work/prefix/bin/calor" train lfm-two-ways two-ways.npz train.steps=2 train.batch=8 train.warmup=1 chunk.widths=[8,16] \
  chunk.embedding=8 chunk.groups=4 push.rtol=0.1 push.atol=0.1 --run policy --quiet
"$work/examples/control_loop" policy 60000 | tee loop.txt
grep -q "evaluations a decision" loop.txt
grep -q "after" loop.txt
