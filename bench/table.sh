#!/usr/bin/env bash
# Every comparison with plain PyTorch on this machine in one table, as Markdown on standard output: the fastest of all
# rounds of each, the median of the rounds' ratios (PyTorch over ours: above 1 is faster) with their range, the goal, and
# which share of our time the work's matrix products and convolutions take alone. Ours and theirs run in turn.
# Makes a private Python environment in build/peers with what the peers need besides the LibTorch that is there.
#
#     bench/table.sh [ROUNDS] [PATTERN]        PATTERN: only rows whose name matches (an extended regular expression)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=${1:-5}
pattern=${2:-.}
[[ x =~ $pattern ]] || (($? == 1)) || { echo "not a regular expression: $pattern" >&2; exit 2; }
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

# The least of the numbers behind the word $1, from standard input; "-" without any.
least() { awk -v word="$1" '$1 == word && (best == "" || $2 < best) {best = $2} END {print best == "" ? "-" : best}'; }

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
    local said a b products
    said=$("${ours[@]}")
    a=$(least "$our_word" <<<"$said")
    products=$(least products <<<"$said")
    b=$("${theirs[@]}" | least "$their_word")
    [[ $a != - && $b != - ]] || { echo "$name: a program said no number" >&2; return 1; }
    printf '%s, round %d: ours %s, PyTorch %s, products alone %s\n' "$name" "$round" "$a" "$b" "$products" >&2
    awk -v a="$a" -v b="$b" 'BEGIN {printf "%.4f ", b / a}'
    echo "$a $b $products"
  done | sort -n | awk -v name="$name" -v goal="$goal" '
    {v[NR] = $1; if (NR == 1 || $2 < a) a = $2; if (NR == 1 || $3 < b) b = $3; if (NR == 1 || $4 < p) p = $4}
    END {
      m = v[int((NR + 1) / 2)]
      printf "| %s | %.3g | %.3g | %.2f (%.2f to %.2f, %d) | %s | %s |\n", name, a, b, m, v[1], v[NR], NR,
        goal == "-" ? "-" : goal (m >= goal ? "" : ": missed"), p == "-" ? "-" : sprintf("%.0f %%", 100 * p / a)}'
}

# Lines of JSON with "seconds" and "products_alone" as the words that row reads.
as_words() { "$@" | sed -n 's/.*"seconds": *\([0-9.e-]*\).*/&\nseconds \1/; s/^{.*"products_alone": *\([0-9.e-]*\)[^\n]*/products \1/; p'; }
# once_a_round NAME COMMAND...: what it says; several rows read the same.
once_a_round() {
  local said=$scratch/$1-$round
  [[ -f $said ]] || "${@:2}" >"$said"
  cat "$said"
}
# Our decisions' medians: "decision-of-1 SECONDS"; the peer's network and chain alike.
decisions() {
  once_a_round decisions build/bench/policy_latency --precision auto |
    awk '$1 == "nfe" {print "decision-of-" $2, $3 / 1000}'
}
diffusion() {
  once_a_round diffusion "$python" bench/peers/policy_latency.py --decisions 3 | awk '{print $1, $NF / 1000}'
}

# The same numbers come out of both, in fp32, before any time is taken: of blurs, perceptrons, U-Nets and the policy. Of the
# image transformer and the pushes only the sizes are the same.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
check=$scratch/check.npz
for side in 32 64 256; do
  build/bench/blur --side "$side" --batch 4 --check "$check"
  "$python" bench/peers/blur.py --check "$check" >&2
done
for case in POWER GAS MINIBOONE BSDS300; do
  build/bench/mlp_step --case "$case" --check "$check" >&2
  "$python" bench/peers/lfm_mlp.py --case "$case" --check "$check" >&2
done
for size in small cifar; do
  build/bench/unet_step --size "$size" --check "$check"
  "$python" bench/peers/unet_step.py --size "$size" --check "$check" >&2
done
build/bench/policy_latency --precision fp32 --weights "$check" >&2
"$python" bench/peers/policy_latency.py --check "$check" >&2

# bf16 is compared where the processor has it. Where the library of LibTorch's fp32 products runs at half speed, more can
# be won than where it does not.
precisions=(fp32)
grep -qE 'avx512_bf16|amx_bf16' /proc/cpuinfo && precisions+=(bf16)
declare -A step_goal=([fp32]=1.3 [bf16]=1.3) compiled_goal=([fp32]=1.05 [bf16]=-)
if grep -q AuthenticAMD /proc/cpuinfo; then
  step_goal[fp32]=2 compiled_goal[fp32]=1.7
fi

# torch.compile wants a C++ compiler and Python's headers.
compiles=
if "$python" -c 'import torch; torch.compile(lambda x: x.sin() + 1)(torch.ones(8))' 2>/dev/null; then
  compiles=yes
else
  echo "torch.compile does not work with this Python (its headers are in python3-dev): no rows for it" >&2
fi

echo "| work | Calor, s | PyTorch, s | PyTorch / Calor, median (range, rounds) | goal | products alone |"
echo "|---|---|---|---|---|---|"
for precision in "${precisions[@]}"; do
  row "image transformer, training step, $precision (P1)" "${step_goal[$precision]}" step step \
    build/bench/train_step --precision "$precision" --steps 2 -- "$python" bench/peers/jit_step.py --precision "$precision" --steps 2
  if [[ -n $compiles ]]; then
    row "image transformer, training step, $precision, against torch.compile (P1)" "${compiled_goal[$precision]}" step step \
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
for case in POWER GAS MINIBOONE BSDS300; do
  row "perceptron of $case, training step (P3)" 2 seconds seconds \
    as_words build/bench/mlp_step --case "$case" --work train --repeats 3 -- \
    as_words "$python" bench/peers/lfm_mlp.py --case "$case" --work train --repeats 3
done
# Those of a trained stage of POWER's size; both sides say their evaluations and errors. PyTorch pushes by dopri5 at 1e-5 and
# we by our multistep method at a tolerance that ends with a smaller error; log-densities are compared with the authors' way.
stage=build/bench/stage.safetensors
# field PROGRAM... with FLAGS...: the work on the trained stage, which is made when it is first asked for.
field() {
  local program=()
  while [[ $1 != with ]]; do
    program+=("$1")
    shift
  done
  [[ -f $stage ]] || build/bench/table_field --make "$stage" >&2
  as_words "${program[@]}" "$stage" "${@:2}" | tee >(grep '^{' >&2 || true)
}
row "pushing 100,000 rows, POWER (P3)" 3 seconds seconds \
  field build/bench/table_field with --work push --method adams --tolerance 3e-5 -- \
  field "$python" bench/peers/lfm_field.py with --work push
row "exact log-density of 10,000 rows, POWER (P3)" 5 seconds seconds \
  field build/bench/table_field with --work logdensity --method abm --ode-steps 24 -- \
  field "$python" bench/peers/lfm_field.py with --work logdensity-euler
row "a policy's network in PyTorch against a decision of 1 evaluation (P4)" 2 decision-of-1 network decisions -- diffusion
row "a policy's DDPM-100 against a decision of 1 evaluation (P4)" 100 decision-of-1 ddpm decisions -- diffusion
row "a policy's DDPM-100 against a decision of 4 evaluations (P4)" 25 decision-of-4 ddpm decisions -- diffusion
declare -A blur_goal=([32]=6 [64]=4 [256]=1.5)
declare -A blur_batch=([32]=64 [64]=32 [256]=4)
for side in 32 64 256; do
  row "heat blur, $side px (P5)" "${blur_goal[$side]}" separable fft \
    build/bench/blur --side "$side" --batch "${blur_batch[$side]}" -- "$python" bench/peers/blur.py --side "$side" --batch "${blur_batch[$side]}"
done
