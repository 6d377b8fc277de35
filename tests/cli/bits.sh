#!/usr/bin/env bash
# Bits per dimension from end to end: a model trained on dequantised pictures, scored on a folder; what the answer
# holds; and what a person can get wrong.
source "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
export CALOR_DATA="$scratch/no-data"

# Pictures: what an all but untrained model draws will do.
"$CALOR" train hdfm-glyphs "${tiny[@]}" train.steps=1 --run maker --quiet || fail "a model that draws"
"$CALOR" sample maker --count 20 --steps 2 --out pictures --quiet || fail "pictures"
"$CALOR" sample maker --count 6 --steps 2 --seed 5 --out others --quiet || fail "other pictures"
bits=("$CALOR" train fm-mnist-bits "${tiny[@]}" data.source=pictures train.steps=4 train.checkpoint_every=2)
"${bits[@]}" --run bits --quiet || fail "train on dequantised pictures"
says 'dequantised' "$CALOR" info bits

score() { "$CALOR" score "$@" --rtol 1e-3 --atol 1e-3 --json --quiet; }
in_steps() { "$CALOR" score "$@" --method heun --json --quiet; }
score bits others --out bits.csv >given.json || fail "score a folder"
for key in count data split set_size bits_per_dimension probe_standard_error nats dimensions dequantised given_labels \
  likelihood divergence probes draws method precision rtol atol seed t_eps nfe warnings out most_unusual; do
  grep -q "\"$key\":" given.json || fail "the key $key: $(cat given.json)"
done
for part in '"count": 6' '"split": "given"' '"t_eps": 0' '"dequantised": true' '"divergence": "hutchinson"' '"probes": 2' \
  '"dimensions": 784' 'upper bound' '"warnings": \[\]'; do
  grep -qE "$part" given.json || fail "$part: $(cat given.json)"
done
[[ $(head -1 bits.csv) == item,label,bits_per_dimension,nats,standard_error,rank && $(wc -l <bits.csv) == 7 ]] || fail "bits.csv"
score bits others >again.json && diff <(grep -v '"out"' given.json) <(grep -v '"out"' again.json) || fail "same seed, same bits"
score bits --split train --count 3 >train.json && grep -q '"split": "train"' train.json && grep -q '"count": 3' train.json ||
  fail "pictures of the training set: $(cat train.json)"
score bits others --divergence hutch++ --probes 6 --draws 2 --rank 2 --invert >plus.json && grep -q '"draws": 2' plus.json &&
  grep -q '"inversion_error"' plus.json && grep -q '"item"' plus.json || fail "hutch++: $(cat plus.json)"
says 'bits a dimension' "$CALOR" score bits others --probes 1 --rtol 1e-2 --atol 1e-2

# A chain that predicts the left ends, scored in x-form; and models that were not trained for it, which say so.
"$CALOR" train lfm-fashion-mnist "${tiny[@]}" data.source=pictures data.labels=false data.dequantise_pictures=true \
  time.near_data=0.1 train.steps=2 push.rtol=0.1 push.atol=0.1 --run chain --quiet || fail "a chain"
in_steps chain others --steps 4 >chain.json && grep -q '"t_eps": 0.001' chain.json &&
  grep -q '"warnings": \[\]' chain.json || fail "score a chain: $(cat chain.json)"
in_steps chain others --steps 4 --t-eps 0.05 2>/dev/null | grep -q 't_eps 0.05 is more' || fail "t_eps is too large"
in_steps maker others --steps 2 >maker.json && grep -q 'dequantise_pictures=true' maker.json &&
  grep -q 'time.near_data=0.1' maker.json || fail "warnings: $(cat maker.json)"

expect 2 "held out" "$CALOR" score bits
expect 2 "held out" "$CALOR" score bits --split validation
expect 2 "neither|did you mean" "$CALOR" score bits nowhere
expect 2 "classes" "$CALOR" score bits others --labels
expect 2 "equal steps" "$CALOR" score bits others --steps 4
expect 2 "controls its error" "$CALOR" score bits others --method rk4 --rtol 1e-3
expect 2 "estimated divergence" "$CALOR" score bits others --divergence exact --probes 3
expect 2 "own data for --split" "$CALOR" score bits others --split train
expect 2 "FILE.csv" "$CALOR" score bits others --out bits.txt
expect 2 "at least 3 probes" "$CALOR" score bits others --divergence hutch++ --probes 2
expect 2 "mlp" "$CALOR" score bits others --precision fp64
mkdir empty && expect 1 "empty" "$CALOR" score bits empty
"$CALOR" train hdfm-glyphs "${tiny[@]}" data.size=16 train.steps=1 --run small --quiet && "$CALOR" sample small --count 4 --steps 1 \
  --out small-pictures --quiet || fail "small pictures"
expect 1 "1 x 28 x 28" "$CALOR" score bits small-pictures
"$CALOR" distill bits --stages 1 --pairs 100 --held-out 10 train.steps=2 --run student --quiet || fail "a student"
expect 2 "student" "$CALOR" score student others
finish
