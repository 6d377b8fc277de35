#include "calor/train/trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <utility>

#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/io/atomic_file.h"
#include "calor/train/particles.h"
#include "calor/train/stage_weights.h"

namespace calor::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* model_name = "model.safetensors";

// Of its observed pictures an item holds the bytes only, so that 64 of them count as one number.
PushOptions push_options(const RunConfig& config, const data::ItemSpec& items, RandomKey noise) {
  const auto& [count, channels, height, width] = items.observed;
  const std::int64_t numbers = items.numbers() + count * channels * height * width / 64;
  return {.ode = config.train.push,
          .t_eps = config.sampling.solver.t_eps,
          .noise = noise,
          .chunk = push_chunk_rows(numbers),
          .store = config.train.particle_store};
}

}  // namespace

Trainer::Trainer(const RunConfig& config, data::TrainingData data, fs::path folder,
                 at::Device device, TrainObserver& observer)
    : config_(config),
      data_(std::move(data)),
      folder_(std::move(folder)),
      observer_(observer),
      flow_(config.model, data_.train->spec(), device) {
  net::use(config.train.products);
  // From the start, as a stage trained in an earlier call carries particles, too.
  flow_.set_precision(config.train.precision);
  if (!config.model.stages.maps && config.model.stages.evaluations == 1) return;
  throw usage_error("settings of a flow to train", "those of a distilled student",
                    "students are made by calor distill");
}

fs::path Trainer::stage_folder(std::size_t stage) const {
  return flow_.is_chain() ? folder_ / "stages" / std::to_string(stage + 1) : folder_;
}

fs::path Trainer::weights_file(std::size_t stage) const {
  return stage_weights_file(stage_folder(stage));
}

std::size_t Trainer::stages_done() const {
  std::size_t done = 0;
  std::error_code ignored;
  for (std::size_t n = 0; n < flow_.size(); ++n)
    done += fs::exists(weights_file(n), ignored) ? 1 : 0;
  return done;
}

// The weights of a stage that has been trained; false where it has not.
bool Trainer::take_up_stage(std::size_t stage) {
  std::error_code ignored;
  if (!fs::exists(weights_file(stage), ignored)) return false;
  load_stage_weights(weights_file(stage), flow_, stage);
  return true;
}

// The flow's own weights of the stage end as those to keep.
Outcome Trainer::train_stage(std::size_t stage, const data::TrainingData& data) {
  io::make_folder(stage_folder(stage));
  StageTask task{.stage = stage,
                 .set = data.train,
                 .validation = data.validation,
                 .folder = stage_folder(stage),
                 .warm_start = {},
                 .publish = {}};
  const auto& stages = config_.model.stages;
  if (stage > 0 && stages.warm_start && stages.particles == flow::Particles::pushed) {
    task.warm_start = flow_.stage(stage - 1).network().parameters().flat().clone();
  }
  StageTrainer trainer(config_, flow_, std::move(task), observer_);
  if (trainer.run() == Outcome::interrupted) return Outcome::interrupted;
  const c10::NoGradGuard no_grad;
  at::Tensor flat = flow_.stage(stage).network().parameters().flat();
  flat.copy_(trainer.final_weights());
  save_stage_weights(weights_file(stage), flat);
  return Outcome::finished;
}

// The data after one more stage; nothing where a signal asked to stop.
std::optional<data::TrainingData> Trainer::carry(std::size_t stage,
                                                 const data::TrainingData& data) {
  const fs::path folder = folder_ / "particles";
  io::make_folder(folder);
  const std::string checksum = io::checksum_of_file(weights_file(stage));
  const auto push = [&](const data::Dataset& left, const std::string& name, std::int64_t before,
                        std::int64_t total) {
    // Other noise for each stage, and for what is held out, which is pushed after the rest.
    const RandomKey noise =
        random_key(static_cast<std::uint64_t>(config_.train.seed), RandomUse::particle_noise)
            .child(stage)
            .child(static_cast<std::uint64_t>(before));
    return push_particles(
        flow_, stage, left, folder / name, checksum, push_options(config_, left.spec(), noise),
        [&](std::int64_t rows) { observer_.on_push(stage, before + rows, total); });
  };
  // The flow of a mirrored picture is not the mirrored flow, so both are carried.
  std::shared_ptr<const data::Dataset> left = data.train;
  if (stage == 0 && config_.data.flip && left->spec().kind == data::ItemKind::pictures) {
    left = data::with_mirrored(left);
  }
  const std::int64_t rows = left->size();
  const std::int64_t total = rows + (data.validation ? data.validation->size() : 0);
  data::TrainingData carried = data;
  const char* ending = store_ending(config_.train.particle_store);
  carried.train = push(*left, fmt::format("{}.{}", stage + 1, ending), 0, total);
  if (!carried.train) return std::nullopt;
  if (data.validation) {
    carried.validation =
        push(*data.validation, fmt::format("validation-{}.{}", stage + 1, ending), rows, total);
    if (!carried.validation) return std::nullopt;
  }
  return carried;
}

bool Trainer::anything_left() const {
  return flow_.is_chain() ? stages_done() < flow_.size() : steps_left(folder_, config_.train.steps);
}

Outcome Trainer::run_single() {
  StageTask task{.stage = 0,
                 .set = data_.train,
                 .validation = data_.validation,
                 .folder = folder_,
                 .warm_start = {},
                 .publish = {}};
  task.publish = [this](StageTrainer& trainer) {
    flow::Notes notes = model_notes(config_, trainer.progress().step);
    notes.insert(data_.notes.begin(), data_.notes.end());
    flow::save_model(folder_ / model_name, flow_, notes, {trainer.final_weights()});
  };
  return StageTrainer(config_, flow_, std::move(task), observer_).run();
}

Outcome Trainer::run() {
  if (!flow_.is_chain()) return run_single();
  data::TrainingData data = data_;
  // Particles are carried only for a stage that is still to be trained.
  const bool pushed =
      config_.model.stages.particles == flow::Particles::pushed && stages_done() < flow_.size();
  for (std::size_t n = 0; n < flow_.size(); ++n) {
    if (!take_up_stage(n) && train_stage(n, data) == Outcome::interrupted) {
      return Outcome::interrupted;
    }
    if (!pushed || n + 1 == flow_.size()) continue;
    auto carried = carry(n, data);
    if (!carried) return Outcome::interrupted;
    data = std::move(*carried);
  }
  write_model();
  return Outcome::finished;
}

Outcome Trainer::run_stage(std::int64_t number) {
  if (!flow_.is_chain() || config_.model.stages.particles != flow::Particles::exact) {
    throw usage_error(
        "a chain with stages.particles = \"exact\" for a single stage",
        flow_.is_chain() ? "pushed particles, which need the stages before" : "a flow of one stage",
        "leave --stage out, or begin a run with stages.particles=exact");
  }
  if (number < 1 || number > static_cast<std::int64_t>(flow_.size())) {
    throw usage_error(fmt::format("--stage 1 to {}", flow_.size()), fmt::format("{}", number),
                      "stages are numbered from the data");
  }
  const auto stage = static_cast<std::size_t>(number - 1);
  if (!take_up_stage(stage) && train_stage(stage, data_) == Outcome::interrupted) {
    return Outcome::interrupted;
  }
  for (std::size_t n = 0; n < flow_.size(); ++n) {
    if (!take_up_stage(n)) return Outcome::finished;
  }
  write_model();
  return Outcome::finished;
}

void Trainer::write_model() {
  flow::Notes notes = model_notes(config_, config_.train.steps);
  notes.insert(data_.notes.begin(), data_.notes.end());
  flow::save_model(folder_ / model_name, flow_, notes);
}

flow::Notes model_notes(const RunConfig& config, std::int64_t step) {
  RunConfig copy = config;
  flow::Notes notes = solve::notes_from_options(config.sampling);
  notes["calor.training"] = copy.options().to_toml();
  notes["calor.step"] = std::to_string(step);
  return notes;
}

}  // namespace calor::train
