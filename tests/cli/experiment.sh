#!/usr/bin/env bash
# Experiments from end to end: a grid of two tiny models, stopped and gone on with, and what a person can get wrong.
# ctest: timeout=600
source "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
export CALOR_DATA="$scratch/no-data"

says 'samplers' "$CALOR" experiment
cat >grid.toml <<'TOML'
# Widths on two moons.
title = "Does width help?"
text = "Two widths & one set."
[[factor]]
name = "width"
levels = [8, 16]
[[make]]
run = "w{width}-{seed}"
command = "train fm-rose data.source=two-moons data.count=500 mlp.width={width} train.batch=32 train.steps={steps:20} train.warmup=1 train.seed={seed} train.checkpoint_every=5"
[[measure]]
name = "evaluate"
command = "evaluate {run} --count 64 --assignment 32 --seed 0"
[[column]]
name = "sliced W2"
key = "/distances/sliced_wasserstein2"
better = "lower"
[[plot]]
x = "width"
y = "sliced W2"
TOML
says 'train.steps=20 train.warmup=1 train.seed=1' "$CALOR" experiment grid.toml --plan --seeds 2
[[ ! -e experiments ]] || fail "--plan made a folder"
"$CALOR" experiment grid.toml --seeds 2 --threads 1 --json --quiet >one.json || fail "the experiment"
grep -q '"outcome": "finished"' one.json || fail "its outcome: $(cat one.json)"
for file in index.html table.md table.csv plot-1.svg plan.json experiment.toml; do
  [[ -s experiments/grid/$file ]] || fail "no $file"
done
grep -q 'Two widths &amp; one set' experiments/grid/index.html || fail "the page's text"
grep -qE '^\| 8 \| .* ± .* \|$' experiments/grid/table.md || fail "two seeds: $(cat experiments/grid/table.md)"
# The same again does nothing, and says the same.
cp experiments/grid/table.md before.md
"$CALOR" experiment experiments/grid --json --quiet >two.json && cmp before.md experiments/grid/table.md || fail "the same again"
# A lost answer is made again, and is the same.
rm experiments/grid/results/evaluate-16-seed1.json
"$CALOR" experiment experiments/grid --at-once 2 --threads 1 --quiet >/dev/null && cmp before.md experiments/grid/table.md ||
  fail "a lost answer"
# Stopped at once by a signal, and gone on with: the same table.
"$CALOR" experiment grid.toml --seeds 2 --threads 1 --run other --quiet >/dev/null &
sleep 2
kill -INT $! 2>/dev/null
wait $! || fail "stopped by Ctrl-C"
"$CALOR" experiment grid.toml --seeds 2 --threads 1 --run other --quiet >/dev/null && cmp before.md other/table.md ||
  fail "gone on with after Ctrl-C: $(cat other/table.md)"
# An answer is of the model that was measured: other words for its training, and it is measured anew.
sed 's/steps:20/steps:9/' grid.toml >changed.toml
rm -r other/runs
"$CALOR" experiment changed.toml --seeds 2 --threads 1 --run other --quiet >/dev/null || fail "changed trainings"
cmp -s before.md other/table.md && fail "answers of other trainings were taken"
# A measurement that a signal stops is not taken for a whole one.
cat >long.toml <<'TOML'
title = "Many samples"
[[make]]
run = "w8"
command = "train fm-rose data.source=two-moons data.count=500 mlp.width=8 train.batch=32 train.steps=5 train.warmup=1"
[[measure]]
name = "sample"
command = "sample {run} --count 30000000 --out many.npy"
[[column]]
name = "count"
key = "/cuont"
TOML
"$CALOR" experiment long.toml --threads 1 >long.txt 2>&1 &
for _ in $(seq 300); do [[ -e experiments/long/results/w8.json ]] && break; sleep 0.1; done
sleep 2
kill -INT $! && wait $! || fail "a measurement that is stopped"
[[ ! -e experiments/long/results/sample-seed0.json ]] || fail "half of the samples were kept as an answer"
# A key that no answer has is named; what ends for a fault of its own leaves nothing at work behind it.
sed -i 's/30000000/30/' long.toml
"$CALOR" experiment long.toml --threads 1 >long.txt 2>&1
grep -q "no number at /cuont" long.txt || fail "a mistyped key is named: $(cat long.txt)"
expect 2 "{steps:N}" "$CALOR" experiment long.toml --budget 1 --run budget
sed 's/train.steps=5 /train.steps=1000000 /' long.toml >endless.toml
"$CALOR" experiment endless.toml --threads 1 --quiet >/dev/null 2>&1 &
parent=$!
for _ in $(seq 300); do [[ -e experiments/endless/runs/w8/metrics.jsonl ]] && break; sleep 0.1; done
kill -KILL $parent
wait $parent 2>/dev/null
for _ in $(seq 100); do pgrep -f "experiments/endless/runs/w8" >/dev/null || break; sleep 0.1; done
pgrep -f "experiments/endless/runs/w8" >/dev/null && fail "a training goes on whose experiment was killed"
# A budget makes the trainings shorter, by one factor for all.
"$CALOR" experiment grid.toml --seeds 1 --threads 1 --budget 0.3 --run quick --quiet >/dev/null || fail "--budget"
grep -q '"budget_minutes": 0.3' quick/plan.json || fail "the plan: $(cat quick/plan.json)"
expect 2 "9 minutes, not 0.3" "$CALOR" experiment grid.toml --budget 9 --run quick
expect 2 "did you mean 'samplers'" "$CALOR" experiment sampler
expect 2 "an experiment for --seeds" "$CALOR" experiment --seeds 2
# The data of an experiment that names its own by a path give way to those that are named after it.
sed 's/data.source=two-moons/two-moons/' grid.toml >named.toml
says 'two-moons.*data.source="pinwheel"' "$CALOR" experiment named.toml pinwheel --plan
# A folder here that is called like an experiment: it is meant, unless --run names another.
mkdir samplers
cp grid.toml samplers/experiment.toml
says 'evaluate samplers/runs/w8-0' "$CALOR" experiment samplers --plan
says 'evaluate elsewhere/runs/hdfm-0' "$CALOR" experiment samplers --plan --run elsewhere
{ cat grid.toml && printf '[[skip]]\nwidth = []\n'; } >bad.toml
expect 2 "one level for 'width'" "$CALOR" experiment bad.toml
sed 's/levels/levls/' grid.toml >bad.toml
expect 2 "bad.toml" "$CALOR" experiment bad.toml
sed 's/{width}/{wdth}/' grid.toml >bad.toml
expect 2 "wdth" "$CALOR" experiment bad.toml
# What no training could take shows before anything is trained.
sed 's/fm-rose/fm-nose/' grid.toml >bad.toml
expect 2 "did you mean 'fm-rose'" "$CALOR" experiment bad.toml --quiet
expect 2 "mlp.width" "$CALOR" experiment grid.toml mlp.widht=3 --run settings
[[ ! -e experiments/bad && ! -e settings ]] || fail "folders of experiments that cannot be"
# A training that fails does not keep the others from their answers.
expect 1 "w8-0" "$CALOR" experiment grid.toml no-such.npy --run settings --quiet
# The same question of other data: settings of every training, kept for as long as the folder is.
"$CALOR" experiment grid.toml data.source=pinwheel --threads 1 --run pinwheel --quiet >/dev/null || fail "settings"
grep -q 'data.source=pinwheel --run pinwheel/runs/w16-0' pinwheel/index.html || fail "settings of every training"
grep -q 'Here every training has data.source=pinwheel' pinwheel/index.html || fail "settings on the page"
cmp -s pinwheel/table.md before.md && fail "another set, and the same table"
"$CALOR" experiment pinwheel --seeds 1 --quiet >/dev/null || fail "the same again without its settings"
grep -q 'data.source=pinwheel' pinwheel/plan.json || fail "settings are kept: $(cat pinwheel/plan.json)"
# What the experiment varies, or counts, cannot be set; a training's folder is none of an experiment's.
expect 2 "mlp.width: its rows have 16, 8" "$CALOR" experiment grid.toml mlp.width=3 --run varied
expect 2 "say --seeds" "$CALOR" experiment grid.toml train.seed=7 --run varied
sed 's/ train.seed={seed}//' grid.toml >unseeded.toml
expect 2 "train.seed=.seed." "$CALOR" experiment unseeded.toml --seeds 2 --run varied
expect 2 "multiplies" "$CALOR" experiment grid.toml train.steps=7 --budget 1 --run varied
expect 2 "that of a training" "$CALOR" experiment grid.toml --run pinwheel/runs/w8-0
expect 2 "not data.source=pinwheel" "$CALOR" experiment grid.toml data.source=two-moons --run pinwheel
echo '{' >quick/plan.json
expect 1 "damaged" "$CALOR" experiment grid.toml --run quick
# Points in a plane of more dimensions are compared in the plane.
"$CALOR" train fm-rose data.source=spirals data.count=500 data.dimensions=8 objective.prediction=x objective.t_eps=0.05 mlp.width=8 \
  train.batch=32 train.steps=4 train.warmup=1 --run plane --quiet || fail "train in eight dimensions"
"$CALOR" evaluate plane --count 64 --assignment 32 --json --quiet >plane.json && grep -q '"off_plane_power": [0-9]' plane.json ||
  fail "the power off the plane: $(cat plane.json)"
grep -q nll plane.json && fail "a likelihood where there is none"
expect 2 "two dimensions" "$CALOR" train fm-rose data.dimensions=1 --run line
expect 2 "points in the plane" "$CALOR" plot plane

# What a step could cost.
"$CALOR" bench fm-rose data.source=two-moons data.count=500 mlp.width=8 train.batch=32 --steps 3 --operators --json --quiet >bench.json || fail "bench"
for key in step_seconds products_seconds products_share copy_bytes_per_second checkpoint_seconds products; do
  grep -q "\"$key\":" bench.json || fail "the key $key: $(cat bench.json)"
done
expect 2 "did you mean 'fm-rose'" "$CALOR" bench fm-rows
finish
