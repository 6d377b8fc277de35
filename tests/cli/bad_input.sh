#!/usr/bin/env bash
# Whatever a person gets wrong ends in an error of three parts, with status 2 for a wrong request and 1 for anything
# else, and nothing is lost.
source "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
export CALOR_DATA="$scratch/no-data"
calor=$CALOR
train=("$calor" train hdfm-glyphs "${tiny[@]}" train.steps=2)

# Wrong usage.
expect 2 "subcommand" "$calor"
expect 2 "did you mean 'train'" "$calor" trian
expect 2 "did you mean '--count'|--cuont" "$calor" sample base --cuont 3
expect 2 "hdfm-glyphs" "$calor" train hdfm-glyph
expect 2 "none was named" "$calor" train
expect 2 "did you mean 'train.steps'" "${train[@]}" train.step=3
expect 2 "an integer at least|an integer 1 to" "${train[@]}" train.steps=0
expect 2 "an integer" "${train[@]}" train.batch=many
expect 2 "a number" "${train[@]}" train.lr=nan
expect 2 "one of linear" "${train[@]}" path.kind=lineal
expect 2 "true or false" "${train[@]}" data.flip=7
expect 2 "key=value" "${train[@]}" train.lr
expect 2 "net.patch = 5" "${train[@]}" net.patch=5 --run patch
expect 2 "net.heads" "${train[@]}" net.heads=3 --run heads
expect 2 "layer_sync_from" "${train[@]}" objective.layer_sync=1 --run sync
expect 2 "--device" "${train[@]}" --device gpu
expect 2 "cuda" "${train[@]}" --device cuda:7
printf '[train]\nstpes = 3\n' >typo.toml
expect 2 "typo.toml: unknown key 'train.stpes'" "$calor" train typo.toml
expect 2 "did you mean 'train.steps'" "$calor" train typo.toml
printf '[train\nsteps = 3\n' >broken.toml
expect 2 "broken.toml, line 1" "$calor" train broken.toml
expect 1 "missing.toml" "$calor" train missing.toml

# Data.
expect 1 "calor/mnist|train-images" "$calor" train hdfm-mnist
expect 1 "no-data" "$calor" train hdfm-mnist
expect 2 "nowhere" "${train[@]}" data.source=nowhere/at/all
mkdir -p pictures/a pictures/b empty
"$calor" sample --help >/dev/null
expect 1 "empty" "${train[@]}" data.source=empty
expect 2 "'pictures' and 'empty'" "${train[@]}" pictures empty
expect 2 "data.validation" "${train[@]}" data.validation=0.2 --run shares
expect 2 "data.test" "$calor" train fm-rose data.test=0.2 --run shares
expect 2 "0 to 4096" "$calor" data inspect pictures --size 5000
printf '%s = 1\n' "a$(printf '.a%.0s' {1..100000})" >deep.toml
expect 2 "of a few parts" "$calor" train deep.toml
"${train[@]}" --run base --quiet && cp -r base whole || fail "a run to begin with"
"$calor" sample base --count 4 --steps 2 --out pictures/a --quiet || fail "pictures to begin with"
cp pictures/a/*.png pictures/b/
head -c 60 pictures/a/000000.png >pictures/b/000001.png
expect 1 "b/000001.png" "${train[@]}" data.source=pictures --run broken
head -c 60 pictures/a/000000.png >single.png

# Model files and runs.
expect 1 "does not exist" "$calor" sample nowhere
expect 1 "no model.safetensors" "$calor" sample empty
mkdir "my run"
expect 1 "calor train 'my run'" "$calor" sample "my run"
head -c 1000 base/model.safetensors >short.safetensors
expect 1 "short.safetensors" "$calor" sample short.safetensors
printf '\x80\x02}q\x00.' >pickle.pt
expect 1 "pickle" "$calor" info pickle.pt
expect 1 "single.png" "$calor" info single.png
expect 2 "label" "$calor" sample base --label 99
expect 2 "did you mean|--label" "$calor" sample base --label zz
expect 2 "steps" "$calor" sample base --steps 0
expect 2 "one of spectral-2m" "$calor" sample base --solver heunn
expect 2 "out FILE" "$calor" sample base --out picture.jpg
expect 1 "nowhere.npy" "$calor" sample base --noise nowhere.npy
expect 2 "lone model file" "$calor" sample base/model.safetensors --ema 2
expect 2 "count" "$calor" sample base --count 0
"$calor" sample base --count 4 --steps 2 --out array.npy --quiet
head -c 90 array.npy >short.npy
expect 1 "short.npy" "$calor" sample base --noise short.npy
expect 1 "no tensor of that name|net.pos_embed|shape" "$calor" convert base/model.safetensors --net jit --size B --out x.safetensors
expect 2 "named --size for --patch" "$calor" convert base/model.safetensors --patch 8 --out x.safetensors
[[ ! -e x.safetensors ]] || fail "a refused conversion leaves no file"

# Resume.
expect 2 "train.lr = 0.5" "${train[@]}" train.lr=0.5 --run base
"$calor" train base --quiet || fail "a run folder resumes"
md5=$(md5sum <base/model.safetensors)
flip() { printf "\\x$(printf %02x $((0x$(xxd -p -s "$2" -l 1 "$1" 2>/dev/null || od -An -tx1 -j "$2" -N 1 "$1" | tr -d ' ') ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
flip base/checkpoints/0000000002/weights.safetensors 400
expect 1 "checksum|damaged|whole checkpoint" "$calor" train base
[[ $(md5sum <base/model.safetensors) == "$md5" ]] || fail "a damaged checkpoint leaves the model alone"

# Places that cannot be written. Root may write anywhere, so a file stands where a folder should be.
touch file
expect 1 "file" "${train[@]}" --run file/run
expect 2 "no folder, but a file" "$calor" sample base/model.safetensors --count 1 --steps 1 --out file/grid.png
[[ ! -e broken && ! -e patch/model.safetensors ]] || fail "refused runs leave nothing that looks trained"

# A build for sanitizers is linked to its engine, whose libraries then speak before the program does.
ldd "$calor" | grep -q libcalor_engine ||
  { mkdir gone && says 'a working folder' bash -c 'cd gone && rmdir ../gone && "$0" info nowhere 2>&1' "$calor"; }

# A disk that fills up: files of at most 60 KiB hold no checkpoint. Nothing half is left, and the same command goes on.
expect 1 "File too large" bash -c 'ulimit -f 60; exec "$@"' calor "${train[@]}" --run full
[[ -z $(ls full/checkpoints) && ! -e full/model.safetensors ]] || fail "half a checkpoint: $(ls full/checkpoints)"
"${train[@]}" --run full --quiet && cmp full/checkpoints/0000000002/weights.safetensors whole/checkpoints/0000000002/weights.safetensors ||
  fail "gone on with after a full disk"
# Standard files that are closed get nothing else in their place.
"${train[@]}" --run closed --quiet 0<&- 1>&- 2>&- && [[ ! -s closed/run.lock ]] || fail "closed standard files: $(cat closed/run.lock)"
"${train[@]}" --run closed 2>&- && [[ ! -s closed/run.lock ]] || fail "what was said went into the run: $(cat closed/run.lock)"
: >closed/config.toml
expect 1 "settings of a run" "${train[@]}" --run closed
expect 1 "settings of a run" "$calor" train closed

# Errors are JSON where JSON was asked for.
says '"expected"' "$calor" sample nowhere --json
says '"expected"' "$calor" frob --json
says '"expected"' "$calor" sample base --frob --json
finish
