// Grey levels made continuous and back. A density of bytes as such is infinite, so a likelihood is
// that of bytes with uniform noise within their level, and a model of it is trained on the same
// (Theis, van den Oord and Bethge, "A note on the evaluation of generative models", 2016).
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>

#include "calor/core/random.h"
#include "calor/data/dataset.h"

namespace calor::data {

// The numbers that stand for the level u: from scale u + shift to scale (u + 1) + shift.
struct LevelCells {
  double scale = 0, shift = 0;
};
// Of a model of dequantised pictures 2/256 and -1: all of [-1, 1]. Of others, which know the level
// as u / 127.5 - 1, the cells of width 2/255 around those numbers.
LevelCells level_cells(const ItemSpec& pictures);

// scale (u + n) + shift in fp32 for bytes u [N, ...] and n uniform in (0, 1), item i from the
// stream keys[i]. On the calling thread alone.
at::Tensor dequantise(const at::Tensor& bytes, std::span<const RandomKey> keys,
                      const LevelCells& cells);

// A set of pictures with fresh noise each time that one is used: a function of the seed and of the
// position in the run, like flips, so that resuming needs no state. Its spec says `dequantised`.
std::shared_ptr<const Dataset> with_dequantised(std::shared_ptr<const Dataset> pictures);

// A model's numbers as bytes: the level whose cell holds them where the model is one of dequantised
// pictures, else the nearest level; clamped. Any shape.
at::Tensor to_bytes(const at::Tensor& items, const ItemSpec& pictures);

}  // namespace calor::data
