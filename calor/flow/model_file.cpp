#include "calor/flow/model_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "calor/core/command_line.h"
#include "calor/core/error.h"
#include "calor/data/item_json.h"
#include "calor/io/safetensors.h"
#include "calor/net/classifier_file.h"

namespace calor::flow {
namespace {

constexpr const char* format_key = "calor.format";
constexpr const char* format_version = "1";
constexpr const char* model_key = "calor.model";
constexpr const char* pictures_key = "calor.pictures";
constexpr const char* rows_key = "calor.rows";

const char* key_of(data::ItemKind kind) {
  return kind == data::ItemKind::pictures ? pictures_key : rows_key;
}

// A chain's stages are numbered from the data, beginning with 1; a single stage has no prefix.
std::string prefix_of(const Flow& flow, std::size_t stage) {
  return flow.is_chain() ? fmt::format("stages.{}.", stage + 1) : std::string();
}

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// The tensors of one stage, by the network's own names.
NamedTensors tensors_of(const NamedTensors& all, const std::string& prefix) {
  NamedTensors own;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with(prefix)) own.emplace_back(name.substr(prefix.size()), tensor);
  }
  return own;
}

void check_stages(const Flow& flow, const NamedTensors& tensors, const std::string& file) {
  if (!flow.is_chain()) return;
  for (const auto& [name, tensor] : tensors) {
    bool known = false;
    for (std::size_t n = 0; n < flow.size(); ++n) {
      known = known || name.starts_with(prefix_of(flow, n));
    }
    if (known) continue;
    throw Error(fmt::format("tensors of stages 1 to {}", flow.size()),
                fmt::format("{}: '{}'", file, name),
                "the file is damaged or mixes two models: take another copy");
  }
}

ModelDescription describe(std::map<std::string, std::string> metadata, const std::string& file) {
  if (net::describes_classifier(metadata)) {
    throw Error("a flow", fmt::format("{}: a classifier", file),
                "classifiers read pictures: calor evaluate --features FILE, --classifier FILE");
  }
  const bool rows = metadata.contains(rows_key);
  const data::ItemKind kind = rows ? data::ItemKind::rows : data::ItemKind::pictures;
  if (metadata[format_key] != format_version || metadata[key_of(kind)].empty()) {
    throw Error("a model file of Calor (metadata 'calor.format' = 1)",
                fmt::format("{}: {}", file,
                            metadata[format_key].empty() ? "no such metadata"
                                                         : "format " + metadata[format_key]),
                "bare weights become a model file with: calor convert");
  }
  ModelDescription description;
  description.items = data::items_from_json(metadata[key_of(kind)], kind,
                                            fmt::format("{}: '{}'", file, key_of(kind)));
  config::Options options;
  description.options.declare(options);
  options.load_toml(metadata[model_key], file + " (metadata)");
  for (const char* key : {format_key, model_key, pictures_key, rows_key}) metadata.erase(key);
  description.notes = std::move(metadata);
  return description;
}

}  // namespace

std::filesystem::path model_file_of(const std::filesystem::path& run) {
  std::error_code ignored;
  if (std::filesystem::is_directory(run, ignored)) {
    const std::filesystem::path file = run / "model.safetensors";
    if (std::filesystem::exists(file, ignored)) return file;
    throw Error("a run folder with a trained model",
                fmt::format("{} has no model.safetensors", run.string()),
                "train it first: " + command_line({"train", run.string()}));
  }
  if (std::filesystem::exists(run, ignored)) return run;
  throw Error("a run folder or a model file", fmt::format("'{}' does not exist", run.string()),
              "check the path; runs are made by calor train");
}

void save_model(const std::filesystem::path& file, const Flow& flow, const Notes& notes,
                const std::vector<at::Tensor>& flat) {
  io::TensorFile out;
  for (std::size_t n = 0; n < flow.size(); ++n) {
    const std::string prefix = prefix_of(flow, n);
    const at::Tensor weights = flat.empty() ? at::Tensor() : flat.at(n);
    for (const auto& [name, tensor] : flow.stage(n).network().parameters().named(weights)) {
      out.tensors.emplace_back(prefix + name, tensor);
    }
  }
  out.metadata = notes;
  ModelOptions model = flow.options();
  config::Options options;
  model.declare(options);
  out.metadata[format_key] = format_version;
  out.metadata[model_key] = options.to_toml();
  out.metadata[key_of(flow.items().kind)] = data::to_json(flow.items());
  io::write_safetensors(file, out);
}

ModelDescription read_description(const std::filesystem::path& file) {
  return describe(io::read_safetensors_metadata(file), file.string());
}

LoadedModel load_model(const std::filesystem::path& file, at::Device device) {
  const io::TensorFile content = io::read_safetensors(file);
  ModelDescription description = describe(content.metadata, file.string());
  LoadedModel loaded;
  loaded.flow = std::make_unique<Flow>(description.options, description.items, device);
  check_stages(*loaded.flow, content.tensors, file.string());
  for (std::size_t n = 0; n < loaded.flow->size(); ++n) {
    net::Parameters& parameters = loaded.flow->stage(n).network().parameters();
    parameters.load(tensors_of(content.tensors, prefix_of(*loaded.flow, n)), file.string());
    parameters.flatten(device);
  }
  loaded.notes = std::move(description.notes);
  return loaded;
}

}  // namespace calor::flow
