#!/usr/bin/env bash
# ctest: slow
# ctest: timeout=900
# A run is a run, however often it is interrupted: SIGTERM, SIGINT and SIGKILL at random moments, the same command again,
# and every file is byte for byte that of a run that was left alone. Once for pictures; once for a chain of stages, which
# is interrupted inside stages and while particles are carried between them.
source "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
RANDOM=7

# Until a process is calor, no longer this shell's copy, and listens to SIGTERM, or has ended: before, a signal ends it
# as it ends any program.
until_listening() {
  local mask
  while mask=$(awk '$1 == "SigCgt:" {print $2}' "/proc/$1/status" 2>/dev/null) && [[ -n $mask ]]; do
    [[ $(cat "/proc/$1/comm" 2>/dev/null) == calor ]] && (((16#$mask >> 14) & 1)) && return
    sleep 0.01
  done
}

# interrupt NAME LAST COMMAND...: makes NAME-whole, and NAME-torn until its file LAST is there.
interrupt() {
  local name=$1 last=$2 begin end pid signal status interruptions=0
  shift 2
  begin=$(date +%s.%N)
  "$@" --run "$name-whole" || fail "the run that is left alone"
  end=$(date +%s.%N)
  for attempt in $(seq 1 60); do
    "$@" --run "$name-torn" &
    pid=$!
    case $((attempt % 3)) in
      0) signal=TERM ;;
      1) signal=KILL ;;
      2) signal=INT ;;
    esac
    until_listening $pid
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
    [[ -e $name-torn/$last ]] && break
  done
  "$@" --run "$name-torn" || fail "the end"
  echo "$name: $interruptions interruptions"
  [[ $interruptions -ge 3 ]] || fail "at least three interruptions"
}

# same NAME FILE...: the two runs of that name agree in these files.
same() {
  local name=$1
  shift
  for file in "$@"; do
    cmp "$name-whole/$file" "$name-torn/$file" || fail "$name: $file differs"
  done
}

"$CALOR" data inspect glyphs --quiet >/dev/null || fail "the glyphs are drawn once, before the clock starts"
last=checkpoints/0000000200
interrupt pictures $last "$CALOR" train hdfm-glyphs "${tiny[@]}" train.steps=200 train.batch=256 train.checkpoint_every=20 \
  --threads 1 --quiet
same pictures $last/{weights,averages,optimiser}.safetensors model.safetensors
diff <(grep -o '"step":[0-9]*' pictures-whole/metrics.jsonl) <(grep -o '"step":[0-9]*' pictures-torn/metrics.jsonl) ||
  fail "metrics.jsonl has each step once"

interrupt chain model.safetensors "$CALOR" train lfm-rose data.count=200000 stages.gammas=0.05,0.15,0.4 "stages.widths=[]" \
  train.steps=150 train.batch=512 mlp.width=64 mlp.layers=3 train.checkpoint_every=20 train.products=standard push.rtol=1e-4 push.atol=1e-4 --threads 1 --quiet
same chain particles/{1,2,3}.f32 stages/{1,2,3,4}/weights.safetensors model.safetensors

# nohup ignores SIGHUP: a training begun so outlives its terminal.
nohup "$CALOR" train hdfm-glyphs "${tiny[@]}" train.steps=200 train.batch=256 train.checkpoint_every=20 --threads 1 --quiet --run nohup &
pid=$!
until_listening $pid
kill -HUP $pid || fail "the training under nohup has ended before its terminal"
wait $pid || fail "a training under nohup ended with $? when its terminal was closed"
[[ -e nohup/$last/manifest.json ]] || fail "a training under nohup does not come to its end: $(ls nohup/checkpoints)"

# Whoever began this may have had it ignore SIGCHLD: the ends of its own processes are heard all the same.
apart=(env --ignore-signal=CHLD "$CALOR" train lfm-rose data.source=two-moons data.count=2000 stages.particles=exact stages.gammas=0.05,0.15
  "stages.widths=[]" train.steps=20 train.batch=64 mlp.width=16 mlp.layers=2 train.products=standard --parallel 2 --quiet --json)
says '"outcome": "finished"' "${apart[@]}" --run apart
mkdir -p torn/stages && touch torn/stages/2
expect 1 "one of the processes failed" "${apart[@]}" --run torn
finish
