// What students learn (METHODS: distillation), each as a lesson for a stage's trainer. All compare
// states by a distance that the caller chooses, and judge held-out rows by the whole map: the
// distance between what it makes of a right end, in all its evaluations, and the left end.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>

#include "calor/distill/way.h"
#include "calor/train/lesson.h"

namespace calor::distill {

// Between states made and wanted [N, C, H, W]: a scalar, differentiable, 0 where they are equal.
using Distance = std::function<at::Tensor(const at::Tensor& made, const at::Tensor& wanted)>;

struct Material {
  Way training, held_out;  // of the same times
  Distance distance;
};

// Direct regression: one evaluation carries the state at a time of the way, drawn for each row, to
// the state at the next. The way's times are the map's own.
std::shared_ptr<const train::Lesson> regression(Material material);

// Progressive halving (Salimans and Ho 2022): one evaluation does what `before`, the weights of a
// map with twice as many, does in two. The way's times are those of the map before; the held-out
// way may have any.
std::shared_ptr<const train::Lesson> halving(Material material, at::Tensor before);

// Consistency (Song et al. 2023; in pieces as by Heek et al. 2024): of two neighbours on the way,
// the one towards noise is carried by one evaluation to where the average of the weights carries
// the other: the end of their evaluation's part of the way, `neighbours` of the way's pieces. At
// that end a map is the state itself, whatever its network says.
std::shared_ptr<const train::Lesson> consistency(Material material, std::int64_t neighbours);

// Reflow (Liu et al. 2023): the velocity of the straight way from an item's right end to its left
// one, at a uniform time, by the mean square. Held-out rows are judged by the same loss at fixed
// times.
std::shared_ptr<const train::Lesson> straightening(Material material);

// dz/dt of a flow trained by `straightening`, z [N, C, H, W], t [N] < 1.
at::Tensor straight_velocity(const flow::Stage& stage, const at::Tensor& z, const at::Tensor& t,
                             const flow::Given& given);

}  // namespace calor::distill
