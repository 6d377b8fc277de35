#!/usr/bin/env bash
# The other blur models from end to end: inverse heat dissipation, which begins with blurred training pictures and has
# its own sampler, and blurring diffusion.
# ctest: timeout=600
source "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
levels=(path.levels=6 sample.steps=6 path.sigma_max=8)
ihdm=("$CALOR" train ihdm-fashion-mnist data.source=glyphs "${tiny[@]}" train.parts=1 train.steps=6 train.checkpoint_every=3
  "${levels[@]}")

"${ihdm[@]}" train.sample_every=3 --run ihdm --json >train.json || fail "train ihdm"
grep -q '"outcome": "finished"' train.json && [[ -s ihdm/samples/0000000006.png ]] || fail "samples of training"
sample=("$CALOR" sample ihdm --count 12 --quiet)
"${sample[@]}" --out a.npy && "${sample[@]}" --out c.npy && cmp a.npy c.npy || fail "the same command, the same bytes"
"${sample[@]}" --seed 1 --out d.npy && ! cmp -s a.npy d.npy || fail "another seed, other pictures"
"$CALOR" sample ihdm --count 12 --json --out e.npy 2>/dev/null | grep -q '"nfe": 6' || fail "one evaluation for each level"
"${sample[@]}" --out grid.png --trajectory steps.png && [[ -s grid.png && -s steps.png ]] || fail "grid and trajectory"

# Other pictures to begin with: a folder of them, which has no labels of the model's.
mkdir start && "$CALOR" sample ihdm --count 3 --out start/pictures --quiet || fail "pictures in a folder"
"${sample[@]}" --start start/pictures --out f.npy && ! cmp -s a.npy f.npy || fail "--start"
cp ihdm/model.safetensors lone.safetensors
"$CALOR" sample lone.safetensors --count 12 --quiet --out g.npy && cmp a.npy g.npy || fail "a lone model file knows its pictures"

# What does not apply.
expect 2 "sample.solver" "${sample[@]}" --solver spectral-2m
expect 2 "6 steps" "${sample[@]}" --steps 5
expect 2 "noise or --start" "${sample[@]}" --noise a.npy --start start/pictures
expect 2 "nowhere" "${sample[@]}" --start nowhere/at/all.npy
expect 2 "likelihood" "$CALOR" score ihdm --split train --count 4
expect 2 "ihdm" "$CALOR" distill ihdm --run student
expect 2 "6 steps|one for each level" "${ihdm[@]}" sample.steps=5 --run wrong
[[ ! -e wrong ]] || fail "no folder for a run that cannot begin"
expect 2 "less-blurred" "${ihdm[@]}" objective.prediction=x --run wrong
expect 2 "sigma_min" "${ihdm[@]}" path.sigma_max=0.1 --run wrong
expect 2 "less-blurred" "$CALOR" train hdfm-glyphs objective.loss=less-blurred --run wrong
expect 2 "path.kind = \"ihdm\" for the solver" "$CALOR" train hdfm-glyphs sample.solver=ihdm --run wrong

# Training pictures that are gone.
mkdir pictures && cp start/pictures/*.png pictures/
"${ihdm[@]}" data.source=pictures --run gone --quiet || fail "train on a folder"
"$CALOR" sample gone --count 2 --quiet --out h.npy || fail "sample it"
rm -r pictures
expect 2 "name other pictures with --start" "$CALOR" sample gone --count 2 --out i.npy
"$CALOR" sample gone --count 2 --start start/pictures --quiet --out j.npy && cmp h.npy j.npy || fail "the same pictures elsewhere"

"$CALOR" train blurring-fashion-mnist data.source=glyphs "${tiny[@]}" train.parts=1 train.steps=6 train.checkpoint_every=3 \
  --run blurring --quiet || fail "train blurring diffusion"
"$CALOR" sample blurring --count 4 --steps 8 --quiet --out k.npy || fail "sample it by its ancestral sampler"
"$CALOR" sample blurring --count 4 --steps 8 --solver spectral-2m --quiet --out l.npy && ! cmp -s k.npy l.npy || fail "and by another"
expect 2 "begins at noise" "$CALOR" sample blurring --count 4 --start glyphs
finish
