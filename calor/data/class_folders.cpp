// The first folder below the shared ones is the class.
#include "calor/data/class_folders.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "calor/core/error.h"
#include "calor/io/utf8.h"

namespace calor::data {
namespace {

// The length of the folders that all files share, with the last '/'.
std::size_t shared_length(const std::vector<std::string>& files) {
  if (files.empty()) return 0;
  std::string_view shared = files.front();
  shared = shared.substr(0, shared.rfind('/') + 1);  // npos + 1 is 0: no folder
  for (const std::string& file : files) {
    while (!std::string_view(file).starts_with(shared)) {
      shared.remove_suffix(1);
      shared = shared.substr(0, shared.rfind('/') + 1);
    }
  }
  return shared.size();
}

}  // namespace

ClassLabels labels_from_folders(const std::vector<std::string>& files, const std::string& where) {
  const std::size_t start = shared_length(files);
  const auto class_of = [start](const std::string& file) {
    const std::size_t end = file.find('/', start);
    return end == std::string::npos ? std::string() : file.substr(start, end - start);
  };
  ClassLabels result;
  for (const std::string& file : files) {
    result.class_names.push_back(class_of(file));
    if (io::is_utf8(result.class_names.back())) continue;
    throw Error("folders of classes with names in UTF-8, which model files can hold",
                fmt::format("{}: the folder of {} has another", where, file), "rename the folder");
  }
  std::ranges::sort(result.class_names);
  const auto repeated = std::ranges::unique(result.class_names);
  result.class_names.erase(repeated.begin(), repeated.end());
  if (result.class_names == std::vector<std::string>{""}) result.class_names.clear();

  for (const std::string& file : files) {
    const std::string name = class_of(file);
    if (name.empty() && !result.class_names.empty()) {
      throw Error(
          "every picture in a sub-folder named after its class, or none",
          fmt::format("{}: {} lies beside the folder {}", where, file, result.class_names.back()),
          "move it into its class's folder, or set data.labels=false");
    }
    const auto place = std::ranges::lower_bound(result.class_names, name);
    result.labels.push_back(place - result.class_names.begin());
  }
  return result;
}

}  // namespace calor::data
