#!/usr/bin/env bash
# ctest: slow
# ctest: timeout=900
# 200 steps are 200 steps, however often they are interrupted: SIGTERM, SIGINT and SIGKILL at random moments, the same
# command again, and every file of the last checkpoint is byte for byte that of a run that was left alone.
source "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
RANDOM=7
command=("$CALOR" train hdfm-glyphs "${tiny[@]}" train.steps=200 train.batch=256 train.checkpoint_every=20 --threads 1 --quiet)

"$CALOR" data inspect glyphs --quiet >/dev/null || fail "the glyphs are drawn once, before the clock starts"
begin=$(date +%s.%N)
"${command[@]}" --run whole || fail "the run that is left alone"
end=$(date +%s.%N)

interruptions=0
for attempt in $(seq 1 60); do
  "${command[@]}" --run torn &
  pid=$!
  case $((attempt % 3)) in
    0) signal=TERM ;;
    1) signal=KILL ;;
    2) signal=INT ;;
  esac
  # At most 28 % of a whole run: whatever the machine's speed, the first three come before the end.
  sleep "$(awk -v r=$RANDOM -v a="$begin" -v b="$end" 'BEGIN {print (b - a) * (0.14 + 0.14 * r / 32768)}')"
  # In the background of a script SIGINT is ignored from the start; the program listens all the same.
  if kill -$signal $pid 2>/dev/null; then
    wait $pid
    status=$?
    interruptions=$((interruptions + 1))
    [[ $signal == KILL || $status == 0 ]] || fail "SIG$signal ended with $status instead of 0"
  else
    wait $pid || fail "the last run"
    break
  fi
  [[ -e torn/checkpoints/0000000200 ]] && break
done
"${command[@]}" --run torn || fail "the end"
echo "$interruptions interruptions"
[[ $interruptions -ge 3 ]] || fail "at least three interruptions"
for file in weights averages optimiser; do
  cmp whole/checkpoints/0000000200/$file.safetensors torn/checkpoints/0000000200/$file.safetensors || fail "$file differ"
done
cmp whole/model.safetensors torn/model.safetensors || fail "the models differ"
diff <(grep -o '"step":[0-9]*' whole/metrics.jsonl) <(grep -o '"step":[0-9]*' torn/metrics.jsonl) || fail "metrics.jsonl has each step once"
finish
