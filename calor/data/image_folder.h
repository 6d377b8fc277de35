// A folder of PNG and JPEG pictures, decoded when they are asked for.
#pragma once

#include <filesystem>
#include <memory>

#include "calor/data/dataset.h"
#include "calor/data/transform.h"

namespace calor::data {

// Pictures in the folder and its sub-folders, sorted by name; sub-folders are classes where
// `use_labels` (class_folders.h). Some pictures, spread over the folder, are decoded at once to
// learn the shape; a picture that is broken or of another shape is an error, naming it, when it is
// met.
std::shared_ptr<ImageDataset> make_image_folder(const std::filesystem::path& folder,
                                                const PictureTransform& transform, bool use_labels);

}  // namespace calor::data
