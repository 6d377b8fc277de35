// calor evaluate: how near samples are to real items, whatever they are samples of.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "app/evaluate.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/data/training_data.h"
#include "calor/net/precision.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

void check_flags(const EvaluateArguments& a) {
  if (a.blocks == 0) a.said.refuse({"--block-size"}, "--blocks", "none");
  if (a.searched == 0) a.said.refuse({"--held-out"}, "a search", "--searched 0");
}

nlohmann::ordered_json evaluate_model(const Globals& globals, const EvaluateArguments& a,
                                      at::Device device) {
  const RunModel model = open_run(a.samples, a.ema, device);
  if (!a.settings.empty()) {
    throw usage_error("no settings for a run, which says itself how its data are read",
                      a.settings[0], "leave it out");
  }
  require_no_policy(model);
  if (!a.reference.empty()) a.said.refuse({"--split"}, "the run's own data", "--reference");
  if (model.notes.contains("calor.table")) {
    a.said.refuse({"--features"}, "pictures or points",
                  "a model of a table, whose columns are encoded");
  }
  a.precision.apply(*model.flow);
  if (model.flow->items().kind == data::ItemKind::pictures) {
    return evaluate_pictures(globals, a, &model);
  }
  return evaluate_rows(globals, a, &model);
}

nlohmann::ordered_json evaluate_samples(const Globals& globals, const EvaluateArguments& a) {
  std::error_code ignored;
  if (!fs::exists(a.samples, ignored) && !data::is_known_source(a.samples)) {
    throw usage_error(
        "a run, a model file, or samples: a folder or file of pictures, a table, an array, or the "
        "name of a known set",
        fmt::format("'{}', which is none of these", a.samples), "check the path");
  }
  a.said.refuse({"--split", "--steps", "--solver", "--grid", "--guidance", "--guidance-interval",
                 "--t-eps", "--rtol", "--atol", "--ema", "--precision", "--batch"},
                "a run or a model", "samples that are drawn already");
  switch (data::source_kind(a.data_options(a.samples))) {
    case data::SourceKind::table:
      return evaluate_rows(globals, a, nullptr);
    case data::SourceKind::pictures:
      return evaluate_pictures(globals, a, nullptr);
    case data::SourceKind::points:
    case data::SourceKind::demonstrations:
      break;
  }
  throw usage_error("samples that are pictures, or rows of a table or an array",
                    fmt::format("'{}'", a.samples), "name a run, or a file of samples");
}

nlohmann::ordered_json run_evaluate(const Globals& globals, const EvaluateArguments& a) {
  const at::Device device = a.machine.apply();
  check_flags(a);
  const InterruptGuard guard;
  return is_model(a.samples) ? evaluate_model(globals, a, device) : evaluate_samples(globals, a);
}

void add_what_is_compared(CLI::App& command, EvaluateArguments& a) {
  command
      .add_option(
          "samples", a.samples,
          "run, model.safetensors, or samples: a folder or file of pictures, a known set, a "
          "table or an array")
      ->required();
  command.add_option("settings", a.settings, "data.KEY=value: how data are read that no run knows");
  command.add_option("--reference", a.reference,
                     "the real items (default: of a run, its own data)");
  command
      .add_option("--split", a.split,
                  "of a run's own data: test, validation or train (default: pictures train, rows "
                  "test)")
      ->check(CLI::IsMember({"test", "validation", "train"}));
  const CLI::Range counts(std::int64_t{16}, std::int64_t{10'000'000});
  command
      .add_option("--count", a.count,
                  "samples (default: 5000 of a picture model; as many as real rows; all of a file, "
                  "of pictures up to 10000)")
      ->check(counts);
  command
      .add_option("--reference-count", a.reference_count, "real pictures (default: up to 10000)")
      ->check(counts);
  command
      .add_option("--order", a.order,
                  "of the real pictures that are taken: shuffled (by a fixed key) or stored")
      ->check(CLI::IsMember({"shuffled", "stored"}))
      ->capture_default_str();
  command.add_option("--held-out", a.held_out,
                     "pictures that no training has seen, for comparison of nearest neighbours "
                     "(default: the known test set)");
}

void add_what_is_measured(CLI::App& command, EvaluateArguments& a) {
  command
      .add_option("--features", a.features,
                  "a classifier FILE.safetensors whose features are compared, again for another, "
                  "or none: the numbers themselves (default: pictures: LeNet and ResNet-56 of a "
                  "data folder's weights/; rows: columns made standard normal)")
      ->allow_extra_args(false);
  command.add_option("--classifier", a.classifier,
                     "FILE.safetensors that knows the samples' classes: how many it reads so");
  command
      .add_option("--searched", a.searched,
                  "training pictures searched for copies of samples; 0: none (default: all)")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--neighbours", a.neighbours,
                     "FILE.png: samples beside the training pictures nearest to them");
  command.add_option("--plot", a.plot, "FILE.png: spectra and histograms, samples and real");
  command
      .add_option("--blocks", a.blocks,
                  "also the Frechet distance over this many blocks of samples")
      ->check(CLI::IsMember({0}) | CLI::Range(2, 10000))
      ->capture_default_str();
  command.add_option("--block-size", a.block_size, "samples in a block")
      ->check(CLI::Range(16, 1000000))
      ->capture_default_str();
  command.add_option("--patch", a.patch, "patch period, pixels")
      ->check(CLI::Range(2, 128))
      ->capture_default_str();
  command.add_option("--assignment", a.limit, "rows of the exact Wasserstein distance")
      ->check(CLI::Range(8, 4096))
      ->capture_default_str();
  command.add_flag("--no-cache", a.no_cache, "compute features of real pictures anew");
}

void add_how_samples_are_drawn(CLI::App& command, EvaluateArguments& a) {
  a.sampling.add_to(command);
  command.add_option("--seed", a.seed, "of samples, dequantisation, subsets and resamples")
      ->check(seed_number())
      ->capture_default_str();
  add_ema(command, a.ema);
  a.precision.add_to(command, net::Precision::fp32);
  command.add_option("--batch", a.batch, "pictures drawn at a time")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str();
  a.machine.add_with_products_to(command);
}

}  // namespace

data::DataOptions EvaluateArguments::data_options(const std::string& source) const {
  data::DataOptions options;
  config::Options declared;
  options.declare(declared);
  assign_all(declared, settings);
  options.source = source;
  return options;
}

bool is_model(const std::string& path) {
  std::error_code ignored;
  const fs::path place = path;
  return place.extension() == ".safetensors" || fs::exists(place / "model.safetensors", ignored) ||
         fs::exists(place / "config.toml", ignored);
}

void stop_if_asked() { stop_if_interrupted("a whole evaluation"); }

void add_evaluate(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<EvaluateArguments>();
  CLI::App& command = add_command(
      program, globals, "evaluate", "How near samples are to real pictures or rows.",
      "  calor evaluate runs/demo --count 5000 --blocks 5 --plot spectra.png --json\n"
      "  calor evaluate runs/demo --steps 10 --guidance 1.5 --neighbours nearest.png\n"
      "  calor evaluate samples/ --reference cifar10 data.size=32\n"
      "  calor evaluate mnist-test --reference mnist            what real pictures reach\n"
      "  calor evaluate made.npy --reference real.npy --features none\n"
      "  calor evaluate runs/houses --split test\n"
      "  calor evaluate samples.csv --reference houses.csv");
  add_what_is_compared(command, *arguments);
  add_what_is_measured(command, *arguments);
  add_how_samples_are_drawn(command, *arguments);
  arguments->said = SaidFlags(command);
  set_work(command, globals, [&globals, arguments] { return run_evaluate(globals, *arguments); });
}

}  // namespace calor::app
