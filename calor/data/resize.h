// Resampling of byte pictures.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace calor::data {

// uint8 [channels, H, W] to [channels, size, size]: the short side becomes `size`, both sides keep
// their proportion, and the middle is kept. Antialiased; a picture that fits already is only cut.
// Runs on the calling thread alone.
at::Tensor resize_and_crop(const at::Tensor& picture, std::int64_t size);

}  // namespace calor::data
