// Labels from the names of folders: cat/1.png, dog/2.png.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace calor::data {

struct ClassLabels {
  std::vector<std::string> class_names;  // sorted by bytes; empty: no labels
  std::vector<std::int64_t> labels;      // one per file; all 0 where there are no labels
};

// `files` are relative names with '/'. Leading folders that all files share are no labels
// (train/cat/1.png, train/dog/2.png: cat and dog). Error where some files lie beside the folders of
// others; `where` names the set in it.
ClassLabels labels_from_folders(const std::vector<std::string>& files, const std::string& where);

}  // namespace calor::data
