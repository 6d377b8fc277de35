// CIFAR-10's binary layout: records of one label byte and 3,072 bytes of planar 32 x 32 RGB.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <span>
#include <string>

namespace calor::io {

struct CifarRecords {
  at::Tensor pictures;  // uint8 [n, 3, 32, 32]
  at::Tensor labels;    // int64 [n], 0..9
};

// One batch file (data_batch_1.bin, test_batch.bin), plain or gzip, or its bytes.
CifarRecords read_cifar10(const std::filesystem::path& path);
CifarRecords parse_cifar10(std::span<const std::byte> bytes, const std::string& name_for_errors);

}  // namespace calor::io
