#include "calor/io/byte_values.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "calor/core/error.h"

namespace calor::io {

at::Tensor as_byte_values(const at::Tensor& numbers, const std::string& origin) {
  if (numbers.scalar_type() == at::kByte || numbers.numel() == 0) return numbers.to(at::kByte);
  const at::Tensor values = numbers.to(at::kFloat);
  const auto least = values.min().item<float>(), most = values.max().item<float>();
  const bool fits = least >= 0 && most <= 255;  // false for NaN
  if (fits) return values.round().to(at::kByte);
  throw Error("numbers from 0 to 255", fmt::format("{}: {} to {}", origin, least, most),
              "save pictures as bytes, or as floats of the same values");
}

}  // namespace calor::io
