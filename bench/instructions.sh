#!/usr/bin/env bash
# Instructions of the hot operators, counted by Callgrind, beside those in bench/instructions.txt: fails where one takes
# over 15 % more. --write makes the counts of this machine the ones to compare with. A processor with AVX2 is needed
# (Callgrind knows no AVX-512, so that all such processors run the same code), and the LibTorch that the file names.
#
#     bench/instructions.sh [--write]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
known=bench/instructions.txt
[[ -x build/bench/instructions ]] || make bench-programs
command -v valgrind >/dev/null || { echo "instructions: valgrind is missing: make developer-tools"; exit 1; }
grep -qw avx2 /proc/cpuinfo || { echo "instructions: skipped, this processor has no AVX2"; exit 0; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# prepare_to_compute begins the process anew where the wait policy is not set, and Callgrind does not follow.
OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 valgrind --quiet --tool=callgrind --instr-atstart=no \
  --callgrind-out-file="$folder/count" build/bench/instructions >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
version=$(sed -n 's/^LibTorch //p' "$folder/log")
for file in "$folder"/count.*; do
  sed -n 's/^desc: Trigger: Client Request: //p; s/^\(totals\|summary\): //p' "$file" | head -2 | paste -s -d ' '
done | sort >"$folder/counts"

if [[ ${1:-} == --write ]]; then
  { echo "# Made by bench/instructions.sh --write; LibTorch $version"; cat "$folder/counts"; } >"$known"
fi
if ! grep -q "LibTorch $version\$" "$known"; then
  echo "instructions: nothing to compare with: $(head -1 "$known"), here it is $version"
  exit 0
fi
join <(grep -v '^#' "$known") "$folder/counts" | awk '
  {ratio = $3 / $2; slow = ratio > 1.15; printf "%-18s %12d, was %12d, %.3f times%s\n", $1, $3, $2, ratio, slow ? ": MORE" : ""}
  slow {failed = 1}
  END {if (NR == 0) {print "instructions: no counts"; failed = 1} exit failed}'
[[ $(grep -vc '^#' "$known") == "$(wc -l <"$folder/counts")" ]] || { echo "instructions: other operators than in $known"; exit 1; }
