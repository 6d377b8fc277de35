// calor convert: official weights become a model file that samples.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "app/command.h"
#include "calor/core/error.h"
#include "calor/flow/model_file.h"
#include "calor/io/safetensors.h"
#include "calor/train/run_config.h"

namespace calor::app {
namespace {

struct ConvertArguments {
  std::string weights, net = "jit", size, out;
  std::vector<std::string> settings;
  std::int64_t patch = 16;
  std::int64_t picture = 256;
  std::int64_t channels = 3;
  std::int64_t classes = 1000;
  SaidFlags said;
};

std::vector<std::string> numbered_classes(std::int64_t classes) {
  std::vector<std::string> names;
  for (std::int64_t k = 0; k < classes; ++k) names.push_back(std::to_string(k));
  return names;
}

// Tensors of checkpoints often carry a prefix ("model."): whatever stands before the first "net.".
std::vector<std::pair<std::string, at::Tensor>> without_prefix(const io::TensorFile& file) {
  std::vector<std::pair<std::string, at::Tensor>> out;
  for (const auto& [name, tensor] : file.tensors) {
    const auto start = name.find("net.");
    out.emplace_back(start == std::string::npos ? name : name.substr(start), tensor);
  }
  return out;
}

train::RunConfig configuration(const ConvertArguments& a) {
  train::RunConfig config = train::parse_config("", "defaults", {});
  config.model.path.kind = path::PathKind::heat;
  if (!a.size.empty()) config.model.net = net::jit_size(a.size, a.patch);
  config::Options options = config.options();
  for (const std::string& setting : a.settings) {
    const auto of = [&](const char* section) { return setting.starts_with(section); };
    require_usage(
        of("path.") || of("objective.") || of("net.") || of("sample."),
        "settings of path, objective, net and sample: weights of one network are converted",
        setting, "leave it out");
  }
  assign_all(options, a.settings);
  return config;
}

nlohmann::ordered_json run_conversion(const Globals& globals, const ConvertArguments& a) {
  check_place("--out", a.out, {".safetensors"});
  check_apart("--out", a.out, {a.weights});
  if (a.size.empty()) a.said.refuse({"--patch"}, "a named --size", "none: the patch is net.patch");
  const io::TensorFile weights = io::read_safetensors(a.weights);
  train::RunConfig config = configuration(a);
  const data::ItemSpec pictures{.channels = a.channels,
                                .height = a.picture,
                                .width = a.picture,
                                .class_names = numbered_classes(a.classes)};
  flow::Flow flow(config.model, pictures, at::kCPU);
  flow.stage(0).network().parameters().load(without_prefix(weights), a.weights);
  flow::Notes notes = solve::notes_from_options(config.sampling);
  notes["calor.converted_from"] = a.weights;
  flow::save_model(a.out, flow, notes);
  const std::int64_t count = flow.stage(0).network().parameters().count_with_fixed();
  say(globals, fmt::format("{} parameters written to {}", count, a.out));
  return {{"out", a.out}, {"parameters", count}};
}

}  // namespace

void add_convert(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<ConvertArguments>();
  ConvertArguments& a = *arguments;
  CLI::App& command = add_command(
      program, globals, "convert", "Turn official weights (safetensors) into a model file.",
      "  calor convert jit-b16.safetensors --net jit --size B --patch 16 --out model.safetensors\n"
      "  calor convert weights.safetensors --net jit net.width=64 net.depth=4 net.heads=4 "
      "--picture 16 --classes 5 path.kind=linear --out model.safetensors");
  command.add_option("weights", a.weights, "safetensors file with the official names")->required();
  command.add_option("settings", a.settings, "key=value: path, objective, net and sample settings");
  command.add_option("--net", a.net, "kind of network")
      ->check(CLI::IsMember({"jit"}))
      ->capture_default_str();
  command.add_option("--size", a.size, "named size (Ti, S, B, L, H); else give net.* settings");
  command.add_option("--patch", a.patch, "patch side of the named size, px")
      ->check(CLI::Range(1, 128))
      ->capture_default_str();
  command.add_option("--picture", a.picture, "side of the pictures, px")
      ->check(CLI::Range(1, 16384))
      ->capture_default_str();
  command.add_option("--channels", a.channels, "1 or 3")
      ->check(CLI::IsMember({1, 3}))
      ->capture_default_str();
  command.add_option("--classes", a.classes, "number of classes; 0: none")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  command.add_option("--out", a.out, "model file to write")->required();
  a.said = SaidFlags(command);
  set_work(command, globals, [&globals, arguments] { return run_conversion(globals, *arguments); });
}

}  // namespace calor::app
