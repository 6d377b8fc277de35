// How many training steps fit into a number of minutes on this machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "app/command.h"
#include "calor/experiment/plan.h"

namespace calor::app {

// The factor for all training steps with which the plan's trainings (made with factor 1) take
// `seconds` in all, `at_once` at a time. Each kind of training is tried under folder/trials, at two
// lengths, so that what a start costs is told from what a step costs. Pushed particles, students
// and measurements are not counted. UsageError where the starts alone use up the time.
double scale_for_budget(const Globals& globals, const experiment::Plan& plan,
                        const std::filesystem::path& folder, double seconds,
                        const std::string& device, int threads, std::int64_t at_once);

}  // namespace calor::app
