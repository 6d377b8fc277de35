// The IDX format of MNIST and its relatives, plain or gzip: unsigned bytes of any shape.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <span>
#include <string>

namespace calor::io {

// uint8 tensor of the shape that the header says, rank 1 to 4. Error where the header or the length
// is wrong.
at::Tensor read_idx(const std::filesystem::path& path);
at::Tensor parse_idx(std::span<const std::byte> bytes, const std::string& name_for_errors);

}  // namespace calor::io
