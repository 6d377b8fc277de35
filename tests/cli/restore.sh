#!/usr/bin/env bash
# Restoration from end to end: a small model, every task on pictures that are measured first, a measured file, what the
# answer holds; and what a person can get wrong.
# ctest: timeout=600
source "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
export CALOR_DATA="$scratch/no-data"

train=("$CALOR" train hdfm-glyphs "${tiny[@]}" --quiet)
"${train[@]}" train.steps=20 --run model || fail "a model"
"$CALOR" sample model --count 20 --steps 3 --out pictures --quiet || fail "pictures"
"${train[@]}" data.size=14 net.patch=2 train.steps=1 --run half || fail "a model of pictures half as large"
"$CALOR" sample half --count 3 --steps 1 --out small --quiet && "$CALOR" sample half --count 1 --steps 1 --out mask14 --quiet || fail "small pictures"
cp small/000000.png small.png
"$CALOR" sample model --count 1 --steps 3 --seed 9 --out mask --quiet && cp mask/000000.png mask.png || fail "a mask"

restore() { "$CALOR" restore model "$@" --steps 4 --samples 3 --calibration 8 --quiet; }
for task in deblur superresolve "inpaint --mask mask.png" denoise; do
  # shellcheck disable=SC2086
  restore pictures --simulate --count 4 --task $task --json --out sheet.png >answer.json || fail "$task"
  [[ -s sheet.png ]] || fail "$task: a sheet"
  for key in task sigma data split simulated count requested samples nfe label seed prior_pictures calibration disagreement \
    spread out reference ways psnr ssim frechet solver guidance pictures_per_second; do
    grep -q "\"$key\":" answer.json || fail "$task: the key $key: $(cat answer.json)"
  done
  for part in '"count": 4' '"samples": 3' '"nfe": 4' '"split": "given"' '"name": "wiener"' '"name": "sample"' '"name": "mean"' \
    '"name": "truth"' '"source": "glyphs"' '"reference": 16' '"solver": "ancestral"'; do
    grep -q "$part" answer.json || fail "$task: $part: $(cat answer.json)"
  done
done
says '^bicubic +[0-9]' restore pictures --simulate --count 2 --task superresolve --out sheet.png
says '^truth +- +1.000 +[01]\.[0-9]+' restore pictures --simulate --count 2 --task denoise --out sheet.png

# The same seed makes the same numbers, another one others, and a sample does not depend on how many there are.
restore pictures --simulate --count 2 --task deblur --out a.npy --json >a.json && restore pictures --simulate --count 2 --task deblur \
  --out b.npy --json >b.json && cmp a.npy b.npy || fail "the same seed, the same samples"
diff <(grep -vE '"out"|per_second' a.json) <(grep -vE '"out"|per_second' b.json) || fail "the same seed, the same answer"
restore pictures --simulate --count 2 --task deblur --out c.npy --seed 1 >/dev/null && ! cmp -s a.npy c.npy || fail "another seed"

# Measured files; without the training set and with the spectrum alone; a solver that draws noise.
restore small.png small/000001.png --task superresolve --factor 2 --out big.png --json >big.json && grep -q '"count": 2' big.json &&
  grep -q '"simulated": false' big.json && ! grep -q '"ways"' big.json || fail "measured files: $(cat big.json)"
"$CALOR" restore model small --task superresolve --factor 2 --reduction dct --calibration 0 --fixed --solver spectral-2m --steps 4 \
  --samples 2 --out big.npy --json --quiet >big.json && grep -q '"adaptive": false' big.json &&
  grep -q '"count": 3' big.json && grep -q '"solver": "spectral-2m"' big.json || fail "a measured folder: $(cat big.json)"
"${train[@]}" data.source=pictures train.steps=1 --run orphan && mv pictures moved || fail "a model"
"$CALOR" restore orphan small.png --task superresolve --factor 2 --steps 2 --samples 1 --calibration 4 --out big.png --json --quiet >orphan.json &&
  grep -q '"source": "samples of the model"' orphan.json || fail "without the training set: $(cat orphan.json)"

# Stopped on the way: what is done is written, or it is said that nothing is.
"$CALOR" restore model moved --simulate --task denoise --samples 400 --steps 100 --batch 400 --calibration 4 --out stopped.png --json \
  --quiet >stopped.json 2>stopped.txt &
pid=$!
sleep 4
kill -INT $pid
wait $pid
status=$?
if [[ $status == 0 ]]; then
  grep -q '"requested": 16' stopped.json && ! grep -q '"count": 16' stopped.json && [[ -s stopped.png ]] || fail "a part: $(cat stopped.json)"
else
  [[ $status == 1 && ! -e stopped.png ]] && grep -q 'stopped by a signal' stopped.txt || fail "stopped with $status: $(cat stopped.txt)"
fi

# What a person can get wrong.
before=$(md5sum <small.png)
expect 2 "task" restore small.png
expect 2 "did you mean|one of" restore small.png --task sharpen
expect 2 "IMAGE" restore --task denoise
expect 1 "nowhere.png" restore nowhere.png --task denoise
expect 1 "28 x 28" restore small.png --task denoise
expect 1 "7 x 7.*|14 x 14" restore small.png --task superresolve
expect 1 "clean picture of 28 x 28" restore small.png --simulate --task superresolve
expect 2 "label CLASS for --guidance" restore small.png --task superresolve --factor 2 --guidance 3
"$CALOR" train ihdm-mnist "${tiny[@]}" data.source=moved --run levels train.steps=1 --quiet || fail "a model of levels"
expect 2 "a flow from noise" "$CALOR" restore levels moved/000000.png --task denoise
expect 2 "divides" restore small.png --task superresolve --factor 3
expect 2 "factor" restore small.png --task denoise --factor 2
expect 2 "blur" restore small.png --task denoise --blur 2
expect 2 "mask" restore small.png --task denoise --mask mask.png
expect 2 "mask" restore moved --simulate --task inpaint
expect 2 "for --count" restore small.png --task superresolve --factor 2 --count 3
expect 2 "for --reference" restore small.png --task superresolve --factor 2 --reference 30
expect 2 "mask of 28 x 28.*|--mask: 14 x 14" restore moved --simulate --task inpaint --mask mask14/000000.png
expect 1 "no-mask.png" restore moved --simulate --task inpaint --mask no-mask.png
expect 2 "0.002" restore moved --simulate --task denoise --sigma 0
expect 2 "can be written for --out" restore moved --simulate --task denoise --out nowhere/sheet.png
expect 2 "out FILE" restore moved --simulate --task denoise --out sheet.jpg
expect 2 "files that are read" restore small.png --task superresolve --factor 2 --out small.png
expect 2 "files that are read" restore moved --simulate --task inpaint --mask mask.png --out mask.png
expect 2 "steps on the path" restore moved --simulate --task denoise --solver dopri5
expect 2 "label" restore moved --simulate --task denoise --label 9999
expect 2 "held out" restore --simulate --task denoise
mkdir empty && expect 1 "no picture" restore empty --task denoise
[[ $(md5sum <small.png) == "$before" ]] || fail "what was read is as it was"
"$CALOR" train lfm-rose data.count=1000 train.steps=1 mlp.width=8 mlp.layers=1 stages.gammas=0.1 "stages.widths=[]" train.batch=64 --run rose --quiet || fail "points"
expect 2 "model of pictures" "$CALOR" restore rose small.png --task denoise
"$CALOR" distill model --stages 1 --pairs 100 --held-out 10 train.steps=2 --run student --quiet || fail "a student"
expect 2 "one stage" "$CALOR" restore student small.png --task denoise
finish
