// Numbers that are bytes though a file has them in another type: pictures saved as floats.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace calor::io {

// Numbers from 0 to 255, of any type, rounded to uint8; Error naming `origin` where one is not.
at::Tensor as_byte_values(const at::Tensor& numbers, const std::string& origin);

}  // namespace calor::io
