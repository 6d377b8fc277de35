// What is done to every picture of a set, whatever file it comes from: channels, size, padding.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace calor::data {

struct PictureTransform {
  std::int64_t channels = 0;  // 1, 3, or 0: as stored
  std::int64_t size = 0;      // side after resizing and centre crop; 0: as stored
  std::int64_t pad = 0;       // black rows and columns added on each side, last

  // uint8 [channels, H, W], on the calling thread alone; may return its argument.
  at::Tensor operator()(at::Tensor picture) const;
  // uint8 [n, channels, H, W], on all compute threads.
  at::Tensor all(const at::Tensor& pictures) const;
};

// uint8 [1 or 3, H, W] to 1 channel (luma of ITU-R BT.601) or 3 (grey repeated).
at::Tensor to_channels(const at::Tensor& picture, std::int64_t channels);

// Throws where a transformed picture has not the shape of those before it, saying both sizes.
void check_same_shape(const at::Tensor& first, const std::string& first_name,
                      const at::Tensor& picture, const std::string& name);

}  // namespace calor::data
