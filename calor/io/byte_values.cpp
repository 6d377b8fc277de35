#include "calor/io/byte_values.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "calor/core/error.h"
#include "calor/io/bytes.h"

namespace calor::io {
namespace {

void put_row(const at::Tensor& numbers, const at::Tensor& bytes, const std::string& origin) {
  if (numbers.numel() == 0) return;
  const at::Tensor values = numbers.to(at::kFloat);
  const auto least = values.min().item<float>(), most = values.max().item<float>();
  const bool fits = least >= 0 && most <= 255;  // false for NaN
  if (!fits) {
    throw Error("numbers from 0 to 255", fmt::format("{}: {} to {}", origin, least, most),
                "save pictures as bytes, or as floats of the same values");
  }
  bytes.copy_(values.round());
}

}  // namespace

void put_byte_values(const at::Tensor& numbers, const at::Tensor& bytes,
                     const std::string& origin) {
  if (numbers.dim() == 0) return put_row(numbers, bytes, origin);
  for (std::int64_t i = 0; i < numbers.size(0); ++i) put_row(numbers[i], bytes[i], origin);
}

at::Tensor as_byte_values(const at::Tensor& numbers, const std::string& origin) {
  if (numbers.scalar_type() == at::kByte) return numbers;
  at::Tensor bytes = allocate(numbers.sizes(), at::kByte, origin);
  put_byte_values(numbers, bytes, origin);
  return bytes;
}

}  // namespace calor::io
