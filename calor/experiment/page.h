// One page with the table, plots and commands of an experiment.
#pragma once

#include <string>
#include <vector>

#include "calor/experiment/experiment.h"
#include "calor/experiment/plan.h"
#include "calor/experiment/results.h"

namespace calor::experiment {

// SVG text of each plot, in the experiment's order.
std::vector<std::string> plots(const Experiment& experiment, const Table& table);
// A page that needs no other file: text, table, plots and every command.
std::string page(const Experiment& experiment, const Plan& plan, const Table& table);

}  // namespace calor::experiment
