#!/usr/bin/env bash
# One decision of a policy at batch 1, ours against plain PyTorch, in turn: the network alone and DDPM of 100 steps
# against 1, 2 and 4 evaluations of a flow. Prints each round's ratios (PyTorch over ours; above 1 is faster), the
# medians with their ranges, our p99 over the median, and that of arithmetic alone: of the machine. PYTHON names a Python
# that has torch and numpy.
#
#     bench/compare_policy.sh [ROUNDS] [auto|fp32|bf16]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=${1:-5}
precision=${2:-auto}
python=${PYTHON:-.venv/bin/python}
[[ -x build/bench/policy_latency ]] || ninja -C build bench_policy_latency

check=$(mktemp --suffix=.npz)
trap 'rm -f "$check"' EXIT
build/bench/policy_latency --precision fp32 --weights "$check"
"$python" bench/peers/policy_latency.py --check "$check"

for ((round = 1; round <= rounds; ++round)); do
  {
    build/bench/policy_latency --precision "$precision"
    "$python" bench/peers/policy_latency.py --decisions 3
  } | awk -v r="$round" '
    $1 == "nfe" {ours[$2] = $3; tail = $4 / $3 > tail ? $4 / $3 : tail}
    $1 == "machine" {idle = $4 / $3 > idle ? $4 / $3 : idle}
    $1 == "network" {network = $2}
    $1 == "ddpm" {ddpm = $3}
    END {printf "round %d: decision %.1f %.1f %.1f ms at 1, 2, 4; PyTorch network %.1f ms, DDPM-100 %.0f ms; ratios: network %.2f ddpm/1 %.1f ddpm/2 %.1f ddpm/4 %.1f p99/median %.2f machine %.2f\n", r, ours[1], ours[2], ours[4], network, ddpm, network / ours[1], ddpm / ours[1], ddpm / ours[2], ddpm / ours[4], tail, idle}'
done | tee /dev/stderr | awk '
  function add(name, value) {v[name] = v[name] " " value}
  {for (i = 1; i <= NF; ++i) if ($i == "network" && $(i - 1) == "ratios:") {add("network / decision of 1", $(i + 1))}
   for (i = 1; i <= NF; ++i) if ($i ~ /^(ddpm\/|p99|machine)/) add($i, $(i + 1))}
  END {for (name in v) {n = split(v[name], x, " "); asort_simple(x, n); printf "%-26s median %.2f, range %.2f to %.2f, %d rounds\n", name, x[int((n + 1) / 2)], x[1], x[n], n}}
  function asort_simple(x, n,   i, j, t) {for (i = 2; i <= n; ++i) for (j = i; j > 1 && x[j] + 0 < x[j - 1] + 0; --j) {t = x[j]; x[j] = x[j - 1]; x[j - 1] = t}}' | sort
