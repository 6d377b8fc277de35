#!/usr/bin/env bash
# Train, sample, inspect, convert: each command does what its help says, on the embedded data set.
source "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"

says train "$CALOR" --help
# Help is read from a file; with another flag beside it the program proper answers, and says the same.
diff <("$CALOR" --help) <("$CALOR" -h --help) || fail "the help that was written is another one"
for command in train distill rollout "data inspect"; do
  # shellcheck disable=SC2086
  diff <("$CALOR" $command --help) <("$CALOR" $command --help --quiet) || fail "the written help of $command"
done
mkdir alone && cp "$CALOR" alone/ && expect 1 "build or install" alone/calor presets
for command in train distill sample convert info presets "data list" "data inspect"; do
  # shellcheck disable=SC2086
  says Example "$CALOR" $command --help
done
for words in presets "presets hdfm-glyphs" experiment --version; do
  # shellcheck disable=SC2086
  diff <("$CALOR" $words) <("$CALOR" $words --quiet) || fail "the written answer to $words"
done
says hdfm-glyphs "$CALOR" presets
says 'kind = "heat"' "$CALOR" presets hdfm-glyphs
says train.steps "$CALOR" train --settings
says '"fashion-mnist"' "$CALOR" data list --json
"$CALOR" data inspect glyphs --out look.png --json >look.json || fail "data inspect"
grep -q '"channels": 1' look.json && [[ -s look.png ]] || fail "what data inspect says"

"$CALOR" train hdfm-glyphs "${tiny[@]}" train.steps=6 train.checkpoint_every=3 --run run --json >train.json || fail "train"
grep -q '"outcome": "finished"' train.json || fail "train says so"
for file in config.toml model.safetensors metrics.jsonl checkpoints/0000000006/manifest.json; do
  [[ -s run/$file ]] || fail "run folder has $file"
done
before=$(cat run/model.safetensors run/metrics.jsonl | md5sum)
"$CALOR" train hdfm-glyphs "${tiny[@]}" train.steps=6 train.checkpoint_every=3 --run run --quiet || fail "train again"
[[ $(cat run/model.safetensors run/metrics.jsonl | md5sum) == "$before" ]] || fail "a finished run is left as it is"

sample=("$CALOR" sample run --count 6 --steps 4 --quiet)
"${sample[@]}" --out grid.png --trajectory steps.png && [[ -s grid.png && -s steps.png ]] || fail "sample grid and trajectory"
"${sample[@]}" --out a.npy && "${sample[@]}" --out b.npy && cmp a.npy b.npy || fail "same seed, same bytes"
"${sample[@]}" --seed 1 --out c.npy && ! cmp -s a.npy c.npy || fail "another seed, other pictures"
"${sample[@]}" --out files && [[ $(ls files | wc -l) == 6 ]] || fail "a folder of pictures"
cp run/model.safetensors lone.safetensors
"$CALOR" sample lone.safetensors --count 6 --steps 4 --quiet --out d.npy && cmp a.npy d.npy || fail "a lone model file samples the same"
for ema in 2 off; do "${sample[@]}" --ema $ema --out e.npy || fail "--ema $ema"; done
for solver in spectral-2m spectral-1 heun euler paper-heun paper-euler ancestral; do
  "${sample[@]}" --solver $solver --guidance 2 --guidance-interval 0.1 1 --out s.npy || fail "--solver $solver"
done
# Flags without a say in how it is sampled, and files of other kinds.
expect 2 "begins before it ends" "${sample[@]}" --guidance 2 --guidance-interval 0.9 0.1 --out s.npy
expect 2 "guidance other than 1" "${sample[@]}" --guidance 1 --guidance-interval 0.1 0.9 --out s.npy
expect 2 "controls its error" "${sample[@]}" --solver euler --rtol 1e-3 --out s.npy
expect 2 "steps for --steps" "${sample[@]}" --solver dopri5 --out s.npy
expect 2 "for --grid" "${sample[@]}" --solver rk4 --grid uniform --out s.npy
expect 2 "FILE.png" "${sample[@]}" --out s.npy --trajectory steps.gif
expect 2 "for --trajectory" "${sample[@]}" --solver rk4 --out s.npy --trajectory steps.png
expect 2 "FILE.png" "$CALOR" data inspect glyphs --out look.jpg
expect 2 "FILE.safetensors" "$CALOR" convert lone.safetensors --net jit --out converted.pt
"${sample[@]}" --label A --out l.npy && "${sample[@]}" --label 0 --out m.npy && cmp l.npy m.npy || fail "a label by name and number"
# A sample is a function of its noise: what --out wrote is of the noise's shape and serves as one.
"$CALOR" sample run --precision bf16 --count 6 --steps 4 --quiet --out b16.npy && ! cmp -s a.npy b16.npy || fail "--precision bf16"
expect 2 "precision" "$CALOR" sample run --precision fp16
for library in standard onednn; do
  "$CALOR" sample run --products "$library" --count 6 --steps 4 --quiet --out "$library.npy" || fail "--products $library"
done
expect 2 "products.*onednn|standard, onednn" "$CALOR" sample run --products mkl
"$CALOR" sample run --noise a.npy --steps 4 --out n.npy --quiet || fail "--noise"

# What would be lost, or take the place of something else, is refused before any work.
expect 2 "can be written for --out" "${sample[@]}" --out nowhere/s.png
expect 2 "read or written" "$CALOR" sample run --noise a.npy --steps 4 --out a.npy
expect 2 "read or written" "${sample[@]}" --out both.png --trajectory both.png
expect 2 "one grid can hold" "$CALOR" sample run --count 40000 --steps 1 --out s.png
expect 2 "all written anew" "$CALOR" sample run --count 2 --steps 4 --out files
"${sample[@]}" --out files || fail "the same folder again"
"${sample[@]}" --out slash/ && [[ -e slash/000000.png ]] || fail "a folder as people write it"
expect 2 "a value for --out" "${sample[@]}" --out ""
expect 2 "whole number from 0" "${sample[@]}" --out s.npy --seed 99999999999999999999
expect 2 "for --seed" "$CALOR" sample run --noise a.npy --seed 3 --steps 4 --out s.npy
expect 2 "clean predictions for --t-eps" "${sample[@]}" --t-eps 0.1 --out s.npy
"${sample[@]}" --solver heun --t-eps .1 --out s.npy || fail "a number as people write it"
expect 2 "CLASS for --guidance" "${sample[@]}" --label none --guidance 2 --out s.npy
# A path may hold any bytes.
cp lone.safetensors "$(printf 'o\xff.safetensors')"
"$CALOR" info "$(printf 'o\xff.safetensors')" --json >odd.json && grep -q '"numbers"' odd.json || fail "JSON of a path that is no UTF-8"

# --override changes what is still to be trained, or nothing.
again=("$CALOR" train hdfm-glyphs "${tiny[@]}" train.checkpoint_every=3 --override --quiet)
cp run/config.toml kept.toml
expect 2 "steps to take" "${again[@]}" --run run train.steps=6 objective.prediction=v
cmp run/config.toml kept.toml || fail "a change without a step is not stored"
cp -r run longer && "${again[@]}" train.steps=8 --run longer || fail "longer"
grep -q 'steps = 8' longer/config.toml || fail "a change with steps to take is stored"

says "all weights are finite" "$CALOR" info run --check
says net.pos_embed "$CALOR" info lone.safetensors --json --tensors
"$CALOR" convert lone.safetensors --net jit net.width=16 net.depth=2 net.heads=2 net.patch=4 net.bottleneck=8 net.context_tokens=2 \
  net.refine=4 --picture 28 --channels 1 --classes 16 objective.blur_term=exact --out converted.safetensors --quiet || fail "convert"
expect 2 "settings of path" "$CALOR" convert lone.safetensors --net jit stages.steps=3 --out never.safetensors
"$CALOR" sample converted.safetensors --count 6 --steps 4 --guidance 1.5 --quiet --out f.npy && cmp a.npy f.npy || fail "converted weights sample the same"

# A student of a model that predicts the clean picture along a path with a blur, compared by a classifier's layers where
# its weights are at hand.
perceptual=()
weights=${CALOR_DATA:-$CALOR_SOURCE_DIR/../shared/data}/weights/mnist_lenet.safetensors
[[ -f $weights ]] && perceptual=(--perceptual "$weights")
"$CALOR" distill run --evaluations 2 --method consistency --neighbours 2 --pairs 120 --held-out 20 train.steps=3 \
  "${perceptual[@]}" --run student --quiet || fail "distill a model of pictures"
"$CALOR" sample student --count 6 --out g.npy --json 2>/dev/null | grep -q '"nfe": 2' || fail "sample its student"
expect 2 "maps" "$CALOR" sample student --steps 4 --out s.npy
mkdir begun && cp student/distil.txt begun/ && expect 1 "calor distill" "$CALOR" sample begun --out s.npy
expect 2 "stages 1 to 1" "$CALOR" distill run --stages 2 --run others
expect 2 "progressive for --halvings" "$CALOR" distill run --halvings 2 --run others
expect 2 "consistency for --neighbours" "$CALOR" distill run --neighbours 2 --run others
expect 2 "measured for --trial-steps" "$CALOR" distill run --trial-steps 2 --run others
expect 2 "a table for --columns" "$CALOR" data inspect glyphs --columns a:numeric
expect 2 "demonstrations for --actions" "$CALOR" data inspect glyphs --actions a
says "student \(consistency\): 2 evaluations" "$CALOR" info student

# A folder is of a training or of a student; neither takes the other's model.
before=$(md5sum <run/model.safetensors)
expect 2 "that of a training" "$CALOR" distill run --pairs 120 --held-out 20 train.steps=3 --run run
[[ $before == $(md5sum <run/model.safetensors) ]] || fail "a student took the place of its teacher"
expect 2 "distil.txt" "$CALOR" train hdfm-glyphs "${tiny[@]}" --run student
# A change that the weights cannot take leaves the run as it was.
settings=$(md5sum <run/config.toml)
expect 2 "weights fit" "$CALOR" train run net.depth=3 --override
[[ $settings == $(md5sum <run/config.toml) ]] || fail "a refused change was stored"
# An answer that a full disk swallows is none; files that cannot be written are refused before the work.
"$CALOR" info run --json >/dev/full 2>full.txt && fail "a full disk"
grep -q "standard output that takes the answer" full.txt || fail "a full disk: $(cat full.txt)"
"$CALOR" train --help >/dev/full 2>full.txt && fail "a full disk for the help"
grep -q "standard output that takes the text" full.txt || fail "a full disk for the help: $(cat full.txt)"
expect 2 "nowhere: No such file" "$CALOR" evaluate run --count 16 --plot nowhere/spectra.png
# A closed pipe stops a training as Ctrl-C does: saved.
"$CALOR" train fm-rose data.source=two-moons data.count=500 mlp.width=8 train.batch=32 train.steps=100000 --run piped 2>&1 | head -n 2 >/dev/null
ls piped/checkpoints/*/manifest.json >/dev/null || fail "a training whose reader went away has saved nothing"
finish
