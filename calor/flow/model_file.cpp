#include "calor/flow/model_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "calor/core/error.h"
#include "calor/io/safetensors.h"

namespace calor::flow {
namespace {

using nlohmann::json;

constexpr const char* format_key = "calor.format";
constexpr const char* format_version = "1";
constexpr const char* model_key = "calor.model";
constexpr const char* pictures_key = "calor.pictures";

std::string to_json(const data::ImageSpec& pictures) {
  return json{{"channels", pictures.channels},
              {"height", pictures.height},
              {"width", pictures.width},
              {"class_names", pictures.class_names},
              {"range", "x = u / 127.5 - 1, u = 0..255"}}
      .dump();
}

data::ImageSpec pictures_from_json(const std::string& text, const std::string& file) {
  try {
    const json j = json::parse(text);
    data::ImageSpec pictures{.channels = j.at("channels").get<std::int64_t>(),
                             .height = j.at("height").get<std::int64_t>(),
                             .width = j.at("width").get<std::int64_t>(),
                             .class_names = j.at("class_names").get<std::vector<std::string>>()};
    const auto in_range = [](std::int64_t v) { return v >= 1 && v <= 65536; };
    if (in_range(pictures.channels) && in_range(pictures.height) && in_range(pictures.width)) {
      return pictures;
    }
  } catch (const json::exception&) {
    // Said below.
  }
  throw Error("channels, height, width (1 to 65536) and class_names in the model's metadata",
              fmt::format("{}: '{}' is {}", file, pictures_key, text.substr(0, 200)),
              "the file is damaged: take another copy");
}

ModelDescription describe(std::map<std::string, std::string> metadata, const std::string& file) {
  if (metadata[format_key] != format_version || metadata[pictures_key].empty()) {
    throw Error("a model file of Calor (metadata 'calor.format' = 1)",
                fmt::format("{}: {}", file,
                            metadata[format_key].empty() ? "no such metadata"
                                                         : "format " + metadata[format_key]),
                "bare weights become a model file with: calor convert");
  }
  ModelDescription description;
  description.pictures = pictures_from_json(metadata[pictures_key], file);
  config::Options options;
  description.options.declare(options);
  options.load_toml(metadata[model_key], file + " (metadata)");
  for (const char* key : {format_key, model_key, pictures_key}) metadata.erase(key);
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
                fmt::format("train it first: calor train {}", run.string()));
  }
  if (std::filesystem::exists(run, ignored)) return run;
  throw Error("a run folder or a model file", fmt::format("'{}' does not exist", run.string()),
              "check the path; runs are made by calor train");
}

void save_model(const std::filesystem::path& file, const Flow& flow, const Notes& notes,
                const at::Tensor& flat) {
  io::TensorFile out;
  out.tensors = flow.network().parameters().named(flat);
  out.metadata = notes;
  ModelOptions model = flow.options();
  config::Options options;
  model.declare(options);
  out.metadata[format_key] = format_version;
  out.metadata[model_key] = options.to_toml();
  out.metadata[pictures_key] = to_json(flow.pictures());
  io::write_safetensors(file, out);
}

ModelDescription read_description(const std::filesystem::path& file) {
  return describe(io::read_safetensors_metadata(file), file.string());
}

LoadedModel load_model(const std::filesystem::path& file, at::Device device) {
  const io::TensorFile content = io::read_safetensors(file);
  ModelDescription description = describe(content.metadata, file.string());
  LoadedModel loaded;
  loaded.flow = std::make_unique<Flow>(description.options, description.pictures, device);
  loaded.flow->network().parameters().load(content.tensors, file.string());
  loaded.flow->network().parameters().flatten(device);
  loaded.notes = std::move(description.notes);
  return loaded;
}

}  // namespace calor::flow
