#!/usr/bin/env bash
# The perceptrons of local flow matching, ours against plain PyTorch, in turn: prints, for each case and work, the median
# of the rounds' ratios (PyTorch over ours; above 1 is faster) and their range. PYTHON names a Python that has torch.
# Checks first that both compute the same.
#
# push and logdensity are those of a trained stage at POWER's size (bench/table_field), with both sides' evaluations and
# errors. PyTorch pushes with dopri5 at 1e-5 and we with our multistep method at a tolerance that ends with a smaller
# error; log-densities are compared with the authors' way (149 Euler steps), ours in 24 steps of abm.
#
# FIELD=cpu_seconds compares processor time, which a busy machine disturbs less. STAGE_FILE keeps the trained stage.
#
#     bench/compare_lfm.sh [--quick] [ROUNDS] [CASES] [WORK]      e.g. bench/compare_lfm.sh 7 POWER,GAS train,push
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
default_rounds=7
if [[ ${1:-} == --quick ]]; then
  default_rounds=3
  shift
fi
rounds=${1:-$default_rounds}
cases=${2:-POWER,GAS,MINIBOONE,BSDS300}
work=${3:-train,adam,velocity,divergence,push,logdensity}
python=${PYTHON:-.venv/bin/python}
threads=${THREADS:-2}
export OMP_WAIT_POLICY=passive
[[ -x build/bench/mlp_step && -x build/bench/table_field ]] || make bench-programs

file=$(mktemp)
trap 'rm -f "$file"' EXIT
for case in ${cases//,/ }; do
  build/bench/mlp_step --case "$case" --check "$file" --threads "$threads"
  "$python" bench/peers/lfm_mlp.py --case "$case" --check "$file" >/dev/null
done

seconds() { sed -n 's/.*"'"${FIELD:-seconds}"'": *\([0-9.]*\).*/\1/p'; }

# Reads "ratio ours theirs" a round; prints the median and the range.
summary() {
  sort -n | awk -v name="$1" '{v[NR] = $1; o[NR] = $2; t[NR] = $3} END {
    printf "%s: median ratio %.2f, range %.2f to %.2f, %d rounds (there: ours %.4f s, PyTorch %.4f s)\n",
      name, v[int((NR + 1) / 2)], v[1], v[NR], NR, o[int((NR + 1) / 2)], t[int((NR + 1) / 2)]}'
}

# Our work against the peer's: stage_work NAME OURS THEIRS [our flags]
stage_work() {
  local round ours theirs
  for ((round = 1; round <= rounds; ++round)); do
    ours=$(build/bench/table_field "$stage" --work "$2" --threads "$threads" "${@:4}")
    theirs=$("$python" bench/peers/lfm_field.py "$stage" --work "$3" --threads "$threads")
    if ((round == 1)); then printf '%s\n  ours    %s\n  PyTorch %s\n' "$1" "$ours" "$theirs" >&2; fi
    awk -v a="$(seconds <<<"$theirs")" -v b="$(seconds <<<"$ours")" 'BEGIN {printf "%.3f %.4f %.4f\n", a / b, b, a}'
  done | summary "$1"
}

for case in ${cases//,/ }; do
  for item in ${work//,/ }; do
    [[ $item != push && $item != logdensity ]] || continue
    for ((round = 1; round <= rounds; ++round)); do
      flags=(--case "$case" --work "$item" --repeats "${REPEATS:-3}" --threads "$threads")
      ours=$(build/bench/mlp_step "${flags[@]}" | seconds)
      theirs=$("$python" bench/peers/lfm_mlp.py "${flags[@]}" | seconds)
      awk -v a="$theirs" -v b="$ours" 'BEGIN {printf "%.3f %.4f %.4f\n", a / b, b, a}'
    done | summary "$case $item"
  done
done

[[ ,$work, == *,push,* || ,$work, == *,logdensity,* ]] || exit 0
stage=${STAGE_FILE:-build/bench/stage.safetensors}
[[ -f $stage ]] || build/bench/table_field --make "$stage" --threads "$threads"
if [[ ,$work, == *,push,* ]]; then
  stage_work "push, ours adams 3e-5, theirs dopri5 1e-5" push push --method adams --tolerance 3e-5
fi
if [[ ,$work, == *,logdensity,* ]]; then
  stage_work "log-density, ours abm in 24 steps, theirs 149 Euler steps" logdensity logdensity-euler --method abm --ode-steps 24
fi
