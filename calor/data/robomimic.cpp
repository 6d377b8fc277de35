#include "calor/data/robomimic.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "calor/core/error.h"
#include "calor/io/bytes.h"
#include "calor/io/ending.h"
#include "calor/io/hdf5.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view demos_folder = "data/";
constexpr std::string_view demo_prefix = "data/demo_";
constexpr std::string_view observed_folder = "obs/";
constexpr const char* layout_hint =
    "save them as data/demo_0/actions, data/demo_0/obs/NAME and so on, as robomimic does, or as an "
    ".npz file (docs/policies.md)";

struct Demo {
  std::int64_t number = 0;
  std::string path;                             // "data/demo_3"
  std::map<std::string, io::Hdf5Array> arrays;  // by their path within it: "obs/state"
};

// The number of data/demo_N; none for other groups.
std::optional<std::int64_t> demo_number(std::string_view group) {
  if (!group.starts_with(demo_prefix)) return std::nullopt;
  const std::string_view digits = group.substr(demo_prefix.size());
  std::int64_t number = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool whole = error == std::errc() && end == digits.data() + digits.size() && number >= 0;
  return whole ? std::optional(number) : std::nullopt;
}

Error no_demos(const io::Hdf5Contents& contents, const std::string& origin) {
  const bool has_data = std::ranges::find(contents.groups, "data") != contents.groups.end();
  const std::string_view within = has_data ? demos_folder : std::string_view();
  std::string first;  // of what there is instead
  for (const std::string& group : contents.groups) {
    if (first.empty() && group.starts_with(within)) first = group;
  }
  return {"demonstrations in groups data/demo_0, data/demo_1, ...",
          fmt::format("{}: {}{}", origin, has_data ? "none in the group 'data'" : "no group 'data'",
                      first.empty() ? std::string() : "; there is " + io::printable(first)),
          layout_hint};
}

std::vector<Demo> find_demos(const io::Hdf5Contents& contents, const std::string& origin) {
  std::vector<Demo> demos;
  for (const std::string& group : contents.groups) {
    const auto number = demo_number(group);
    if (number) demos.push_back({.number = *number, .path = group, .arrays = {}});
  }
  if (demos.empty()) throw no_demos(contents, origin);
  std::map<std::string, Demo*> by_path;
  for (Demo& demo : demos) by_path.emplace(demo.path, &demo);
  for (const io::Hdf5Array& array : contents.arrays) {
    const std::size_t slash = array.name.find('/', demo_prefix.size());
    const auto owner = by_path.find(array.name.substr(0, slash));
    if (slash == std::string::npos || owner == by_path.end()) continue;
    owner->second->arrays.emplace(array.name.substr(slash + 1), array);
  }
  std::ranges::stable_sort(demos, {}, &Demo::number);
  return demos;
}

class RobomimicStore final : public DemonstrationStore {
 public:
  explicit RobomimicStore(fs::path path)
      : path_(std::move(path)), demos_(find_demos(io::list_hdf5(path_), path_.string())) {
    // Each array as the first demonstration that has it shows it, with the steps of all.
    for (const Demo& demo : demos_) {
      for (const auto& [name, array] : demo.arrays) {
        if (array.shape.empty()) continue;
        const auto [all, added] = arrays_.emplace(name, array);
        if (!added) all->second.shape[0] += array.shape[0];
      }
    }
  }

  std::vector<DemonstrationArray> list() const override {
    std::vector<DemonstrationArray> out;
    for (const auto& [name, array] : arrays_) {
      out.push_back({short_name(name), array.type, array.shape});
    }
    out.push_back({episode_ends_name, at::kLong, {static_cast<std::int64_t>(demos_.size())}});
    std::ranges::sort(out, {}, &DemonstrationArray::name);
    return out;
  }

  std::string resolve(const std::string& name) const override {
    const auto has = [&](const std::string& one) { return arrays_.contains(full_name(one)); };
    if (has(name)) return short_name(full_name(name));
    if (name == "action" && has("actions")) return "actions";
    if (name == "actions" && has("action")) return "action";
    return name;
  }

  std::map<std::string, at::Tensor> read(const std::vector<std::string>& names,
                                         const std::set<std::string>& pictures) const override {
    std::map<std::string, at::Tensor> out;
    std::vector<std::int64_t> ends;
    for (const std::string& name : names) {
      if (name == episode_ends_name || out.contains(name)) continue;
      const std::string full = full_name(name);
      if (ends.empty()) ends = ends_of(full);
      check_lengths(full, ends);
      std::vector<std::string> parts;
      for (const Demo& demo : demos_) parts.push_back(demo.path + "/" + full);
      out.emplace(name, io::read_hdf5(path_, parts, pictures.contains(name)));
    }
    out.emplace(episode_ends_name, at::tensor(ends, at::kLong));
    return out;
  }

 private:
  // As people call it: without obs/, where that leaves no other array of the same name.
  std::string short_name(const std::string& full) const {
    if (!full.starts_with(observed_folder)) return full;
    std::string name = full.substr(observed_folder.size());
    return arrays_.contains(name) || name == episode_ends_name ? full : name;
  }

  // Its path within a demonstration.
  std::string full_name(const std::string& name) const {
    const std::string observed = std::string(observed_folder) + name;
    return arrays_.contains(name) || !arrays_.contains(observed) ? name : observed;
  }

  std::int64_t steps_of(const Demo& demo, const std::string& full) const {
    const auto found = demo.arrays.find(full);
    if (found != demo.arrays.end() && !found->second.shape.empty()) return found->second.shape[0];
    std::vector<std::string> present;
    for (const auto& [name, array] : demo.arrays) present.push_back(name);
    const std::string nearest = nearest_name(full, present);
    throw Error(fmt::format("an array '{}' in each demonstration", full),
                fmt::format("{}: {} has none{}", path_.string(), io::printable(demo.path),
                            nearest.empty() ? "" : "; there is " + io::printable(nearest)),
                "complete the demonstration or leave it out of the file");
  }

  std::vector<std::int64_t> ends_of(const std::string& full) const {
    std::vector<std::int64_t> ends;
    for (const Demo& demo : demos_) {
      const std::int64_t steps = steps_of(demo, full);
      if (steps == 0) {
        throw Error("one step or more in each demonstration",
                    fmt::format("{}: {} has none", path_.string(), io::printable(demo.path)),
                    "leave it out of the file");
      }
      ends.push_back((ends.empty() ? 0 : ends.back()) + steps);
    }
    return ends;
  }

  void check_lengths(const std::string& full, const std::vector<std::int64_t>& ends) const {
    for (std::size_t i = 0; i < demos_.size(); ++i) {
      const std::int64_t wanted = ends[i] - (i == 0 ? 0 : ends[i - 1]);
      const std::int64_t steps = steps_of(demos_[i], full);
      if (steps == wanted) continue;
      throw Error(
          fmt::format("'{}' of {} steps, as many as the actions have", full, wanted),
          fmt::format("{}: {} has {}", path_.string(), io::printable(demos_[i].path), steps),
          "save all arrays of a demonstration with the same steps");
    }
  }

  fs::path path_;
  std::vector<Demo> demos_;
  std::map<std::string, io::Hdf5Array> arrays_;  // of all demonstrations, by their path within one
};

}  // namespace

bool is_hdf5_name(const fs::path& path) {
  const std::string ending = io::ending_of(path);
  return ending == ".hdf5" || ending == ".h5";
}

std::unique_ptr<DemonstrationStore> open_robomimic(const fs::path& path) {
  return std::make_unique<RobomimicStore>(path);
}

}  // namespace calor::data
