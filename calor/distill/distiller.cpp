#include "calor/distill/distiller.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "calor/io/atomic_file.h"
#include "calor/train/stage_weights.h"
#include "calor/train/trainer.h"

namespace calor::distill {
namespace {

namespace fs = std::filesystem;
using train::Outcome;
using train::StageTask;
using train::StageTrainer;

// Of `parts` equal parts of the steps number `index`; the last takes what is left over.
std::int64_t part_of(std::int64_t steps, std::int64_t parts, std::int64_t index) {
  const std::int64_t each = std::max<std::int64_t>(steps / parts, 1);
  return index + 1 < parts ? each : std::max<std::int64_t>(steps - each * (parts - 1), 1);
}

}  // namespace

Distiller::Distiller(const flow::LoadedModel& teacher, std::string teacher_checksum,
                     const DistilOptions& options, const train::RunConfig& config, fs::path folder,
                     train::TrainObserver& observer)
    : teacher_(teacher),
      teacher_checksum_(std::move(teacher_checksum)),
      options_(options),
      config_(config),
      folder_(std::move(folder)),
      observer_(observer) {
  require_teacher(teacher.flow->options(), options.stages);
  given_ = given_in_turn(teacher.flow->items(), options.conditions.get(), options.pairs);
  net::use(config.train.products);
}

fs::path Distiller::folder_of(std::size_t student, const std::string& phase) const {
  return folder_ / "stages" / std::to_string(student + 1) / phase;
}

// Rows for a perceptron are so small that many of them fill a batch.
StatesRequest Distiller::request() const {
  StatesRequest request{.folder = folder_ / "pairs",
                        .teacher = teacher_checksum_,
                        .sampling = solve::options_from_notes(teacher_.notes, "teacher"),
                        .count = options_.pairs,
                        .seed = config_.train.seed,
                        .given = given_,
                        .conditions = {},
                        .store = options_.store};
  if (options_.conditions) request.conditions = options_.conditions->fingerprint();
  if (teacher_.flow->options().kind == net::NetworkKind::mlp) request.sampling.batch = 16'384;
  if (!options_.states.empty()) request.folder = options_.states / states_name(request);
  return request;
}

OnStates Distiller::on_states() {
  return [this](const std::string& what, std::int64_t done) {
    observer_.on_states(what, done, options_.pairs);
  };
}

// The first held_out pairs are held out, the others are for training.
Material Distiller::material(const Way& way) const {
  return {.training = way.narrow(options_.held_out, options_.pairs - options_.held_out),
          .held_out = way.narrow(0, options_.held_out),
          .distance = options_.distance};
}

std::shared_ptr<data::Dataset> Distiller::left_ends(StageGroup group, bool held_out) const {
  const std::int64_t first = held_out ? 0 : options_.held_out;
  const std::int64_t count = held_out ? options_.held_out : options_.pairs - options_.held_out;
  const at::Tensor& left = states_->borders[static_cast<std::size_t>(group.first)];
  return data::make_float_dataset(teacher_.flow->items(), left.narrow(0, first, count),
                                  states_->given.labels.narrow(0, first, count),
                                  states_->given.narrow(first, count).condition);
}

StageTask Distiller::task_for(std::size_t student, StageGroup group, const fs::path& folder) const {
  StageTask task;
  task.stage = student;
  task.set = left_ends(group, false);
  task.validation = left_ends(group, true);
  task.folder = folder;
  return task;
}

// The weights of the group's stage towards noise; none where they would be fed another time.
at::Tensor Distiller::beginning(StageGroup group) const {
  const flow::Flow& teacher = *teacher_.flow;
  if (!begins_like_teacher(teacher, options_.stages)) return {};
  return teacher.stage(static_cast<std::size_t>(group.last)).network().parameters().flat();
}

train::RunConfig Distiller::config_of(std::int64_t evaluations, std::int64_t steps) const {
  train::RunConfig config = config_;
  config.model = student_model(teacher_.flow->options(), groups_, evaluations);
  config.train.steps = steps;
  return config;
}

// The held-out error of a student for this group, trained briefly; nothing where interrupted.
std::optional<double> Distiller::trial(StageGroup group) {
  const fs::path folder = folder_ / "trials" / fmt::format("{}-{}", group.first, group.last);
  const fs::path result = folder / "error.txt";
  std::error_code ignored;
  if (fs::exists(result, ignored)) return std::stod(io::read_text(result));
  io::make_folder(folder);
  std::vector<StageGroup> around;
  if (group.first > 0) around.push_back({.first = 0, .last = group.first - 1});
  const std::size_t index = around.size();
  around.push_back(group);
  const auto stages = static_cast<int>(teacher_.flow->size());
  if (group.last + 1 < stages) around.push_back({.first = group.last + 1, .last = stages - 1});
  train::RunConfig config = config_;
  config.model = student_model(teacher_.flow->options(), around);
  config.train.steps = options_.trial_steps;
  flow::Flow flow(config.model, teacher_.flow->items(), teacher_.flow->device());
  StageTask task = task_for(index, group, folder);
  task.warm_start = beginning(group);
  const auto way =
      teacher_way(*teacher_.flow, request(), *states_, group, flow.stage(index), 1, on_states());
  task.lesson = regression(material(*way));
  StageTrainer trainer(config, flow, std::move(task), observer_);
  if (trainer.run() == Outcome::interrupted) return std::nullopt;
  const double error = trainer.best_loss();
  io::write_file_atomically(result, fmt::format("{:.17g}\n", error));
  return error;
}

Outcome Distiller::measure_groups() {
  const std::size_t stages = teacher_.flow->size();
  errors_.assign(stages, std::vector<double>(stages, INFINITY));
  for (std::size_t l = 0; l < stages; ++l) {
    for (std::size_t r = l; r < stages; ++r) {
      const auto error = trial({.first = static_cast<int>(l), .last = static_cast<int>(r)});
      if (!error) return Outcome::interrupted;
      errors_[l][r] = *error;
    }
  }
  groups_ = best_groups(errors_, static_cast<int>(options_.stages));
  return Outcome::finished;
}

Outcome Distiller::choose_groups() {
  groups_ =
      equal_groups(static_cast<int>(teacher_.flow->size()), static_cast<int>(options_.stages));
  return options_.grouping == Grouping::measured ? measure_groups() : Outcome::finished;
}

std::optional<Way> Distiller::way_of(std::size_t student, std::int64_t pieces) {
  const flow::Flow flow(config_of(1, 1).model, teacher_.flow->items(), teacher_.flow->device());
  return teacher_way(*teacher_.flow, request(), *states_, groups_[student], flow.stage(student),
                     pieces, on_states());
}

std::optional<at::Tensor> Distiller::go_through(std::size_t student, const Phase& phase) {
  const fs::path folder = folder_of(student, phase.name);
  const fs::path file = train::stage_weights_file(folder);
  const train::RunConfig config = config_of(phase.evaluations, phase.steps);
  flow::Flow flow(config.model, teacher_.flow->items(), teacher_.flow->device());
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    io::make_folder(folder);
    observer_.on_phase(fmt::format("student {} of {}{}: {} evaluation{}", student + 1,
                                   groups_.size(), phase.name.empty() ? "" : ", " + phase.name,
                                   phase.evaluations, phase.evaluations == 1 ? "" : "s"));
    StageTask task = task_for(student, groups_[student], folder);
    task.lesson = phase.lesson;
    task.warm_start = phase.warm_start;
    StageTrainer trainer(config, flow, std::move(task), observer_);
    if (trainer.run() == Outcome::interrupted) return std::nullopt;
    train::save_stage_weights(file, trainer.final_weights());
  }
  train::load_stage_weights(file, flow, student);
  return flow.stage(student).network().parameters().flat().detach().clone();
}

std::optional<at::Tensor> Distiller::teach_directly(std::size_t student) {
  const auto way = way_of(student, options_.evaluations);
  if (!way) return std::nullopt;
  return go_through(student, {.name = {},
                              .evaluations = options_.evaluations,
                              .steps = config_.train.steps,
                              .lesson = regression(material(*way)),
                              .warm_start = beginning(groups_[student])});
}

// The first map follows the teacher; each of the others has half the evaluations of the one before.
std::optional<at::Tensor> Distiller::teach_by_halving(std::size_t student) {
  const std::int64_t finest = options_.evaluations << options_.halvings;
  const auto way = way_of(student, finest);
  if (!way) return std::nullopt;
  at::Tensor weights = beginning(groups_[student]);
  for (std::int64_t round = 0; round <= options_.halvings; ++round) {
    const std::int64_t evaluations = finest >> round;
    const bool last = round == options_.halvings;
    const auto made = go_through(
        student,
        {.name = last ? std::string() : fmt::format("halving-{}", evaluations),
         .evaluations = evaluations,
         .steps = part_of(config_.train.steps, options_.halvings + 1, round),
         .lesson = round == 0 ? regression(material(*way))
                              : halving(material(way->every(finest / evaluations / 2)), weights),
         .warm_start = weights});
    if (!made) return std::nullopt;
    weights = *made;
  }
  return weights;
}

std::optional<at::Tensor> Distiller::teach_consistency(std::size_t student) {
  const auto way = way_of(student, options_.evaluations * options_.neighbours);
  if (!way) return std::nullopt;
  return go_through(student, {.name = {},
                              .evaluations = options_.evaluations,
                              .steps = config_.train.steps,
                              .lesson = consistency(material(*way), options_.neighbours),
                              .warm_start = beginning(groups_[student])});
}

std::optional<at::Tensor> Distiller::teach_by_reflow(std::size_t student) {
  const auto pairs = way_of(student, 1);
  const std::string name = "straight";
  const auto straight = go_through(student, {.name = name,
                                             .evaluations = options_.evaluations,
                                             .steps = part_of(config_.train.steps, 2, 0),
                                             .lesson = straightening(material(*pairs)),
                                             .warm_start = beginning(groups_[student])});
  if (!straight) return std::nullopt;
  flow::Flow flow(config_of(options_.evaluations, 1).model, teacher_.flow->items(),
                  teacher_.flow->device());
  const fs::path folder = folder_of(student, name);
  train::load_stage_weights(train::stage_weights_file(folder), flow, student);
  StatesRequest own = request();
  own.folder = folder;
  own.teacher = io::checksum_of_file(train::stage_weights_file(folder));
  const auto way = straight_way(flow, student, own, pairs->states.front(),
                                flow.stage(student).map_times(), on_states());
  if (!way) return std::nullopt;
  return go_through(student, {.name = {},
                              .evaluations = options_.evaluations,
                              .steps = part_of(config_.train.steps, 2, 1),
                              .lesson = regression(material(*way)),
                              .warm_start = *straight});
}

std::optional<at::Tensor> Distiller::teach(std::size_t student) {
  switch (options_.method) {
    case Method::progressive:
      return teach_by_halving(student);
    case Method::consistency:
      return teach_consistency(student);
    case Method::reflow:
      return teach_by_reflow(student);
    case Method::direct:
      break;
  }
  return teach_directly(student);
}

Outcome Distiller::run() {
  io::make_folder(request().folder);
  states_ = teacher_states(*teacher_.flow, request(), on_states());
  if (!states_ || choose_groups() == Outcome::interrupted) return Outcome::interrupted;
  const train::RunConfig config = config_of(options_.evaluations, config_.train.steps);
  std::vector<at::Tensor> weights;
  for (std::size_t n = 0; n < groups_.size(); ++n) {
    const auto taught = teach(n);
    if (!taught) return Outcome::interrupted;
    weights.push_back(*taught);
  }
  const flow::Flow students(config.model, teacher_.flow->items(), teacher_.flow->device());
  flow::Notes notes = train::model_notes(config, config.train.steps);
  notes.insert(teacher_.notes.begin(), teacher_.notes.end());
  notes["calor.teacher"] = teacher_checksum_;
  notes["calor.method"] = config::name_of(methods, options_.method);
  flow::save_model(folder_ / "model.safetensors", students, notes, weights);
  return Outcome::finished;
}

}  // namespace calor::distill
