// What a student is: the flow that takes its teacher's place, one map for each group of stages.
#pragma once

#include <cstdint>
#include <vector>

#include "calor/config/options.h"
#include "calor/distill/grouping.h"
#include "calor/flow/flow.h"

namespace calor::distill {

// How a student learns its group's map.
enum class Method { direct, progressive, consistency, reflow };
inline constexpr config::Choice<Method> methods[] = {
    {"direct", Method::direct, "regression on the teacher's states"},
    {"progressive", Method::progressive,
     "regression in many evaluations, then halved until --evaluations are left"},
    {"consistency", Method::consistency,
     "neighbours on the teacher's way agree about where it ends"},
    {"reflow", Method::reflow,
     "a straight flow between the teacher's noise and samples, then regression on that"},
};

// Of a teacher with so many stages. UsageError where it is a student itself, or has fewer.
void require_teacher(const flow::ModelOptions& teacher, std::int64_t students);

// The student's model: the teacher's, with one stage for each group, a map of so many evaluations.
// UsageError as above.
flow::ModelOptions student_model(const flow::ModelOptions& teacher,
                                 const std::vector<StageGroup>& groups,
                                 std::int64_t evaluations = 1);

// Whether a student's network is fed the time as that of the teacher's stage at its right end is,
// and so may begin with its weights.
bool begins_like_teacher(const flow::Flow& teacher, std::int64_t students);

}  // namespace calor::distill
