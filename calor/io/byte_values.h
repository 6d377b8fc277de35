// Numbers that are bytes though a file has them in another type: pictures saved as floats.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace calor::io {

// Numbers from 0 to 255, of any type, rounded and put into `bytes`, uint8 of the same shape; Error
// naming `origin` where one is not. Row by row, with next to no memory besides.
void put_byte_values(const at::Tensor& numbers, const at::Tensor& bytes, const std::string& origin);
at::Tensor as_byte_values(const at::Tensor& numbers, const std::string& origin);

}  // namespace calor::io
