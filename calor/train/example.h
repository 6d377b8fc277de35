// What is random about a training example, each a function of the example's own key, so that
// neither the batch nor the number of threads matters.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "calor/core/random.h"
#include "calor/path/picture_space.h"
#include "calor/path/stage_path.h"
#include "calor/path/training_times.h"

namespace calor::train {

// A number in (0, 1).
double uniform_of(RandomKey example, RandomUse use);

// The stream of a batch's dropout.
RandomKey dropout_key(std::span<const RandomKey> examples);

// Standard normal noise like x: one stream per example on the CPU; on a GPU its own generator,
// which is faster than the host could draw and send, from the key of the first example.
at::Tensor draw_noise(const at::Tensor& x, std::span<const RandomKey> keys, RandomUse use);

// fp32 [keys * times]: the times of each example, one after another.
at::Tensor draw_times(const path::TrainingTimes& law, std::span<const RandomKey> keys,
                      std::int64_t times);

// The stage's left law given the data x [N, C, H, W]: kept x + spread noise_scale g per frequency
// (METHODS: exact particles).
at::Tensor exact_left(const at::Tensor& x, const path::StageStep& step,
                      const path::PictureSpace& space, std::span<const RandomKey> keys);

}  // namespace calor::train
