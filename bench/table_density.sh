#!/usr/bin/env bash
# Models of a table's density on the same held-out rows: local flow matching, flow matching with as many parameters and
# steps, a neural spline flow (bench/peers/nsf_table.py), a mixture of Gaussians and one Gaussian. Prints mean NLL in
# standardised units with standard errors, and paired differences per row. Beside FILE.npy, FILE.exact.csv holds the true
# log-density where it is known (table_baselines --synthetic).
#
#     bench/table_density.sh DATA OUT [SEEDS] [key=value ...]    e.g. bench/table_density.sh houses.csv /tmp/houses 0,1,2
#
# Settings go to calor, data.* to the baselines, too; stages.* to the chain only. A seed sets the training, the split stays
# that of data.seed. What is there already is not made again. PYTHON names a Python with torch, zuko and numpy. Small:
#     NSF_STEPS=100 bench/table_density.sh DATA OUT 0 train.size_by_rows=false train.steps=100 train.warmup=20 mlp.width=32
set -euo pipefail
if (($# < 2)); then
  sed -n '2,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 2
fi
data=$(realpath "$1")
out=$(realpath -m "$2")
seeds=${3:-0,1,2}
shift $(($# < 3 ? $# : 3))
cd "$(dirname "${BASH_SOURCE[0]}")/.."
calor=${CALOR:-build/calor}
baselines=${BASELINES:-build/bench/table_baselines}
python=${PYTHON:-python3}
threads=${THREADS:-0}
export OMP_WAIT_POLICY=passive

settings=(data.test=0.2 "$@")
for_baselines=() for_one_stage=()
for setting in "${settings[@]}"; do
  case $setting in
    data.encoding=* | data.knots=* | data.copies=*) for_one_stage+=("$setting") ;;
    data.*) for_baselines+=("$setting") for_one_stage+=("$setting") ;;
    stages.* | mlp.width=* | train.steps=* | train.size_by_rows=* | train.batch=*) ;;
    *) for_one_stage+=("$setting") ;;
  esac
done
exact=()
[[ -f ${data%.npy}.exact.csv ]] && exact=(--exact "${data%.npy}.exact.csv")
some_threads=()
((threads > 0)) && some_threads=(--threads "$threads")

# A setting of [train] in a run's resolved configuration.
train_setting() { sed -n "/^\\[train\\]/,/^\\[/s/^$2 = //p" "$1/config.toml"; }

# train_and_score NAME PRESET SETTINGS...: FOLDER/NAME and FOLDER/NAME.csv
train_and_score() {
  local name=$1 preset=$2
  shift 2
  [[ -f $folder/$name.csv ]] && return
  "$calor" train "$preset" "$data" "$@" "train.seed=$seed" --run "$folder/$name" --quiet --threads "$threads"
  "$calor" score "$folder/$name" --split test --seed 0 --out "$folder/$name.csv" --json --quiet --threads "$threads" \
    >"$folder/$name.json"
}

for seed in ${seeds//,/ }; do
  folder=$out/seed$seed
  mkdir -p "$folder"
  if [[ ! -f $folder/mixture.csv ]]; then
    "$baselines" "$data" "${for_baselines[@]}" --out "$folder" --seed "$seed" --copies "${COPIES:-1}" "${exact[@]}" \
      "${some_threads[@]}"
  fi
  if [[ ! -f $folder/nsf.csv ]]; then
    "$python" bench/peers/nsf_table.py "$folder" --seed "$seed" --steps "${NSF_STEPS:-3000}" "${some_threads[@]}"
  fi
  train_and_score lfm lfm-table "${settings[@]}"
  "$calor" info "$folder/lfm" --json >"$folder/lfm-info.json"
  steps=$(train_setting "$folder/lfm" steps)
  read -r width all_steps parameters one_network < <(
    "$python" bench/peers/density_table.py width "$folder/lfm-info.json" "$steps")
  echo "seed $seed: LFM $parameters parameters; FM $one_network (width $width), $all_steps steps"
  train_and_score fm fm-table "${for_one_stage[@]}" train.size_by_rows=false "mlp.width=$width" "train.steps=$all_steps" \
    "train.batch=$(train_setting "$folder/lfm" batch)"
done
"$python" bench/peers/density_table.py summary "$out" ${seeds//,/ }
