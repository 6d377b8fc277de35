// A trained classifier as one safetensors file: the weights, and in the metadata the network, the
// pictures that it is made for, and the names of the classes.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "calor/io/safetensors.h"
#include "calor/net/picture_classifier.h"

namespace calor::net {

// Of how it was trained: "calor.training" (TOML), "calor.step", "calor.accuracy", "calor.source".
using ClassifierNotes = std::map<std::string, std::string>;

// Whether the metadata are those of such a file.
bool describes_classifier(const std::map<std::string, std::string>& metadata);

// Writes atomically. `flat`: the weights, like parameters().flat().
void save_classifier(const std::filesystem::path& file, const PictureClassifier& network,
                     const at::Tensor& flat, const ClassifierNotes& notes);

struct LoadedClassifier {
  std::unique_ptr<PictureClassifier> network;
  ClassifierNotes notes;
};
// From the file's content; `origin` names it in errors. Error where it is damaged.
LoadedClassifier load_classifier(const io::TensorFile& content, const std::string& origin,
                                 at::Device device);

// The description alone.
struct ClassifierDescription {
  PictureClassifierOptions options;
  data::ItemSpec pictures;
  ClassifierNotes notes;
};
ClassifierDescription describe_classifier(std::map<std::string, std::string> metadata,
                                          const std::string& origin);

}  // namespace calor::net
