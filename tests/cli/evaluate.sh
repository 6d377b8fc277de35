#!/usr/bin/env bash
# Samples of pictures, and arrays of numbers, evaluated from end to end: a run, a folder, an array, real pictures beside
# real ones; what the answer holds; the cache of features; and what a person can get wrong. Tables: rows.sh.
# ctest: timeout=600
source "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
export CALOR_DATA="$scratch/data"

# A LeNet whose weights are seven numbers again and again: enough to tell pictures apart.
make_lenet() {
  local header='{' offset=0 name shape bytes
  while read -r name shape bytes; do
    header+="\"$name\":{\"dtype\":\"F32\",\"shape\":[$shape],\"data_offsets\":[$offset,$((offset + bytes))]},"
    offset=$((offset + bytes))
  done <<<"convnet.c1.weight 6,1,5,5 600
convnet.c1.bias 6 24
convnet.c3.weight 16,6,5,5 9600
convnet.c3.bias 16 64
convnet.c5.weight 120,16,5,5 192000
convnet.c5.bias 120 480
fc.f6.weight 84,120 40320
fc.f6.bias 84 336
fc.f7.weight ${1:-10},84 $((${1:-10} * 336))
fc.f7.bias ${1:-10} $((${1:-10} * 4))"
  header="${header%,}}"
  printf '\xcd\xcc\xcc\x3d\xcd\xcc\xcc\xbd\xcd\xcc\x4c\x3d\xcd\xcc\x4c\xbd\xcd\xcc\x4c\x3e\x9a\x99\x19\xbe\x0a\xd7\xa3\x3c' >pattern
  for _ in {1..14}; do cat pattern pattern >longer && mv longer pattern; done
  printf "\\x$(printf %02x $((${#header} % 256)))\\x$(printf %02x $((${#header} / 256)))\0\0\0\0\0\0%s" "$header"
  head -c "$offset" pattern
}
mkdir -p data/weights
make_lenet >data/weights/mnist_lenet.safetensors

# Real pictures, 80 in ten classes: noise, made of the bytes of floating-point samples. And what models draw.
"$CALOR" train hdfm-glyphs "${tiny[@]}" train.steps=1 --run maker --quiet || fail "a model that draws"
"$CALOR" sample maker --count 40 --steps 1 --seed 6 --out noise.npy --quiet || fail "an array"
{ printf '\0\0\x08\x03\0\0\0\x50\0\0\0\x1c\0\0\0\x1c' && tail -c $((80 * 784)) noise.npy; } >real-images-idx3-ubyte
{ printf '\0\0\x08\x01\0\0\0\x50' && for i in $(seq 0 79); do printf "\\x0$((i / 8))"; done; } >real-labels-idx1-ubyte
real=real-images-idx3-ubyte
"$CALOR" sample maker --count 40 --steps 2 --seed 5 --out others --quiet || fail "other pictures"
"$CALOR" train hdfm-fashion-mnist "${tiny[@]}" data.source=$real train.steps=2 --run run --quiet || fail "train"

evaluate() { "$CALOR" evaluate "$@" --json --quiet; }
few=(--count 20 --steps 2 --threads 1)
evaluate run "${few[@]}" --blocks 1 >/dev/null 2>&1 && fail "one block"
evaluate run "${few[@]}" --blocks 2 --block-size 16 >/dev/null 2>&1 && fail "blocks that do not fit"
evaluate run --count 40 --steps 2 --threads 1 --blocks 2 --block-size 16 --classifier data/weights/mnist_lenet.safetensors \
  --plot spectra.png --neighbours nearest.png >run.json || fail "evaluate a run"
for key in samples sample_count reference reference_count reference_order split shape seed nfe solver guidance labels precision \
  ema floor floor_count floor_reference_count warnings features file dimensions distances count real_count frechet_distance \
  frechet_standard_error frechet_blocks kernel_distance kernel_distance_standard_error kernel_distance_subsets \
  kernel_distance_subset_size precision recall density coverage sliced_wasserstein2 wasserstein2 wasserstein2_count \
  energy_distance mmd2_gaussian pairwise_count two_sample_accuracy two_sample_standard_error two_sample_tested pictures \
  spectrum_distance spectrum_standard_error fine_power_06 fine_power_10 patch_grid_power histogram_distance \
  histogram_standard_error histogram_distance_by_channel patch bands power_ratio power_ratio_floor plot classes classifier real \
  by_class accuracy neighbours training searched compared compared_count unit median quantile_01 copied \
  nearer_than_99_percent sheet; do
  grep -q "\"$key\":" run.json || fail "the key $key: $(cat run.json)"
  grep -q "\`$key\`" "$CALOR_SOURCE_DIR/docs/evaluation.md" || fail "docs/evaluation.md does not say what $key is"
done
for part in '"features": "LeNet"' '"dimensions": 84' '"sample_count": 40' '"reference_count": 80' '"split": "train"' '"nfe": 2' \
  '"labels": "in turn"' '"searched": 80' 'two halves' 'biased upwards' '"name": "3"'; do
  grep -qE "$part" run.json || fail "$part: $(cat run.json)"
done
[[ $(head -c 4 spectra.png | tail -c 3) == PNG && $(head -c 4 nearest.png | tail -c 3) == PNG ]] || fail "the pictures"
says 'Frechet distance +[0-9.]+ \+- ' "$CALOR" evaluate run "${few[@]}"
"$CALOR" evaluate run "${few[@]}" >text 2>&1 && grep -qiw fid text && fail "FID is Inception's"

grep -qE 'reads 0[.0-9]* of the real pictures' run.json || fail "a classifier of other classes: $(cat run.json)"
# Classes are drawn as often as the reference has them.
{ head -c 8 real-labels-idx1-ubyte && for i in $(seq 0 79); do printf "\\x0$((i < 40 ? 0 : (i - 40) / 4))"; done; } >uneven-labels-idx1-ubyte
cp real-images-idx3-ubyte uneven-images-idx3-ubyte
evaluate run "${few[@]}" --reference uneven-images-idx3-ubyte --features none >uneven.json &&
  grep -q '"labels": "in the reference.s shares"' uneven.json || fail "shares of classes: $(cat uneven.json)"

# The cache: the same numbers with it, without it, and where it is damaged; it is mended.
cached=("$XDG_CACHE_HOME"/calor/features/*.safetensors)
[[ ${#cached[@]} == 1 && -s ${cached[0]} ]] || fail "one file in the cache: ${cached[*]}"
evaluate run "${few[@]}" >cached.json || fail "with the cache"
evaluate run "${few[@]}" --no-cache >plain.json && cmp cached.json plain.json || fail "the cache changes numbers"
cp "${cached[0]}" whole && head -c 1000 whole >"${cached[0]}"
evaluate run "${few[@]}" >mended.json && cmp cached.json mended.json || fail "a damaged cache"
cmp whole "${cached[0]}" || fail "a damaged cache is mended"

# Folders, arrays and real pictures as samples.
evaluate others --reference $real --features none --searched 0 >folder.json || fail "evaluate a folder"
grep -q '"features": "pixels"' folder.json && grep -q '"neighbours": null' folder.json || fail "what it says: $(cat folder.json)"
"$CALOR" sample maker --count 40 --steps 2 --seed 5 --out others.npy --quiet || fail "an array"
evaluate others.npy --reference $real --features none --searched 0 >array.json || fail "evaluate an array"
diff <(grep -v '"samples"' folder.json) <(grep -v '"samples"' array.json) || fail "a folder and an array of the same pictures"
evaluate $real --reference $real --reference-count 40 --features none >self.json || fail "a set beside itself"
grep -q '"sample_count": 40' self.json && grep -q '"copied": 0.0' self.json || fail "other pictures of one set: $(cat self.json)"
for part in images-idx3 labels-idx1; do cp real-$part-ubyte copy-$part-ubyte; done
evaluate copy-images-idx3-ubyte --reference $real --features none >copies.json || fail "copies"
grep -q '"copied": 1.0' copies.json && grep -q '"nearer_than_99_percent": 1.0' copies.json || fail "copies are seen: $(cat copies.json)"
evaluate $real --reference $real --features none --order stored --reference-count 60 --count 16 >/dev/null 2>&1 &&
  fail "a reference without all classes"
evaluate others --reference $real --features none --searched 0 data.size=14 >size.json && grep -q ' 14' size.json || fail "settings of the data"
evaluate run "${few[@]}" --reference others --features none >given.json && grep -q '"split": "given"' given.json || fail "another reference"

# Two files for one name, flags without a say, and pictures in another range.
expect 2 "read or written" "$CALOR" evaluate run "${few[@]}" --plot one.png --neighbours one.png
expect 2 "blocks for --block-size" "$CALOR" evaluate run "${few[@]}" --block-size 16
expect 2 "search for --held-out" "$CALOR" evaluate run "${few[@]}" --searched 0 --held-out others
printf '\x93NUMPY\x01\0\x76\0%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (20, 1, 28, 28), }" >light.npy
for _ in $(seq 15680); do printf '\0\0\0\x3f'; done >>light.npy
expect 1 "none is below 0" "$CALOR" evaluate light.npy --reference $real
mkdir -p "$(printf 'classes/k\xe4se')" classes/brot && cp others/000000.png classes/brot && cp others/000001.png "$(printf 'classes/k\xe4se')"
expect 1 "UTF-8" "$CALOR" data inspect classes

# A classifier of one's own: trained, resumed, described, used for features and classes, and no flow.
own=(classifier-pictures data.source=$real data.size=0 data.channels=0 train.batch=16 train.checkpoint_every=2 --threads 1 --quiet)
"$CALOR" train "${own[@]}" train.steps=4 --run reader --json >reader.json || fail "train a classifier"
grep -q '"held_out": 0' reader.json || fail "a tenth of eight pictures is none: $(cat reader.json)"
"$CALOR" train "${own[@]}" train.steps=4 data.validation=0.2 --run reader2 --json >reader2.json || fail "hold pictures out"
grep -qE '"held_out": 10' reader2.json && grep -qE '"accuracy": [01]' reader2.json || fail "held out: $(cat reader2.json)"
cp -r reader killed && rm -r killed/model.safetensors killed/checkpoints/0000000004
"$CALOR" train "${own[@]}" train.steps=4 --run killed && cmp reader/model.safetensors killed/model.safetensors || fail "resume a classifier"
says 'a classifier of pictures: 1 x 28 x 28' "$CALOR" info reader
cp reader/config.toml kept.toml
expect 2 "trained weights fit" "$CALOR" train "${own[@]}" train.steps=6 "classifier.widths=[8,16]" --run reader --override
cmp reader/config.toml kept.toml || fail "a change that was refused is not stored"
evaluate run "${few[@]}" --features reader --classifier reader >own.json || fail "evaluate with it"
grep -q '"dimensions": 64' own.json && grep -q "classifier of $real" own.json && grep -q '"by_class"' own.json ||
  fail "what it says: $(cat own.json)"
expect 1 "a classifier" "$CALOR" sample reader --out never.png
expect 2 "of a flow" "$CALOR" train hdfm-fashion-mnist data.source=$real --run reader
expect 2 "of a classifier" "$CALOR" train classifier-mnist data.source=$real --run run
expect 2 "of a classifier" "$CALOR" bench classifier-mnist
expect 2 "labelled pictures" "$CALOR" train classifier-mnist data.source=two-moons --run never
expect 2 "multiples" "$CALOR" train classifier-mnist data.source=$real classifier.groups=7 --run never
expect 2 "train.steps" "$CALOR" train "${own[@]}" train.steps=5 --run reader
[[ ! -e never ]] || fail "a run that could not begin left a folder"

# Rows of numbers as they are, from an array and from a table.
awk 'BEGIN { srand(1); print "a,b"; for (i = 0; i < 40; ++i) printf "%.3f,%.3f\n", rand(), rand() }' >one.csv
awk 'BEGIN { srand(2); print "a,b"; for (i = 0; i < 60; ++i) printf "%.3f,%.3f\n", rand(), rand() + 1 }' >two.csv
evaluate one.csv --reference two.csv --features none >rows.json || fail "rows as they are"
grep -q '"space": "as they are"' rows.json && grep -q '"frechet_distance"' rows.json || fail "what it says: $(cat rows.json)"
grep -qE '"frechet_distance": (0\.[89]|1\.[012])' rows.json || fail "a shift of 1: $(grep frechet_distance rows.json)"
evaluate one.csv --reference two.csv --count 20 >some.json && grep -q '"sample_count": 20' some.json || fail "some of the rows"

# What can be wrong.
expect 2 "nowhere.*none of these" "$CALOR" evaluate nowhere --reference $real
expect 2 "--reference" "$CALOR" evaluate others
expect 2 "--reference" "$CALOR" evaluate one.csv
expect 2 "at most the 40" "$CALOR" evaluate others --reference $real --count 41
expect 2 "at most the 80" "$CALOR" evaluate others --reference $real --reference-count 81
expect 2 "besides the reference" "$CALOR" evaluate $real --reference $real --count 60
expect 2 "10 classes" "$CALOR" evaluate others --reference $real --order stored --reference-count 20
expect 2 "held out" "$CALOR" evaluate run --split test
mkdir three && cp others/00000[0-2].png three
expect 2 "at least 16" "$CALOR" evaluate three --reference $real
"$CALOR" sample maker --count 20 --steps 1 --out wide.npy --quiet && "$CALOR" evaluate others --reference wide.npy --features none \
  --searched 0 --quiet >/dev/null || fail "an array as reference"
"$CALOR" train hdfm-glyphs "${tiny[@]}" data.size=16 train.steps=1 --run small --quiet &&
  "$CALOR" sample small --count 20 --steps 1 --out small-pictures --quiet || fail "small pictures"
expect 2 "1 x 28 x 28" "$CALOR" evaluate small-pictures --reference $real
expect 2 "a run, which says itself" "$CALOR" evaluate run data.size=16
expect 2 "alone" "$CALOR" evaluate run --features none --features data/weights/mnist_lenet.safetensors
expect 1 "LeNet" "$CALOR" evaluate run --features run/model.safetensors
expect 1 "nowhere" "$CALOR" evaluate run --features nowhere.safetensors
make_lenet 7 >seven.safetensors
expect 2 "7 classes" "$CALOR" evaluate run "${few[@]}" --classifier seven.safetensors
expect 2 "without labels" "$CALOR" evaluate others --reference $real --classifier seven.safetensors
CALOR_DATA="$scratch/no-data" expect 2 "--features none" "$CALOR" evaluate others --reference $real
expect 2 "FILE.png" "$CALOR" evaluate run "${few[@]}" --plot spectra.pdf
expect 2 "--searched" "$CALOR" evaluate run "${few[@]}" --searched 81
expect 2 "--searched" "$CALOR" evaluate run "${few[@]}" --searched 2
[[ -z $("$CALOR" evaluate run "${few[@]}" --searched 81 2>/dev/null) ]] || fail "found after the measurements only"
expect 2 "nowhere" "$CALOR" evaluate run "${few[@]}" --held-out nowhere.npy
expect 2 "--held-out pictures of 1 x 28 x 28" "$CALOR" evaluate others --reference $real --features none --held-out small-pictures
expect 2 "divides the sides" "$CALOR" evaluate run "${few[@]}" --patch 5
for k in {0..9}; do mkdir -p names/c$k && cp others/00000$k.png names/c$k; done
expect 2 "'0' and 'c0' as class 0" "$CALOR" evaluate names --reference names --features none --classifier reader
expect 2 "'c0' and '0' as class 0" "$CALOR" evaluate names --reference $real --features none --classifier reader
expect 2 "--searched 0" "$CALOR" evaluate run "${few[@]}" --searched 0 --neighbours n.png
expect 2 "rows" "$CALOR" evaluate one.csv --reference two.csv --plot spectra.png
expect 2 "rows" "$CALOR" evaluate one.csv --reference two.csv --features data/weights/mnist_lenet.safetensors
printf 'a,b\n1,x\n' >text.csv
expect 2 "column b holds texts" "$CALOR" evaluate text.csv --reference two.csv --features none
cut -d, -f1 one.csv >narrow.csv && head -9 one.csv >short.csv
expect 2 "numbers in a row" "$CALOR" evaluate narrow.csv --reference two.csv --features none
expect 2 "at least 16" "$CALOR" evaluate two.csv --reference short.csv
sed '5s/,.*/,nan/' one.csv >holes.csv
expect 2 "holes.csv: row 4, column 2" "$CALOR" evaluate holes.csv --reference two.csv --features none
# Flags without a say.
expect 2 "a run or a model for --steps" "$CALOR" evaluate others --reference $real --steps 7
expect 2 "pictures for --order" "$CALOR" evaluate one.csv --reference two.csv --order stored
expect 2 "leave --split out" "$CALOR" evaluate run --reference $real --split test
# Cells that are missing: each column by the numbers that it has.
awk -F, 'NR == 1 { print "a,b,c"; next } { if (NR % 3 == 0) print "," $2 "," NR; else if (NR % 3 == 1) print $1 ",," NR; else print $1 "," $2 "," }' \
  two.csv >missing.csv
evaluate missing.csv --reference missing.csv >missing.json || fail "a table none of whose rows is complete"
grep -q '"missing_share": 0.33' missing.json && grep -q '"kolmogorov_smirnov": 0.0' missing.json || fail "what it says: $(cat missing.json)"
mkdir empty && expect 1 "empty" "$CALOR" evaluate empty --reference $real
finish
