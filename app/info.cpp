// calor info: what a run folder or a tensor file holds.
#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <memory>

#include "app/command.h"
#include "app/run_argument.h"
#include "calor/core/error.h"
#include "calor/data/training_data.h"
#include "calor/io/safetensors.h"
#include "calor/net/classifier_file.h"
#include "calor/report/progress.h"

namespace calor::app {
namespace {

struct InfoArguments {
  std::string run;
  bool tensors = false;
  bool check = false;
};

nlohmann::ordered_json list_tensors(const Globals& globals,
                                    const std::vector<io::TensorInfo>& index) {
  nlohmann::ordered_json list = nlohmann::json::array();
  for (const auto& info : index) {
    answer(globals, fmt::format("  {:<60} {:<9} [{}]", info.name, c10::toString(info.type),
                                fmt::join(info.shape, ", ")));
    list.push_back(
        {{"name", info.name}, {"type", c10::toString(info.type)}, {"shape", info.shape}});
  }
  return list;
}

std::int64_t count_numbers(const std::vector<io::TensorInfo>& index) {
  std::int64_t total = 0;
  for (const auto& info : index) {
    std::int64_t numbers = 1;
    for (const std::int64_t side : info.shape) numbers *= side;
    total += numbers;
  }
  return total;
}

// Every setting of a model, and its notes.
void show_settings(const Globals& globals, const config::Options& options,
                   const std::map<std::string, std::string>& notes,
                   nlohmann::ordered_json& object) {
  answer(globals, options.to_toml().substr(0, options.to_toml().size() - 1));
  for (const auto& option : options.all()) {
    std::visit([&](const auto& value) { object["settings"][option.key] = value; }, option.get());
  }
  for (const auto& [key, text] : notes) object["notes"][key] = text;
}

void describe_settings(const Globals& globals, flow::ModelDescription& model,
                       nlohmann::ordered_json& object) {
  config::Options options;
  model.options.declare(options);
  show_settings(globals, options, model.notes, object);
}

// Of a distilled student, how many evaluations its maps take in all.
void describe_student(const Globals& globals, const flow::ModelDescription& model,
                      nlohmann::ordered_json& object) {
  const auto& stages = model.options.stages;
  if (!stages.maps) return;
  const std::size_t maps = stages.is_chain() ? flow::stage_steps(stages).size() : 1;
  const std::int64_t all = static_cast<std::int64_t>(maps) * stages.evaluations;
  const auto method = model.notes.find("calor.method");
  answer(globals, fmt::format("a distilled student{}: {} evaluation{} from noise to data, {} for "
                              "each of {} map{}",
                              method == model.notes.end() ? "" : " (" + method->second + ")", all,
                              all == 1 ? "" : "s", stages.evaluations, maps, maps == 1 ? "" : "s"));
  object["student"] = {{"maps", maps}, {"evaluations", all}};
}

// Columns of a table, or points; stages.
void describe_rows(const Globals& globals, const std::filesystem::path& file,
                   flow::ModelDescription& model, nlohmann::ordered_json& object) {
  const auto& items = model.items;
  answer(globals, fmt::format("rows of {} numbers{}", items.channels,
                              items.condition_width > 0
                                  ? fmt::format(", given {} others", items.condition_width)
                                  : std::string()));
  if (items.observed.count > 0) {
    const auto& [count, channels, height, width] = items.observed;
    answer(globals, fmt::format("given {} pictures of {} x {} pixels, {} channels", count, height,
                                width, channels));
    object["observed_pictures"] = {
        {"count", count}, {"channels", channels}, {"height", height}, {"width", width}};
  }
  object["rows"] = {{"numbers", items.channels},
                    {"condition_width", items.condition_width},
                    {"class_names", items.class_names}};
  if (const auto codecs = data::table_codecs(model.notes, file.string())) {
    answer(globals, codecs->targets.describe());
    object["columns"] = codecs->targets.column_names();
  }
  if (model.options.stages.is_chain()) {
    const auto steps = flow::stage_steps(model.options.stages);
    for (std::size_t n = 0; n < steps.size(); ++n) {
      answer(globals, steps[n].free ? fmt::format("stage {}: free, to noise", n + 1)
                                    : fmt::format("stage {}: gamma {}, from T = {:.4g}", n + 1,
                                                  steps[n].gamma, steps[n].start));
    }
    object["stages"] = steps.size();
  }
  describe_student(globals, model, object);
  describe_settings(globals, model, object);
}

// The line that says what pictures a model is for.
std::string pictures_line(const data::ItemSpec& p) {
  return fmt::format("pictures: {} (channels x height x width){}, {} classes{}", p.shape_text(),
                     p.dequantised ? ", dequantised" : "", p.classes(),
                     p.classes() > 0 && p.classes() <= 24
                         ? fmt::format(": {}", fmt::join(p.class_names, ", "))
                         : std::string());
}

nlohmann::ordered_json pictures_json(const data::ItemSpec& p) {
  return {{"channels", p.channels},
          {"height", p.height},
          {"width", p.width},
          {"dequantised", p.dequantised},
          {"class_names", p.class_names}};
}

void describe_classifier(const Globals& globals, const std::filesystem::path& file,
                         const std::map<std::string, std::string>& metadata,
                         nlohmann::ordered_json& object) {
  auto classifier = net::describe_classifier(metadata, file.string());
  answer(globals, "a classifier of " + pictures_line(classifier.pictures));
  object["pictures"] = pictures_json(classifier.pictures);
  if (const auto found = classifier.notes.find("calor.accuracy"); found != classifier.notes.end()) {
    answer(globals, fmt::format("reads a share of {} of held-out pictures right", found->second));
  }
  config::Options options;
  classifier.options.declare(options);
  show_settings(globals, options, classifier.notes, object);
}

// Path, pictures, network and default sampling of a model file.
void describe_model(const Globals& globals, const std::filesystem::path& file,
                    nlohmann::ordered_json& object) {
  flow::ModelDescription model = flow::read_description(file);
  const auto& p = model.items;
  if (p.kind == data::ItemKind::rows) {
    describe_rows(globals, file, model, object);
    return;
  }
  answer(globals, pictures_line(p));
  object["pictures"] = pictures_json(p);
  describe_student(globals, model, object);
  describe_settings(globals, model, object);
}

nlohmann::ordered_json run_info(const Globals& globals, const InfoArguments& arguments) {
  const std::filesystem::path file = flow::model_file_of(arguments.run);
  const auto index = io::read_safetensors_index(file);
  const auto metadata = io::read_safetensors_metadata(file);
  const bool classifier = net::describes_classifier(metadata);
  const bool is_model = classifier || metadata.contains("calor.format");
  nlohmann::ordered_json object{{"file", file.string()},
                                {"tensors", index.size()},
                                {"numbers", count_numbers(index)},
                                {"model", is_model}};
  answer(globals, fmt::format("{}: {} tensors, {} numbers{}", file.string(), index.size(),
                              report::grouped(count_numbers(index)),
                              is_model ? "" : " (no model of Calor)"));
  if (classifier) describe_classifier(globals, file, metadata, object);
  if (is_model && !classifier) describe_model(globals, file, object);
  if (arguments.tensors) object["index"] = list_tensors(globals, index);
  if (arguments.check) {
    io::check_finite(io::read_safetensors(file), file);
    answer(globals, "all weights are finite");
    object["finite"] = true;
  }
  return object;
}

}  // namespace

void add_info(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<InfoArguments>();
  CLI::App& command = add_command(
      program, globals, "info", "Describe a run folder, a model file or any safetensors file.",
      "  calor info runs/demo\n  calor info model.safetensors --tensors --check");
  command.add_option("run", arguments->run, "run folder or safetensors file")->required();
  command.add_flag("--tensors", arguments->tensors, "list names, types and shapes");
  command.add_flag("--check", arguments->check, "look for NaN and infinity in the weights");
  set_work(command, globals, [&globals, arguments] { return run_info(globals, *arguments); });
}

}  // namespace calor::app
