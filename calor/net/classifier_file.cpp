#include "calor/net/classifier_file.h"

#include <utility>

#include "calor/data/item_json.h"

namespace calor::net {
namespace {

constexpr const char* network_key = "calor.classifier";
constexpr const char* pictures_key = "calor.pictures";

}  // namespace

bool describes_classifier(const std::map<std::string, std::string>& metadata) {
  return metadata.contains(network_key);
}

void save_classifier(const std::filesystem::path& file, const PictureClassifier& network,
                     const at::Tensor& flat, const ClassifierNotes& notes) {
  io::TensorFile out{.tensors = network.parameters().named(flat), .metadata = notes};
  PictureClassifierOptions own = network.options();
  config::Options options;
  own.declare(options);
  out.metadata[network_key] = options.to_toml();
  out.metadata[pictures_key] = data::to_json(network.pictures());
  io::write_safetensors(file, out);
}

ClassifierDescription describe_classifier(std::map<std::string, std::string> metadata,
                                          const std::string& origin) {
  ClassifierDescription description;
  config::Options options;
  description.options.declare(options);
  options.load_toml(metadata[network_key], origin + " (metadata)");
  description.pictures = data::items_from_json(metadata[pictures_key], data::ItemKind::pictures,
                                               origin + ": '" + pictures_key + "'");
  metadata.erase(network_key);
  metadata.erase(pictures_key);
  description.notes = std::move(metadata);
  return description;
}

LoadedClassifier load_classifier(const io::TensorFile& content, const std::string& origin,
                                 at::Device device) {
  ClassifierDescription description = describe_classifier(content.metadata, origin);
  auto network = std::make_unique<PictureClassifier>(description.options, description.pictures);
  network->parameters().load(content.tensors, origin);
  network->parameters().flatten(device);
  return {.network = std::move(network), .notes = std::move(description.notes)};
}

}  // namespace calor::net
