#include "app/run_argument.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/train_request.h"
#include "calor/core/error.h"
#include "calor/data/training_data.h"
#include "calor/train/checkpoint.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

// The weights of the newest checkpoint that `ema` names.
at::Tensor checkpoint_weights(const fs::path& run, const std::string& ema) {
  std::error_code ignored;
  if (!fs::is_directory(run, ignored)) {
    throw usage_error(
        "a run folder for --ema 2 or off",
        fmt::format("'{}' is a lone model file, which holds one average", run.string()),
        "leave --ema out, or name the run folder");
  }
  std::string warnings;
  const auto checkpoint = train::load_newest_checkpoint(run, warnings);
  if (!checkpoint) {
    throw Error("a checkpoint", fmt::format("{} has none", run.string()), "train the run further");
  }
  return ema == "2" ? checkpoint->optimiser.ema2 : checkpoint->weights;
}

// No calor train would go on with it.
void require_trained_student(const fs::path& run) {
  std::error_code ignored;
  const fs::path settings = run / student_settings_name;
  if (!fs::exists(settings, ignored) || fs::exists(run / "model.safetensors", ignored)) return;
  throw Error("a run folder with a trained model",
              fmt::format("{} has no model.safetensors", run.string()),
              fmt::format("go on with the calor distill that began it; its settings are in {}",
                          settings.string()));
}

}  // namespace

void add_ema(CLI::App& command, std::string& ema) {
  command.add_option("--ema", ema, "weights: 1, 2 (averages) or off (the last step's)")
      ->check(CLI::IsMember({"1", "2", "off"}))
      ->capture_default_str();
}

void require_no_policy(const RunModel& model) {
  if (!data::policy_codec(model.notes, model.file.string())) return;
  throw usage_error("a model of pictures, of points or of a table", "a policy",
                    "calor rollout measures it in an environment");
}

RunModel open_run(const fs::path& run, const std::string& ema, at::Device device) {
  require_trained_student(run);
  RunModel model;
  model.file = flow::model_file_of(run);
  auto loaded = flow::load_model(model.file, device);
  model.flow = std::move(loaded.flow);
  model.notes = std::move(loaded.notes);
  if (ema != "1") {
    if (model.flow->is_chain()) {
      throw usage_error("--ema 1 for a chain of stages", "--ema " + ema,
                        "leave --ema out: a chain keeps one average of each stage");
    }
    at::Tensor flat = model.flow->stage(0).network().parameters().flat();
    const at::Tensor wanted = checkpoint_weights(run, ema);
    if (wanted.numel() != flat.numel()) {
      throw Error("a checkpoint of the same network as model.safetensors",
                  fmt::format("{}: {} and {} weights", run.string(), wanted.numel(), flat.numel()),
                  "the run folder mixes two runs: restore it");
    }
    const c10::NoGradGuard no_grad;
    flat.copy_(wanted);
  }
  return model;
}

}  // namespace calor::app
