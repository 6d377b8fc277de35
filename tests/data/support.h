// What the tests of calor/data share: pictures made of noise, and the environment put back after
// use.
#pragma once

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "calor/core/random.h"
#include "calor/io/npy.h"
#include "calor/io/picture.h"
#include "tests/io/support.h"

namespace calor::data::testing {

namespace fs = std::filesystem;

using io::testing::error_of;
using io::testing::get;
using io::testing::gzip;
using io::testing::has;
using io::testing::idx;
using io::testing::put;
using io::testing::put_archive;
using io::testing::TemporaryFolder;

// uint8 noise of any shape, a pure function of the seed.
inline at::Tensor noise(at::IntArrayRef shape, std::uint64_t seed = 0) {
  const std::vector<RandomKey> keys{random_key(seed, RandomUse::test)};
  return normal_by_item(keys, shape, at::kCPU)
      .squeeze(0)
      .mul(64)
      .add(128)
      .clamp(0, 255)
      .to(at::kByte);
}

inline std::string bytes_of(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  return {static_cast<const char*>(whole.const_data_ptr()), whole.nbytes()};
}

// A PNG file, with the folders that it lies in.
inline void put_png(const fs::path& path, const at::Tensor& picture) {
  fs::create_directories(path.parent_path());
  io::write_png(path, picture);
}

// The bytes of a PNG file.
inline std::string png_of(const at::Tensor& picture) {
  const TemporaryFolder folder;
  io::write_png(folder / "a.png", picture);
  return get(folder / "a.png");
}

// An .npz of arrays, as numpy.savez writes it.
inline void put_npz(const fs::path& path, const std::map<std::string, at::Tensor>& arrays) {
  const TemporaryFolder folder;
  io::testing::Members members;
  for (const auto& [name, array] : arrays) {
    io::write_npy(folder / "array.npy", array);
    members.emplace_back(name + ".npy", get(folder / "array.npy"));
  }
  put_archive(folder / "arrays.zip", members);
  fs::copy_file(folder / "arrays.zip", path);
}

// An environment variable set (or removed) for the life of this object.
class WithVariable {
 public:
  WithVariable(std::string name, const std::optional<std::string>& value) : name_(std::move(name)) {
    if (const char* before = std::getenv(name_.c_str())) before_ = before;
    set(value);
  }
  ~WithVariable() { set(before_); }
  WithVariable(const WithVariable&) = delete;
  WithVariable& operator=(const WithVariable&) = delete;

 private:
  void set(const std::optional<std::string>& value) const {
    if (value) {
      ::setenv(name_.c_str(), value->c_str(), 1);
    } else {
      ::unsetenv(name_.c_str());
    }
  }

  std::string name_;
  std::optional<std::string> before_;
};

}  // namespace calor::data::testing
