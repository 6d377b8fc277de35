// Distillation of a trained flow into maps of one evaluation each: direct regression on what the
// teacher makes of noise (METHODS: distillation).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "calor/flow/model_file.h"
#include "calor/train/grouping.h"
#include "calor/train/run_config.h"
#include "calor/train/stage_trainer.h"
#include "calor/train/teacher_states.h"

namespace calor::train {

enum class Grouping { equal, measured };
inline constexpr config::Choice<Grouping> groupings[] = {
    {"equal", Grouping::equal, "equal numbers of the teacher's stages"},
    {"measured", Grouping::measured,
     "those whose students, tried briefly, miss held-out pairs least"},
};

struct DistilOptions {
  std::int64_t stages = 1;  // students
  Grouping grouping = Grouping::equal;
  std::int64_t pairs = 50'000;      // items that the teacher makes
  std::int64_t held_out = 2'000;    // of them, to measure on
  std::int64_t trial_steps = 1000;  // measured: of each student that is tried
  ParticleStore store = ParticleStore::fp32;
};

// The students' model: the teacher's, with one stage for each group. UsageError where the teacher
// is a student itself or has fewer stages than groups.
flow::ModelOptions student_model(const flow::ModelOptions& teacher,
                                 const std::vector<StageGroup>& groups);

// RUN/                    model.safetensors
// RUN/pairs/border-K.f32  what the teacher makes of noise, at every border of its stages
// RUN/trials/F-L/         students tried for the stages F to L; error.txt
// RUN/stages/K/           checkpoints/ of a student, weights.safetensors once it is trained
class Distiller {
 public:
  // `train` says how a student is trained; the folder must exist.
  Distiller(const flow::LoadedModel& teacher, std::string teacher_checksum,
            const DistilOptions& options, const RunConfig& config, std::filesystem::path folder,
            TrainObserver& observer);

  // Makes the pairs, chooses the groups, trains the students, writes model.safetensors; until all
  // is done or a signal asks to stop. The same call goes on.
  Outcome run();

  // Known once run() has chosen them.
  const std::vector<StageGroup>& groups() const { return groups_; }
  // measured: error[l][r] of a student for the teacher's stages l .. r on held-out pairs.
  const std::vector<std::vector<double>>& errors() const { return errors_; }

 private:
  Outcome measure_groups(const TeacherStates& states);
  std::optional<double> trial(const TeacherStates& states, StageGroup group);
  Outcome train_student(flow::Flow& students, std::size_t index, const TeacherStates& states);
  StageTask task_for(std::size_t student, StageGroup group, const TeacherStates& states,
                     const std::filesystem::path& folder) const;
  std::shared_ptr<data::Dataset> part(const TeacherStates& states, std::size_t border,
                                      bool held_out) const;

  const flow::LoadedModel& teacher_;
  std::string teacher_checksum_;
  DistilOptions options_;
  RunConfig config_;
  std::filesystem::path folder_;
  TrainObserver& observer_;
  std::vector<StageGroup> groups_;
  std::vector<std::vector<double>> errors_;
};

}  // namespace calor::train
