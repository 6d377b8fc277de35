#include "calor/distill/student.h"

#include <fmt/format.h>

#include "calor/core/error.h"

namespace calor::distill {
namespace {

// The OU time from a group's left end to its right one.
double time_of(const std::vector<path::StageStep>& steps, StageGroup group) {
  double time = 0;
  for (int n = group.first; n <= group.last; ++n) time += steps[static_cast<std::size_t>(n)].gamma;
  return time;
}

}  // namespace

void require_teacher(const flow::ModelOptions& teacher, std::int64_t students) {
  if (teacher.stages.maps) {
    throw usage_error("a trained flow as teacher", "a distilled student",
                      "distil its teacher again, with fewer stages");
  }
  require_usage(teacher.stages.is_chain() || teacher.path.kind != path::PathKind::ihdm,
                "a teacher that carries noise to data", "path.kind = \"ihdm\"",
                "distil a model along another path");
  const auto stages =
      static_cast<std::int64_t>(teacher.stages.is_chain() ? stage_steps(teacher.stages).size() : 1);
  if (students >= 1 && students <= stages) return;
  throw usage_error(fmt::format("--stages 1 to {}, the stages of the teacher", stages),
                    fmt::format("--stages {}", students),
                    stages == 1 ? "a flow of one stage is distilled into one map; --evaluations "
                                  "says in how many evaluations"
                                : "take as many students or fewer");
}

flow::ModelOptions student_model(const flow::ModelOptions& teacher,
                                 const std::vector<StageGroup>& groups, std::int64_t evaluations) {
  require_teacher(teacher, static_cast<std::int64_t>(groups.size()));
  if (!teacher.stages.is_chain()) {
    flow::ModelOptions own = teacher;
    own.stages.maps = true;
    own.stages.evaluations = evaluations;
    return own;
  }
  // A student has the size of the network that it begins with, its group's towards noise.
  flow::ModelOptions own = teacher.of_stage(static_cast<std::size_t>(groups.back().last));
  const flow::StageOptions& chain = teacher.stages;
  const auto steps = flow::stage_steps(chain);
  own.stages = {};
  own.stages.maps = true;
  own.stages.evaluations = evaluations;
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

bool begins_like_teacher(const flow::Flow& teacher, std::int64_t students) {
  return teacher.size() == 1 || students > 1;
}

}  // namespace calor::distill
