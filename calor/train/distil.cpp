#include "calor/train/distil.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "calor/core/error.h"
#include "calor/io/atomic_file.h"
#include "calor/train/stage_weights.h"
#include "calor/train/trainer.h"

namespace calor::train {
namespace {

namespace fs = std::filesystem;

// The OU time from a group's left end to its right one.
double time_of(const std::vector<path::StageStep>& steps, StageGroup group) {
  double time = 0;
  for (int n = group.first; n <= group.last; ++n) time += steps[static_cast<std::size_t>(n)].gamma;
  return time;
}

void require_teacher(const flow::ModelOptions& teacher, std::size_t groups) {
  if (teacher.stages.maps) {
    throw usage_error("a trained flow as teacher", "a distilled student",
                      "distil its teacher again, with fewer stages");
  }
  const std::size_t stages = teacher.stages.is_chain() ? stage_steps(teacher.stages).size() : 1;
  if (groups >= 1 && groups <= stages) return;
  throw usage_error(fmt::format("--stages 1 to {}, the stages of the teacher", stages),
                    fmt::format("--stages {}", groups),
                    stages == 1 ? "a flow of one stage is distilled into one map"
                                : "take as many students or fewer");
}

}  // namespace

flow::ModelOptions student_model(const flow::ModelOptions& teacher,
                                 const std::vector<StageGroup>& groups) {
  require_teacher(teacher, groups.size());
  if (!teacher.stages.is_chain()) {
    flow::ModelOptions own = teacher;
    own.stages.maps = true;
    return own;
  }
  // A student has the size of the network that it begins with, its group's towards noise.
  flow::ModelOptions own = teacher.of_stage(static_cast<std::size_t>(groups.back().last));
  const flow::StageOptions& chain = teacher.stages;
  const auto steps = flow::stage_steps(chain);
  own.stages = {};
  own.stages.maps = true;
  own.stages.inner = chain.free_inner;
  own.stages.free_inner = chain.free_inner;
  own.stages.rho = chain.rho;
  if (groups.size() == 1) own.path.kind = path::PathKind::linear;
  for (const StageGroup& group : groups) {
    const auto last = static_cast<std::size_t>(group.last);
    if (&group != &groups.back()) own.stages.gammas.push_back(time_of(steps, group));
    if (groups.size() == 1) continue;
    if (!chain.widths.empty()) own.stages.widths.push_back(chain.widths.at(last));
    if (!chain.depths.empty()) own.stages.depths.push_back(chain.depths.at(last));
  }
  return own;
}

Distiller::Distiller(const flow::LoadedModel& teacher, std::string teacher_checksum,
                     const DistilOptions& options, const RunConfig& config, fs::path folder,
                     TrainObserver& observer)
    : teacher_(teacher),
      teacher_checksum_(std::move(teacher_checksum)),
      options_(options),
      config_(config),
      folder_(std::move(folder)),
      observer_(observer) {
  require_teacher(teacher.flow->options(), static_cast<std::size_t>(options.stages));
  net::use(config.train.products);
}

// The first held_out pairs are held out, the others are for training.
std::shared_ptr<data::Dataset> Distiller::part(const TeacherStates& states, std::size_t border,
                                               bool held_out) const {
  const std::int64_t first = held_out ? 0 : options_.held_out;
  const std::int64_t count = held_out ? options_.held_out : options_.pairs - options_.held_out;
  return data::make_float_dataset(teacher_.flow->items(),
                                  states.borders[border].narrow(0, first, count),
                                  states.labels.narrow(0, first, count));
}

StageTask Distiller::task_for(std::size_t student, StageGroup group, const TeacherStates& states,
                              const fs::path& folder) const {
  const auto left = static_cast<std::size_t>(group.first);
  const auto right = static_cast<std::size_t>(group.last) + 1;
  StageTask task;
  task.stage = student;
  task.set = part(states, left, false);
  task.validation = part(states, left, true);
  task.right = part(states, right, false);
  task.validation_right = part(states, right, true);
  task.folder = folder;
  // A map of a chain is fed the same time as the teacher's stage at its right end.
  const flow::Flow& teacher = *teacher_.flow;
  if (teacher.size() == 1 || options_.stages > 1) {
    const auto last = static_cast<std::size_t>(group.last);
    task.warm_start = teacher.stage(last).network().parameters().flat();
  }
  return task;
}

// The held-out error of a student for this group, trained briefly; nothing where interrupted.
std::optional<double> Distiller::trial(const TeacherStates& states, StageGroup group) {
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
  RunConfig config = config_;
  config.model = student_model(teacher_.flow->options(), around);
  config.train.steps = options_.trial_steps;
  flow::Flow flow(config.model, teacher_.flow->items(), teacher_.flow->device());
  StageTrainer trainer(config, flow, task_for(index, group, states, folder), observer_);
  if (trainer.run() == Outcome::interrupted) return std::nullopt;
  const double error = trainer.best_loss();
  io::write_file_atomically(result, fmt::format("{:.17g}\n", error));
  return error;
}

Outcome Distiller::measure_groups(const TeacherStates& states) {
  const std::size_t stages = teacher_.flow->size();
  errors_.assign(stages, std::vector<double>(stages, INFINITY));
  for (std::size_t l = 0; l < stages; ++l) {
    for (std::size_t r = l; r < stages; ++r) {
      const auto error = trial(states, {.first = static_cast<int>(l), .last = static_cast<int>(r)});
      if (!error) return Outcome::interrupted;
      errors_[l][r] = *error;
    }
  }
  groups_ = best_groups(errors_, static_cast<int>(options_.stages));
  return Outcome::finished;
}

Outcome Distiller::train_student(flow::Flow& students, std::size_t index,
                                 const TeacherStates& states) {
  const fs::path folder = folder_ / "stages" / std::to_string(index + 1);
  const fs::path file = stage_weights_file(folder);
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    io::make_folder(folder);
    StageTrainer trainer(config_, students, task_for(index, groups_[index], states, folder),
                         observer_);
    if (trainer.run() == Outcome::interrupted) return Outcome::interrupted;
    save_stage_weights(file, trainer.final_weights());
  }
  load_stage_weights(file, students, index);
  return Outcome::finished;
}

Outcome Distiller::run() {
  const fs::path pairs = folder_ / "pairs";
  io::make_folder(pairs);
  const StatesRequest request{.folder = pairs,
                              .teacher = teacher_checksum_,
                              .sampling = solve::options_from_notes(teacher_.notes, "teacher"),
                              .count = options_.pairs,
                              .seed = config_.train.seed,
                              .store = options_.store};
  const auto states =
      teacher_states(*teacher_.flow, request, [&](std::size_t border, std::int64_t done) {
        observer_.on_states(border, done, options_.pairs);
      });
  if (!states) return Outcome::interrupted;
  groups_ =
      equal_groups(static_cast<int>(teacher_.flow->size()), static_cast<int>(options_.stages));
  if (options_.grouping == Grouping::measured && measure_groups(*states) == Outcome::interrupted) {
    return Outcome::interrupted;
  }
  config_.model = student_model(teacher_.flow->options(), groups_);
  flow::Flow students(config_.model, teacher_.flow->items(), teacher_.flow->device());
  for (std::size_t n = 0; n < students.size(); ++n) {
    if (train_student(students, n, *states) == Outcome::interrupted) return Outcome::interrupted;
  }
  flow::Notes notes = model_notes(config_, config_.train.steps);
  notes.insert(teacher_.notes.begin(), teacher_.notes.end());
  notes["calor.teacher"] = teacher_checksum_;
  flow::save_model(folder_ / "model.safetensors", students, notes);
  return Outcome::finished;
}

}  // namespace calor::train
