// What the jobs of an experiment have said, kept in its folder.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "calor/experiment/plan.h"

namespace calor::experiment {

// What a job has said, kept with its words and those of the jobs that it follows: an answer counts
// for the same words only.
std::filesystem::path answer_file(const std::filesystem::path& folder, const Job& job);
void keep_answer(const std::filesystem::path& folder, const Job& job,
                 const nlohmann::ordered_json& answer);
// Nothing where there is none, it is damaged, or it is of other words.
std::optional<nlohmann::ordered_json> kept_answer(const std::filesystem::path& folder,
                                                  const Job& job);

// The number at a key such as /features/LeNet/distances/frechet_distance: a JSON pointer in which
// an entry of a list may also be named by the text that it begins with. NaN where there is none.
double number_at(const nlohmann::ordered_json& answer, const std::string& key);

}  // namespace calor::experiment
