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
constexpr const char* rows_key = "calor.rows";

const char* key_of(data::ItemKind kind) {
  return kind == data::ItemKind::pictures ? pictures_key : rows_key;
}

std::string to_json(const data::ItemSpec& items) {
  json object{{"channels", items.channels},
              {"height", items.height},
              {"width", items.width},
              {"class_names", items.class_names}};
  if (items.kind == data::ItemKind::pictures) {
    object["dequantised"] = items.dequantised;
    object["range"] = items.dequantised ? "x = (u + n) / 128 - 1, u = 0..255, n uniform in [0, 1)"
                                        : "x = u / 127.5 - 1, u = 0..255";
  }
  if (items.condition_width > 0) object["condition_width"] = items.condition_width;
  if (items.observed.count > 0) {
    const auto& [count, channels, height, width] = items.observed;
    object["observed_pictures"] = {
        {"count", count}, {"channels", channels}, {"height", height}, {"width", width}};
  }
  return object.dump();
}

bool in_range(std::int64_t v) { return v >= 1 && v <= 65536; }

// Of the pictures that are observed, where there are.
data::ObservedShape observed_from_json(const json& items) {
  const auto found = items.find("observed_pictures");
  if (found == items.end()) return {};
  return {.count = found->at("count").get<std::int64_t>(),
          .channels = found->at("channels").get<std::int64_t>(),
          .height = found->at("height").get<std::int64_t>(),
          .width = found->at("width").get<std::int64_t>()};
}

bool is_whole(const data::ObservedShape& s) {
  return s == data::ObservedShape{} ||
         (in_range(s.count) && in_range(s.channels) && in_range(s.height) && in_range(s.width));
}

data::ItemSpec items_from_json(const std::string& text, data::ItemKind kind,
                               const std::string& file) {
  try {
    const json j = json::parse(text);
    data::ItemSpec items{.channels = j.at("channels").get<std::int64_t>(),
                         .height = j.at("height").get<std::int64_t>(),
                         .width = j.at("width").get<std::int64_t>(),
                         .class_names = j.at("class_names").get<std::vector<std::string>>(),
                         .kind = kind,
                         .condition_width = j.value("condition_width", std::int64_t{0}),
                         .dequantised = j.value("dequantised", false),
                         .observed = observed_from_json(j)};
    if (is_whole(items.observed) && in_range(items.channels) && in_range(items.height) &&
        in_range(items.width) && items.condition_width >= 0 && items.condition_width <= 65536) {
      return items;
    }
  } catch (const json::exception&) {
    // Said below.
  }
  throw Error("channels, height, width (1 to 65536) and class_names in the model's metadata",
              fmt::format("{}: '{}' is {}", file, key_of(kind), text.substr(0, 200)),
              "the file is damaged: take another copy");
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
  description.items = items_from_json(metadata[key_of(kind)], kind, file);
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
                fmt::format("train it first: calor train {}", run.string()));
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
  out.metadata[key_of(flow.items().kind)] = to_json(flow.items());
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
