// Plain loops over bytes instead of tensor operations: loader threads run this, and tensor
// operations would start a team of compute threads under each of them.
#include "calor/data/transform.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "calor/core/error.h"
#include "calor/data/resize.h"

namespace calor::data {
namespace {

at::Tensor grey_of(const at::Tensor& rgb) {
  const at::Tensor source = rgb.contiguous();
  at::Tensor result = at::empty({1, source.size(1), source.size(2)}, at::kByte);
  const auto pixels = static_cast<std::size_t>(result.numel());
  const auto* red = source.const_data_ptr<std::uint8_t>();
  const auto* green = red + pixels;
  const auto* blue = green + pixels;
  auto* grey = result.data_ptr<std::uint8_t>();
  for (std::size_t i = 0; i < pixels; ++i) {
    const unsigned int luma = 299U * red[i] + 587U * green[i] + 114U * blue[i];
    grey[i] = static_cast<std::uint8_t>((luma + 500U) / 1000U);
  }
  return result;
}

at::Tensor repeat_grey(const at::Tensor& grey) {
  const at::Tensor source = grey.contiguous();
  at::Tensor result = at::empty({3, source.size(1), source.size(2)}, at::kByte);
  auto* out = static_cast<std::byte*>(result.data_ptr());
  for (int c = 0; c < 3; ++c, out += source.nbytes()) {
    std::memcpy(out, source.const_data_ptr(), source.nbytes());
  }
  return result;
}

at::Tensor pad_with_black(const at::Tensor& picture, std::int64_t pad) {
  const at::Tensor source = picture.contiguous();
  const std::int64_t height = source.size(1);
  const std::int64_t width = source.size(2);
  at::Tensor result = at::empty({source.size(0), height + 2 * pad, width + 2 * pad}, at::kByte);
  const auto* in = source.const_data_ptr<std::uint8_t>();
  auto* out = result.data_ptr<std::uint8_t>();
  std::memset(out, 0, result.nbytes());
  for (std::int64_t c = 0; c < source.size(0); ++c) {
    for (std::int64_t y = 0; y < height; ++y, in += width) {
      std::memcpy(out + ((c * (height + 2 * pad)) + y + pad) * (width + 2 * pad) + pad, in,
                  static_cast<std::size_t>(width));
    }
  }
  return result;
}

}  // namespace

at::Tensor to_channels(const at::Tensor& picture, std::int64_t channels) {
  if (picture.size(0) == channels) return picture;
  return channels == 1 ? grey_of(picture) : repeat_grey(picture);
}

at::Tensor PictureTransform::operator()(at::Tensor picture) const {
  if (channels > 0) picture = to_channels(picture, channels);
  if (size > 0) picture = resize_and_crop(picture, size);
  if (pad > 0) picture = pad_with_black(picture, pad);
  return picture;
}

at::Tensor PictureTransform::all(const at::Tensor& pictures) const {
  if (pictures.size(0) == 0) return pictures;
  const at::Tensor first = (*this)(pictures.select(0, 0));
  std::vector<std::int64_t> shape = first.sizes().vec();
  shape.insert(shape.begin(), pictures.size(0));
  if (pictures.sizes() == at::IntArrayRef(shape)) return pictures;
  at::Tensor result = at::empty(shape, at::kByte);
  auto* out = static_cast<std::byte*>(result.data_ptr());
  at::parallel_for(0, pictures.size(0), 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const at::Tensor picture = (*this)(pictures.select(0, i)).contiguous();
      std::memcpy(out + static_cast<std::size_t>(i) * picture.nbytes(), picture.const_data_ptr(),
                  picture.nbytes());
    }
  });
  return result;
}

void check_same_shape(const at::Tensor& first, const std::string& first_name,
                      const at::Tensor& picture, const std::string& name) {
  if (picture.sizes() == first.sizes()) return;
  const auto words = [](const at::Tensor& p) {
    return fmt::format("{} x {} ({})", p.size(2), p.size(1), p.size(0) == 1 ? "grey" : "colour");
  };
  const bool same_size = picture.sizes().slice(1) == first.sizes().slice(1);
  throw Error(same_size ? "pictures that are all grey or all in colour"
                        : "pictures of one size (width x height)",
              fmt::format("{} is {}, {} is {}", first_name, words(first), name, words(picture)),
              same_size ? "set data.channels to 1 or 3 to convert them all"
                        : "set data.size, for example data.size=64, to resize and crop them all "
                          "to squares of that side");
}

}  // namespace calor::data
