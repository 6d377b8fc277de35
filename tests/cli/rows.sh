#!/usr/bin/env bash
# Tables and points from end to end: train, score, sample, evaluate, plot; stages in processes of their own; and what a
# person can get wrong with rows.
# ctest: timeout=600
source "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"

small=(train.size_by_rows=false mlp.width=32 mlp.layers=2 train.batch=128 train.steps=150 train.warmup=5
  train.checkpoint_every=50 train.validate_every=50 train.products=standard data.copies=2)
score() { "$CALOR" score "$@" --rtol 1e-4 --atol 1e-4 --json 2>/dev/null; }

# A table of numbers, whole numbers, categories and missing cells.
awk 'BEGIN { srand(1); print "height,age,town,income";
  for (i = 0; i < 600; ++i) { a = int(20 + 40 * rand()); h = 150 + a / 3 + 20 * rand();
    t = (rand() < a / 60) ? "Oslo" : "Bergen, \"west\""; gsub(/"/, "\"\"", t); if (t ~ /,/) t = "\"" t "\"";
    m = (rand() < 0.1) ? "" : sprintf("%.2f", 10 * a + 50 * rand());
    printf "%.1f,%d,%s,%s\n", h, a, t, m } }' >people.csv

says 'town.*categorical' "$CALOR" data inspect people.csv
"$CALOR" train lfm-table people.csv "${small[@]}" data.test=0.2 --run people --json >train.json 2>log || fail "train: $(cat log)"
grep -q '"outcome": "finished"' train.json && grep -q '"stages": 3' train.json || fail "what train says"
before=$(md5sum <people/model.safetensors)
"$CALOR" train lfm-table people.csv "${small[@]}" data.test=0.2 --run people --quiet || fail "train again"
[[ $(md5sum <people/model.safetensors) == "$before" ]] || fail "a finished chain is left as it is"

score people --split test --out rows.csv >score.json || fail "score"
grep -q '"count": 120' score.json && grep -q 'lower bound' score.json || fail "what score says: $(cat score.json)"
[[ $(wc -l <rows.csv) == 121 ]] || fail "a row for each"
score people people.csv >whole.json && grep -q '"count": 600' whole.json || fail "score a file"
says 'row +[0-9]+  log-density' "$CALOR" score people --rank 2 --rtol 1e-3 --atol 1e-3
for divergence in hutchinson hutch++; do
  score people --divergence $divergence --probes 6 >e.json && grep -q '"probe_standard_error"' e.json || fail "$divergence"
done
# Each of four draws has probes of its own: half the error. A velocity needs no t_eps.
error_of() { grep -o '"probe_standard_error": [0-9.e-]*' "$1" | cut -d' ' -f2; }
for draws in 1 4; do score people --divergence hutchinson --probes 6 --draws $draws >draws-$draws.json || fail "--draws $draws"; done
awk "BEGIN { exit !($(error_of draws-4.json) < 0.7 * $(error_of draws-1.json)) }" || fail "the probes of several draws"
grep -q '"t_eps": 0.0' draws-1.json || fail "t_eps of a velocity: $(cat draws-1.json)"

"$CALOR" sample people --count 50 --out made.csv --quiet || fail "sample a table"
[[ $(head -1 made.csv) == height,age,town,income && $(wc -l <made.csv) == 51 ]] || fail "the schema of samples: $(head -2 made.csv)"
score people made.csv >back.json && grep -q '"count": 50' back.json || fail "samples load as the same schema"
"$CALOR" sample people --count 50 --out again.csv --quiet && cmp made.csv again.csv || fail "same seed, same rows"
"$CALOR" evaluate people --split test --json >evaluate.json 2>/dev/null || fail "evaluate a run"
grep -q '"two_sample_accuracy"' evaluate.json && grep -q '"nll_standardised"' evaluate.json &&
  grep -q '"name": "town"' evaluate.json || fail "what evaluate says"
"$CALOR" evaluate made.csv --reference people.csv --json 2>/dev/null | grep -q sliced_wasserstein2 || fail "evaluate files"
says 'stage 2: gamma' "$CALOR" info people

# Given columns.
"$CALOR" train lfm-table people.csv "${small[@]}" train.steps=40 data.condition=town --run given --quiet || fail "train given a column"
printf 'town\nOslo\n' >oslo.csv
"$CALOR" sample given --given oslo.csv --count 5 --out oslo-people.csv --quiet || fail "sample given a column"
[[ $(head -1 oslo-people.csv) == height,age,income ]] || fail "the columns that are not given: $(head -1 oslo-people.csv)"
score given people.csv >given.json || fail "score given a column"
expect 2 "--given" "$CALOR" sample given --count 5 --out x.csv

# Points, and stages that are trained apart.
points=(data.count=2000 train.steps=40 train.batch=128 mlp.width=32 mlp.layers=2 train.warmup=5 train.products=standard
  data.labels=false)
"$CALOR" train lfm-rose "${points[@]}" data.source=two-moons stages.particles=exact --parallel 2 --run apart --json 2>log >apart.json ||
  fail "stages in processes: $(cat log)"
grep -q '"outcome": "finished"' apart.json || fail "what --parallel says"
"$CALOR" train lfm-rose "${points[@]}" data.source=two-moons stages.particles=exact --threads 1 --run together --quiet ||
  fail "stages in one process"
cmp apart/model.safetensors together/model.safetensors || fail "apart or together, the same model"
"$CALOR" plot together --side 64 --count 2000 --rtol 1e-3 --atol 1e-3 --out plot.png --json 2>/dev/null | grep -q integral || fail "plot"
"$CALOR" sample together --out points.csv --count 100 --quiet && [[ $(head -1 points.csv) == x1,x2 ]] || fail "points as CSV"
score together points.csv >points.json && grep -q 'exact density' points.json || fail "score points"
for solver in dopri5 tsit5 adams "abm --steps 12" rk4 midpoint heun euler spectral-2m; do
  # shellcheck disable=SC2086
  "$CALOR" sample together --solver $solver --count 100 --out p.npy --quiet || fail "--solver $solver on a chain"
done

# Groups of equal stages are not equal, nor in order.
"$CALOR" train lfm-rose "${points[@]}" data.source=two-moons stages.particles=exact 'stages.gammas=[0.3,0.3,0.3]' 'stages.widths=[]' --run even --quiet &&
  "$CALOR" distill even --stages 2 --grouping measured --pairs 500 --held-out 100 --trial-steps 2 train.steps=5 --run pair --quiet ||
  fail "groups of equal stages"

# Students: maps of one evaluation each, which go on where they were and have no likelihood.
distil=("$CALOR" distill together --pairs 2000 --held-out 200 train.steps=30 --quiet)
"${distil[@]}" --stages 2 --grouping measured --trial-steps 10 --run students || fail "distill"
cp students/model.safetensors first.safetensors
"${distil[@]}" --stages 2 --grouping measured --trial-steps 10 --run students || fail "distill again"
cmp first.safetensors students/model.safetensors || fail "distilling again changes nothing"
"$CALOR" sample students --count 50 --out p.npy --json 2>/dev/null | grep -q '"solver": "map"' || fail "sample a student"
"$CALOR" evaluate students --count 200 --json 2>/dev/null | grep -q wasserstein2 || fail "evaluate a student"
expect 2 "student" "$CALOR" score students
expect 2 "student" "$CALOR" distill students --stages 1 --run others
expect 2 "stages 1 to" "${distil[@]}" --stages 9 --run others
expect 2 "train.\*" "${distil[@]}" --stages 2 --run others mlp.width=8
expect 2 "began with" "${distil[@]}" --stages 1 --run students
expect 2 "stages = 1.*stages = 2" "${distil[@]}" --stages 1 --run students
for method in direct progressive consistency reflow; do
  own=()
  [[ $method == progressive ]] && own=(--halvings 1)
  [[ $method == consistency ]] && own=(--neighbours 3)
  made=("${distil[@]}" --method $method --evaluations 2 "${own[@]}" --run by-$method)
  "${made[@]}" || fail "distill by $method"
  cp by-$method/model.safetensors first.safetensors
  "${made[@]}" || fail "distill by $method again"
  cmp first.safetensors by-$method/model.safetensors || fail "distilling by $method again changes nothing"
  "$CALOR" sample by-$method --count 50 --out p.npy --json 2>/dev/null | grep -q '"nfe": 2' || fail "sample by $method"
  says "student \($method\): 2 evaluations" "$CALOR" info by-$method
done
expect 2 "method = direct.*method = reflow" "${distil[@]}" --method direct --evaluations 2 --run by-reflow
expect 2 "at most 1024" "${distil[@]}" --method progressive --evaluations 256 --halvings 10 --run others
expect 1 "LeNet" "${distil[@]}" --perceptual together/model.safetensors --run others
expect 1 "nowhere" "${distil[@]}" --perceptual nowhere.safetensors --run others
# The store on a full disk: an error that names it, and the same command goes on once there is room.
(trap '' XFSZ && ulimit -f 8 && "${distil[@]}" --run full) 2>full.log && fail "a full disk goes unnoticed"
grep -q '^found: .*full/pairs/border-3.f32' full.log && grep -q '^to do: ' full.log || fail "a full disk: $(cat full.log)"
"${distil[@]}" --run full || fail "distill once there is room"
# A store of another run.
cp -r full/pairs stolen-pairs && mkdir -p stolen && mv stolen-pairs stolen/pairs
expect 1 "belongs to another run" "${distil[@]}" --run stolen train.seed=1

expect 2 "distilled student" "$CALOR" train lfm-rose "${points[@]}" data.source=two-moons stages.evaluations=2 --run others

# What can be wrong.
train=("$CALOR" train lfm-table "${small[@]}" --run bad)
printf 'a,b\n1,2\n3\n' >ragged.csv
expect 1 "ragged.csv.*row 3" "${train[@]}" ragged.csv
printf 'a,b\n1,2\n3,4\n5,6\nx,8\n9,1\n' >text.csv
expect 1 "text.csv, row 5, column .a" "${train[@]}" text.csv "data.columns=a:numeric"
printf 'a,b\n1,2\ninf,4\n5,6\n' >inf.csv
expect 1 "inf.csv, row 3, column .a" "${train[@]}" inf.csv
: >empty.csv
expect 1 "empty.csv" "${train[@]}" empty.csv
printf 'a,b\n1,2\n' >one.csv
expect 2 "two rows|rows" "${train[@]}" one.csv
printf 'a,b\n1,7\n2,7\n3,7\n4,7\n5,7\n6,7\n7,7\n8,7\n9,7\n10,7\n11,7\n' >constant.csv
expect 1 "column .b.* holds only 7" "${train[@]}" constant.csv
printf 'a,a\n1,2\n3,4\n' >twice.csv
expect 1 "'?a'?" "${train[@]}" twice.csv
expect 2 "did you mean 'age'|age" "${train[@]}" people.csv "data.columns=aeg:integer"
expect 2 "stages.gammas" "${train[@]}" people.csv stages.gammas=0.5,0.2
expect 2 "list of numbers" "${train[@]}" people.csv "stages.gammas=[0.2,0.5"
expect 2 "stages.widths" "${train[@]}" people.csv "stages.widths=[8]"
expect 2 "nowhere.csv" "${train[@]}" nowhere.csv
sed 's/Oslo/Trondheim/' people.csv >other.csv
expect 1 "other.csv, row .*Trondheim" "$CALOR" score people other.csv
cut -d, -f1,2 people.csv >narrow.csv
expect 1 "town|income" "$CALOR" score people narrow.csv
expect 1 "tolerance|step|evaluations" "$CALOR" score people --rtol 1e-15 --atol 1e-15 --precision fp32
expect 2 "exact" "$CALOR" train lfm-table people.csv "${small[@]}" --run apart-table --parallel 2
expect 2 "exact" "$CALOR" train lfm-table people.csv "${small[@]}" --run apart-table --stage 1
expect 2 "stage or --parallel" "$CALOR" train lfm-rose --run apart-table --stage 1 --parallel 2
expect 2 "was 3|train.steps" "$CALOR" train lfm-table people.csv "${small[@]}" data.test=0.2 train.steps=151 --run people
expect 2 "a model of points in the plane" bash -c '"$0" train hdfm-glyphs net.width=16 net.depth=2 net.heads=2 net.bottleneck=8 \
  net.context_tokens=2 train.batch=4 train.steps=1 train.sample_every=0 --run pictures --quiet && "$0" plot pictures' "$CALOR"
expect 2 "FILE.csv" "$CALOR" sample people --out people.png
expect 2 "model of pictures for --labels" "$CALOR" score people --labels
expect 2 "for --count" "$CALOR" score people --count 5
cp people.csv scored.csv && expect 2 "read or written" "$CALOR" score people scored.csv --out scored.csv
cmp people.csv scored.csv || fail "a table that was scored is as it was"
expect 2 "for --features" "$CALOR" evaluate people --features none
expect 2 "estimated divergence" "$CALOR" score people --gaussian
expect 2 "classes for --guidance" "$CALOR" sample people --guidance 2 --out never.csv
expect 2 "a table" "$CALOR" data inspect people.csv --out people.png
expect 2 "model of points" "$CALOR" plot people
finish
