// Distillation of a trained flow into maps of few evaluations each, learnt from what the teacher
// makes of noise (METHODS: distillation).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "calor/distill/distance.h"
#include "calor/distill/student.h"
#include "calor/distill/teacher_states.h"
#include "calor/flow/model_file.h"
#include "calor/train/run_config.h"
#include "calor/train/stage_trainer.h"

namespace calor::distill {

enum class Grouping { equal, measured };
inline constexpr config::Choice<Grouping> groupings[] = {
    {"equal", Grouping::equal, "equal numbers of the teacher's stages"},
    {"measured", Grouping::measured,
     "those whose students, tried briefly, miss held-out pairs least"},
};

struct DistilOptions {
  std::int64_t stages = 1;       // students
  std::int64_t evaluations = 1;  // of each
  Method method = Method::direct;
  std::int64_t halvings = 3;    // progressive: begins with evaluations 2^halvings
  std::int64_t neighbours = 8;  // consistency: pieces of each evaluation's part of the way
  Distance distance = plain_distance();
  Grouping grouping = Grouping::equal;
  std::int64_t pairs = 50'000;      // items that the teacher makes
  std::int64_t held_out = 2'000;    // of them, to measure on
  std::int64_t trial_steps = 1000;  // measured: of each student that is tried
  train::ParticleStore store = train::ParticleStore::fp32;
  std::shared_ptr<const data::Dataset> conditions = {};  // of a teacher that is given some
  // Where the teacher's states are kept, those of each request by themselves, so that students can
  // share them; empty: RUN/pairs.
  std::filesystem::path states = {};
};

// RUN/                    model.safetensors
// RUN/pairs/border-K.f32  what the teacher makes of noise, at every border of its stages
// RUN/pairs/way-L-R/      and at times between, on the way through the stages L to R
// RUN/trials/F-L/         students tried for the stages F to L; error.txt
// RUN/stages/K/           checkpoints/ of a student, weights.safetensors once it is trained
// RUN/stages/K/halving-E/, straight/    what a method trains before it, in the same way
class Distiller {
 public:
  // `config` says how a student is trained: train.steps are those of all that its method trains,
  // in equal parts; train.ema2 is the decay of consistency's target network. The folder must exist.
  Distiller(const flow::LoadedModel& teacher, std::string teacher_checksum,
            const DistilOptions& options, const train::RunConfig& config,
            std::filesystem::path folder, train::TrainObserver& observer);

  // Makes the pairs, chooses the groups, trains the students, writes model.safetensors; until all
  // is done or a signal asks to stop. The same call goes on.
  train::Outcome run();

  // Known once run() has chosen them.
  const std::vector<StageGroup>& groups() const { return groups_; }
  // measured: error[l][r] of a student of one evaluation, learnt by regression, for the teacher's
  // stages l .. r on held-out pairs.
  const std::vector<std::vector<double>>& errors() const { return errors_; }

 private:
  // One training of a student's network; nothing where a signal asked to stop, else the weights.
  struct Phase {
    std::string name;              // of its folder; empty: the student's own
    std::int64_t evaluations = 1;  // of the map that it makes
    std::int64_t steps = 0;
    std::shared_ptr<const train::Lesson> lesson;
    at::Tensor warm_start;
  };
  std::optional<at::Tensor> go_through(std::size_t student, const Phase& phase);
  std::optional<at::Tensor> teach(std::size_t student);
  std::optional<at::Tensor> teach_directly(std::size_t student);
  std::optional<at::Tensor> teach_by_halving(std::size_t student);
  std::optional<at::Tensor> teach_consistency(std::size_t student);
  std::optional<at::Tensor> teach_by_reflow(std::size_t student);

  train::Outcome choose_groups();
  train::Outcome measure_groups();
  std::optional<double> trial(StageGroup group);
  train::StageTask task_for(std::size_t student, StageGroup group,
                            const std::filesystem::path& folder) const;
  std::shared_ptr<data::Dataset> left_ends(StageGroup group, bool held_out) const;
  std::optional<Way> way_of(std::size_t student, std::int64_t pieces);
  Material material(const Way& way) const;
  at::Tensor beginning(StageGroup group) const;
  train::RunConfig config_of(std::int64_t evaluations, std::int64_t steps) const;
  std::filesystem::path folder_of(std::size_t student, const std::string& phase = {}) const;
  StatesRequest request() const;
  OnStates on_states();

  const flow::LoadedModel& teacher_;
  std::string teacher_checksum_;
  DistilOptions options_;
  train::RunConfig config_;
  std::filesystem::path folder_;
  train::TrainObserver& observer_;
  flow::Given given_;
  std::optional<TeacherStates> states_;
  std::vector<StageGroup> groups_;
  std::vector<std::vector<double>> errors_;
};

}  // namespace calor::distill
