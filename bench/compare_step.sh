#!/usr/bin/env bash
# One training step of P1, ours against plain PyTorch, in turn: prints each round's ratio (PyTorch over ours; above 1
# is faster) and the median. PYTHON names a Python that has torch.
#
#     bench/compare_step.sh [ROUNDS] [fp32|bf16]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=${1:-7}
precision=${2:-fp32}
python=${PYTHON:-.venv/bin/python}
[[ -x build/bench/train_step ]] || make bench-programs

# The fastest of two timed steps.
fastest() { awk '$1 == "step" && (best == "" || $2 < best) {best = $2} END {print best}'; }

for ((round = 1; round <= rounds; ++round)); do
  ours=$(build/bench/train_step --precision "$precision" --steps 2 | fastest)
  theirs=$("$python" bench/peers/jit_step.py --precision "$precision" --steps 2 | fastest)
  awk -v a="$theirs" -v b="$ours" -v r="$round" 'BEGIN {printf "round %d: ours %.3f s, PyTorch %.3f s, ratio %.2f\n", r, b, a, a / b}'
done | tee /dev/stderr | awk '{print $NF}' | sort -n | awk '{v[NR] = $1} END {printf "median ratio %.2f, range %.2f to %.2f, %d rounds\n", v[int((NR + 1) / 2)], v[1], v[NR], NR}'
