// An archive of PNG and JPEG pictures, decoded into memory when it is opened.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "calor/data/dataset.h"
#include "calor/data/transform.h"

namespace calor::data {

// A tar or zip archive of pictures, in the order of their names, as if it were unpacked: folders
// are classes where `use_labels` (class_folders.h). Pictures of more than 8 GiB in all are refused.
std::shared_ptr<ImageDataset> make_picture_archive(const std::filesystem::path& archive,
                                                   const PictureTransform& transform,
                                                   bool use_labels);

}  // namespace calor::data
