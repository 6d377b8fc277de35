// Sets that lie in one array each: IDX, CIFAR-10's binary files, NumPy.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

namespace calor::data {

struct ArraySet {
  at::Tensor pictures;                   // uint8 [n, channels, H, W]
  at::Tensor labels;                     // int64 [n], or undefined
  std::vector<std::string> class_names;  // one per label up to the largest; empty without labels
};

// An IDX file of pictures [n, H, W] or [n, H, W, channels]. Where its name holds "images", labels
// are read from the file beside it whose name has "labels" there and idx1 for idx3 (packed or not).
ArraySet read_idx_set(const std::filesystem::path& images, bool use_labels);

// One of CIFAR-10's binary files, or a folder with data_batch_*.bin.
ArraySet read_cifar_set(const std::filesystem::path& path, bool use_labels);

// .npy: uint8 [n, H, W], [n, channels, H, W] or [n, H, W, channels]; .npz: the same under the name
// images, x or arr_0, and integer labels [n] under labels or y.
ArraySet read_numpy_set(const std::filesystem::path& path, bool use_labels);

// data_batch_*.bin of a folder, sorted; empty where there are none.
std::vector<std::filesystem::path> cifar_batches(const std::filesystem::path& folder);

}  // namespace calor::data
