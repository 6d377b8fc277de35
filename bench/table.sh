#!/usr/bin/env bash
# Every comparison with plain PyTorch on this machine in one table, as Markdown on standard output: the median of the
# rounds' ratios (PyTorch over ours: above 1 is faster) and their range. Ours and theirs run in turn, one after another.
# Makes a private Python environment in build/peers with what the peers need besides the LibTorch that is there.
#
#     bench/table.sh [ROUNDS] [PATTERN]        PATTERN: only rows whose name matches (an extended regular expression)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=${1:-5}
pattern=${2:-.}
export OMP_WAIT_POLICY=passive

python=${PYTHON:-}
if [[ -z $python ]]; then
  python=build/peers/bin/python
  if [[ ! -x $python ]]; then
    python3 -m venv build/peers
    ls -d "$PWD"/.venv/lib/python3.*/site-packages >"$(ls -d build/peers/lib/python3.*/site-packages)/torch.pth"
  fi
  # What torch.compile imports is not there, where only LibTorch was wanted.
  "$python" -c 'import numpy, sympy, jinja2, networkx, filelock, fsspec, typing_extensions' 2>/dev/null ||
    build/peers/bin/pip install --quiet numpy sympy jinja2 networkx filelock fsspec typing_extensions setuptools
fi

# The number behind the word $1 in the output of the rest.
value() {
  local word=$1
  shift
  "$@" | awk -v word="$word" '$1 == word && (best == "" || $2 < best) {best = $2} END {print best}'
}

# row NAME GOAL OUR_WORD THEIR_WORD OURS... -- THEIRS...
row() {
  local name=$1 goal=$2 our_word=$3 their_word=$4 ours=() theirs=()
  shift 4
  while [[ $1 != -- ]]; do
    ours+=("$1")
    shift
  done
  shift
  theirs=("$@")
  [[ $name =~ $pattern ]] || return 0
  for ((round = 1; round <= rounds; ++round)); do
    local a b
    a=$(value "$our_word" "${ours[@]}")
    b=$(value "$their_word" "${theirs[@]}")
    printf '%s, round %d: ours %s s, PyTorch %s s\n' "$name" "$round" "$a" "$b" >&2
    awk -v a="$a" -v b="$b" 'BEGIN {printf "%.4f %.6f %.6f\n", b / a, a, b}'
  done | sort -n | awk -v name="$name" -v goal="$goal" '{v[NR] = $1} END {
    m = v[int((NR + 1) / 2)]
    printf "| %s | %.2f (%.2f to %.2f, %d) | %s |\n", name, m, v[1], v[NR], NR, goal == "-" ? "-" : goal (m >= goal ? "" : ": missed")}'
}

# The same numbers come out of both before any time is taken.
check=$(mktemp --suffix=.npz)
trap 'rm -f "$check"' EXIT
for side in 32 64 256; do
  build/bench/blur --side "$side" --batch 4 --check "$check"
  "$python" bench/peers/blur.py --check "$check" >&2
done
for case in POWER MINIBOONE; do
  build/bench/mlp_step --case "$case" --check "$check" >&2
  "$python" bench/peers/lfm_mlp.py --case "$case" --check "$check" >&2
done

for size in small cifar; do
  build/bench/unet_step --size "$size" --check "$check"
  "$python" bench/peers/unet_step.py --size "$size" --check "$check" >&2
done

# bf16 is compared where the processor has it.
precisions=(fp32)
grep -qE 'avx512_bf16|amx_bf16' /proc/cpuinfo && precisions+=(bf16)

# torch.compile wants a C++ compiler and Python's headers.
compiles=
if "$python" -c 'import torch; torch.compile(lambda x: x.sin() + 1)(torch.ones(8))' 2>/dev/null; then
  compiles=yes
else
  echo "torch.compile does not work with this Python (its headers are in python3-dev): no rows for it" >&2
fi

echo "| work | PyTorch / Calor, median (range, rounds) | goal |"
echo "|---|---|---|"
for precision in "${precisions[@]}"; do
  row "image transformer, training step, $precision (P1)" 1.3 step step \
    build/bench/train_step --precision "$precision" --steps 2 -- "$python" bench/peers/jit_step.py --precision "$precision" --steps 2
  if [[ -n $compiles ]]; then
    row "image transformer, training step, $precision, against torch.compile (P1)" 1.05 step step \
      build/bench/train_step --precision "$precision" --steps 2 -- \
      "$python" bench/peers/jit_step.py --precision "$precision" --steps 2 --compile
  fi
  row "image transformer, guided evaluation, $precision (P2)" 2 evaluation evaluation \
    build/bench/sampling --precision "$precision" -- "$python" bench/peers/jit_step.py --precision "$precision" --sample 16
done
for precision in "${precisions[@]}"; do
  for size in small cifar; do
    row "U-Net, $size, training step, $precision" - step step \
      build/bench/unet_step --size "$size" --precision "$precision" -- \
      "$python" bench/peers/unet_step.py --size "$size" --precision "$precision"
  done
done
declare -A blur_goal=([32]=6 [64]=4 [256]=1.5)
declare -A blur_batch=([32]=64 [64]=32 [256]=4)
for side in 32 64 256; do
  row "heat blur, $side px (P5)" "${blur_goal[$side]}" separable fft \
    build/bench/blur --side "$side" --batch "${blur_batch[$side]}" -- "$python" bench/peers/blur.py --side "$side" --batch "${blur_batch[$side]}"
done
as_words() { "$@" | sed -n 's/.*"seconds": *\([0-9.e-]*\).*/seconds \1/p'; }
for case in POWER GAS MINIBOONE BSDS300; do
  row "perceptron of $case, training step (P3)" 2 seconds seconds \
    as_words build/bench/mlp_step --case "$case" --work train --repeats 3 -- \
    as_words "$python" bench/peers/lfm_mlp.py --case "$case" --work train --repeats 3
done
