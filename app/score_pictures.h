// calor score on a model of pictures: bits per dimension.
#pragma once

#include "app/run_argument.h"
#include "app/score_arguments.h"

namespace calor::app {

// `a` settled. Returns the object of --json (docs/pictures.md).
nlohmann::ordered_json score_pictures(const Globals& globals, const ScoreArguments& a,
                                      const RunModel& model);

}  // namespace calor::app
