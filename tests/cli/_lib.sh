# Helpers of the end-to-end tests: a scratch folder with its own cache, and checks that say what failed.
set -uo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export XDG_CACHE_HOME="$scratch/cache" OMP_WAIT_POLICY=passive
cd "$scratch"
failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# A model small enough to train in seconds.
tiny=(net.width=16 net.depth=2 net.heads=2 net.bottleneck=8 net.context_tokens=2 net.refine=4 train.batch=16
  train.precision=fp32 train.products=standard train.sample_every=0)

# says PATTERN COMMAND...: standard output matches PATTERN, whatever the exit status.
says() {
  local pattern=$1 output
  shift
  output=$("$@" 2>/dev/null </dev/null)
  grep -qE -- "$pattern" <<<"$output" || fail "'$*' does not print '$pattern': $output"
}

# expect STATUS PATTERN COMMAND...: the exit status, and an error in three parts that matches PATTERN.
expect() {
  local status=$1 pattern=$2 output result
  shift 2
  output=$("$@" 2>&1 </dev/null)
  result=$?
  [[ $result == "$status" ]] || fail "'$*' ended with $result instead of $status: $output"
  grep -qE -- "$pattern" <<<"$output" || fail "'$*' does not say '$pattern': $output"
  if [[ $status != 0 ]]; then
    for part in '^expected: ' '^found:    ' '^to do:    '; do
      grep -q "$part" <<<"$output" || fail "'$*' lacks the part '$part': $output"
    done
  fi
}

finish() {
  [[ $failures == 0 ]] || exit 1
  echo "all checks passed"
}
