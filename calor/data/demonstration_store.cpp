#include "calor/data/demonstration_store.h"

#include <fmt/format.h>

#include <string_view>

#include "calor/data/robomimic.h"
#include "calor/io/byte_values.h"
#include "calor/io/npy.h"
#include "calor/io/zarr.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

class NpzStore final : public DemonstrationStore {
 public:
  explicit NpzStore(const fs::path& path) : origin_(path.string()), arrays_(io::read_npz(path)) {}

  std::vector<DemonstrationArray> list() const override {
    std::vector<DemonstrationArray> out;
    for (const auto& [name, array] : arrays_) {
      out.push_back({name, array.scalar_type(), array.sizes().vec()});
    }
    return out;
  }

  std::map<std::string, at::Tensor> read(const std::vector<std::string>& names,
                                         const std::set<std::string>& pictures) const override {
    std::map<std::string, at::Tensor> out;
    for (const std::string& name : names) {
      at::Tensor array = arrays_.at(name);
      if (pictures.contains(name)) {
        array = io::as_byte_values(array, fmt::format("{}, array '{}'", origin_, name));
      }
      out.insert_or_assign(name, array);
    }
    return out;
  }

 private:
  std::string origin_;
  std::map<std::string, at::Tensor> arrays_;
};

// Arrays in the group data/, and the ends in meta/.
class ZarrStore final : public DemonstrationStore {
 public:
  explicit ZarrStore(fs::path path) : path_(std::move(path)) {}

  std::vector<DemonstrationArray> list() const override {
    std::vector<DemonstrationArray> out;
    for (const auto& array : io::list_zarr(path_)) {
      out.push_back({short_name(array.name), array.type, array.shape});
    }
    return out;
  }

  std::map<std::string, at::Tensor> read(const std::vector<std::string>& names,
                                         const std::set<std::string>& pictures) const override {
    std::vector<std::string> full;
    std::set<std::string> bytes;
    for (const std::string& name : names) full.push_back(full_name(name));
    for (const std::string& name : pictures) bytes.insert(full_name(name));
    std::map<std::string, at::Tensor> out;
    for (const auto& [name, array] : io::read_zarr(path_, full, bytes)) {
      out.emplace(short_name(name), array);
    }
    return out;
  }

 private:
  static std::string full_name(const std::string& name) {
    return (name == episode_ends_name ? "meta/" : "data/") + name;
  }
  static std::string short_name(const std::string& name) {
    for (const std::string_view folder : {"data/", "meta/"}) {
      if (name.starts_with(folder)) return name.substr(folder.size());
    }
    return name;
  }

  fs::path path_;
};

}  // namespace

std::unique_ptr<DemonstrationStore> DemonstrationStore::open(const fs::path& path) {
  if (is_hdf5_name(path)) return open_robomimic(path);
  if (io::is_zarr(path)) return std::make_unique<ZarrStore>(path);
  return std::make_unique<NpzStore>(path);
}

}  // namespace calor::data
