#!/usr/bin/env bash
# Policies from end to end: demonstrations, a small policy, rollouts; and what a person can get wrong.
source "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
export CALOR_DATA="$scratch/no-data"

"$CALOR" data record two-ways.npz --episodes 6 --quiet || fail "demonstrations"
"$CALOR" data record again.npz --episodes 6 --quiet && cmp two-ways.npz again.npz || fail "same seed, same demonstrations"
says '6 episodes' "$CALOR" data inspect two-ways.npz
says 'episode_ends' "$CALOR" data inspect two-ways.npz

small=(net.kind=chunk-unet chunk.widths=[8,16] chunk.embedding=8 chunk.groups=4 train.batch=8 train.warmup=1 push.rtol=0.1
  push.atol=0.1 train.validate_every=2 train.checkpoint_every=2)
train=("$CALOR" train lfm-two-ways two-ways.npz "${small[@]}" train.steps=3)
"${train[@]}" --run run --quiet || fail "train a policy"
"${train[@]}" --run run --quiet || fail "the same command again"
says 'chunk-unet' "$CALOR" info run
roll() { "$CALOR" rollout "$@" --environment two-ways --episodes 4 --max-steps 9 --json --quiet; }
roll run --video film.gif >one.json || fail "rollout"
for key in environment episodes seed mean_best_reward success nfe milliseconds_per_decision budget_ms late ways outcome video each; do
  grep -q "\"$key\":" one.json || fail "the key $key: $(cat one.json)"
done
[[ $(head -c 6 film.gif) == GIF89a ]] || fail "film.gif"
# What an episode comes to does not depend on the workers; times do.
roll run --workers 3 >three.json && diff <(sed -n '/"each"/,$p' one.json) <(sed -n '/"each"/,$p' three.json) ||
  fail "three workers give other episodes than one"
roll run --solver euler --steps 1 >euler.json && ! diff -q one.json euler.json >/dev/null || fail "--solver euler"
# The environment is the one that the policy fits.
"$CALOR" rollout run --episodes 4 --max-steps 9 --json --quiet >fits.json && grep -q '"environment": "two-ways"' fits.json &&
  diff <(sed -n '/"each"/,$p' one.json) <(sed -n '/"each"/,$p' fits.json) || fail "without --environment: $(cat fits.json)"
expect 2 "none is 'nope'" "$CALOR" rollout run --observation nope
expect 2 "FILE.gif" "$CALOR" rollout run --video film.mp4
expect 2 "for --grid" "$CALOR" rollout run --solver rk4 --grid uniform
expect 2 "calor rollout" "$CALOR" score run
expect 2 "FILE.npz" "$CALOR" data record two-ways.zip
roll run/model.safetensors >/dev/null || fail "a lone model file"
for how in noise plan; do
  roll run --warm-start "$how" >warm.json && ! diff -q one.json warm.json >/dev/null || fail "--warm-start $how"
done
says '0 later than 60000.0 ms' "$CALOR" rollout run --environment two-ways --episodes 1 --max-steps 2 --budget 60000 --solver euler
expect 1 "the fewest" "$CALOR" rollout run --environment two-ways --episodes 1 --budget 0.001 --solver euler
expect 2 "warm_start" "$CALOR" rollout run --environment two-ways --warm-start hot
expect 2 "plan for --warm-depth" "$CALOR" rollout run --warm-depth 0.5

# Diffusion, the baseline: in 100 steps of DDPM, as its preset has it, and in 10 of DDIM.
ddpm=("$CALOR" train ddpm-pusht-small two-ways.npz "${small[@]}" data.observations=state train.parts=1 train.steps=3)
"${ddpm[@]}" --run ddpm --quiet || fail "train a diffusion policy"
roll ddpm >ddpm.json && grep -q '"nfe": *100' ddpm.json || fail "DDPM-100: $(cat ddpm.json)"
roll ddpm --workers 3 >ddpm3.json && diff <(sed -n '/"each"/,$p' ddpm.json) <(sed -n '/"each"/,$p' ddpm3.json) ||
  fail "three workers give other episodes of DDPM than one"
roll ddpm --solver spectral-1 --steps 10 >ddim.json && grep -q '"nfe": *10[.,]' ddim.json || fail "DDIM-10: $(cat ddim.json)"
roll ddpm --solver spectral-1 --steps 10 --grid leading >leading.json || fail "--grid leading"
expect 2 "sample.grid" "$CALOR" rollout ddpm --environment two-ways --grid even

# Policies of pictures, by either network.
"$CALOR" data record seen.npz --episodes 4 --pictures 48 --quiet || fail "demonstrations with pictures"
says 'a picture of 48 x 48 x 3' "$CALOR" data inspect seen.npz --observations "img" --out frames.png
[[ -s frames.png ]] || fail "frames.png"
eyes=(vision.widths=[4,8] vision.groups=2 vision.points=4 vision.features=4)
for kind in chunk-unet chunk-transformer; do
  "$CALOR" train lfm-two-ways seen.npz "${small[@]}" "${eyes[@]}" net.kind=$kind chunk_transformer.width=16 chunk_transformer.depth=1 \
    'data.observations="img state"' train.steps=2 --run $kind --quiet || fail "train $kind on pictures"
  says '2 pictures of 48 x 48' "$CALOR" info $kind
  roll $kind | grep -q '"error": ""' || fail "roll out $kind of pictures"
done
seen=("$CALOR" train lfm-two-ways seen.npz "${small[@]}" train.steps=2 --run other)
expect 1 "'img'" "${seen[@]}" 'data.observations="image"'
expect 2 "vision.widths" "${seen[@]}" 'data.observations="img"' vision.widths=[8,8,8,8,8]
expect 2 "vision.groups" "${seen[@]}" 'data.observations="img"' vision.widths=[12]
expect 2 "chunk-unet" "${seen[@]}" 'data.observations="img"' net.kind=mlp
expect 2 "heads" "${seen[@]}" net.kind=chunk-transformer chunk_transformer.heads=3
expect 2 "among the observations" "$CALOR" data inspect two-ways.npz --out none.png

"$CALOR" distill run --stages 1 --pairs 200 --held-out 50 --run student train.steps=3 --quiet || fail "distil a policy"
roll student >student.json && grep -q '"nfe": 1.0' student.json || fail "a student of one evaluation: $(cat student.json)"
expect 2 "begins at noise" "$CALOR" rollout student --warm-start plan

expect 2 "rollout" "$CALOR" sample run
expect 2 "did you mean|two-ways" "$CALOR" rollout run --environment two-way
expect 2 "2 numbers" "$CALOR" rollout run --environment pusht
expect 2 "--observation|observation" "$CALOR" rollout run --environment two-ways --observation keypoints
expect 2 "solver" "$CALOR" rollout run --environment two-ways --solver fast
expect 1 "does not exist" "$CALOR" rollout nothing
"$CALOR" train lfm-tree data.count=100 train.steps=1 mlp.width=8 train.batch=8 push.rtol=0.1 push.atol=0.1 --run tree --quiet &&
  expect 1 "demonstrations" "$CALOR" rollout tree || fail "a model that is no policy"
expect 1 "'state'" "${train[@]}" 'data.observations="stat"' --run other
echo "no such file" >wrong.hdf5
expect 1 "HDF5" "${train[@]/two-ways.npz/wrong.hdf5}" --run other
expect 1 "wrong.hdf5" "$CALOR" data inspect wrong.hdf5
expect 2 "within its 2" "${train[@]}" 'data.observations="state[1:3]"' --run other
expect 2 "data.execute" "${train[@]}" data.execute=16 --run other
expect 2 "a number of steps that" "${train[@]}" data.chunk=17 --run other
finish
