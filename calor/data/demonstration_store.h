// The arrays of a file of demonstrations under the same names, whatever its format.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "calor/data/demonstrations.h"

namespace calor::data {

// int64 [episodes], one past the last step of each.
inline constexpr const char* episode_ends_name = "episode_ends";

class DemonstrationStore {
 public:
  // .npz, zarr or HDF5. Error where it is none of them.
  static std::unique_ptr<DemonstrationStore> open(const std::filesystem::path& path);

  virtual ~DemonstrationStore() = default;

  // What there is, episode_ends among it.
  virtual std::vector<DemonstrationArray> list() const = 0;

  // The name in list() for one that a person may write instead of it; else the name itself.
  virtual std::string resolve(const std::string& name) const { return name; }

  // The named arrays of list(), whole; those also in `pictures` as bytes. Names other than
  // episode_ends come with the actions' first, whose steps count where a format has no ends.
  virtual std::map<std::string, at::Tensor> read(const std::vector<std::string>& names,
                                                 const std::set<std::string>& pictures) const = 0;
};

}  // namespace calor::data
