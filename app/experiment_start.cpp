#include "app/experiment_start.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "app/command.h"
#include "app/train_request.h"
#include "calor/config/presets.h"
#include "calor/core/error.h"
#include "calor/io/atomic_file.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

bool is_experiment_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path / "experiment.toml", ignored);
}

std::string embedded_text(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [known, text] : embedded_experiments()) {
    if (known == name) return std::string(text);
    names.emplace_back(known);
  }
  const std::string nearest = nearest_name(name, names);
  throw usage_error("a named experiment, a TOML file or an experiment's folder",
                    fmt::format("'{}'", name),
                    nearest.empty() ? fmt::format("the named ones: {}", fmt::join(names, ", "))
                                    : fmt::format("did you mean '{}'?", nearest));
}

std::optional<Settled> stored_settings(const fs::path& folder) {
  std::error_code ignored;
  const fs::path file = folder / "plan.json";
  if (!fs::exists(file, ignored)) return {};
  const auto json = nlohmann::json::parse(io::read_text(file), nullptr, false);
  try {
    return Settled{
        .choices = {.seeds = json.at("seeds").get<std::int64_t>(),
                    .scale = json.at("scale").get<double>(),
                    .settings = settings_of(json.value("settings", std::vector<std::string>()))},
        .budget = json.at("budget_minutes").get<double>(),
        .begun = true};
  } catch (const nlohmann::json::exception&) {
    throw Error("a plan.json that an experiment has written", file.string() + ": damaged",
                "write seeds, budget_minutes, scale and settings into it as they were, or name "
                "another folder with --run");
  }
}

[[noreturn]] void refuse_change(const std::string& what, const ExperimentText& text,
                                const std::string& found) {
  throw usage_error(fmt::format("{} as when {} began", what, text.folder.string()), found,
                    "go on without that, or name another folder with --run");
}

}  // namespace

ExperimentText read_experiment(const ExperimentRequest& request) {
  const fs::path source = request.source;
  std::error_code ignored;
  // With --run the folder is named there, and a folder called like an experiment is no matter.
  if (request.folder.empty() && is_experiment_folder(source)) {
    const fs::path folder = source.has_filename() ? source : source.parent_path();
    return {folder.filename().string(), io::read_text(folder / "experiment.toml"), folder};
  }
  const bool file = source.extension() == ".toml" || fs::is_regular_file(source, ignored);
  const std::string name = file ? source.stem().string() : request.source;
  return {name, file ? io::read_text(source) : embedded_text(request.source),
          request.folder.empty() ? fs::path("experiments") / name : fs::path(request.folder)};
}

Settled settle(const ExperimentRequest& request, const ExperimentText& text,
               const experiment::Experiment& experiment) {
  const auto stored = stored_settings(text.folder);
  Settled settled = stored.value_or(
      Settled{.choices = {.seeds = experiment.seeds, .scale = 1, .settings = request.settings},
              .budget = request.budget,
              .begun = false});
  if (request.seeds > 0) settled.choices.seeds = request.seeds;
  if (request.budget > 0 && request.budget != settled.budget) {
    refuse_change("--budget", text,
                  fmt::format("{} minutes, not {}", request.budget, settled.budget));
  }
  if (!request.settings.empty() && request.settings != settled.choices.settings) {
    const auto& had = settled.choices.settings;
    refuse_change("the settings of all trainings", text,
                  fmt::format("{}, not {}", fmt::join(request.settings, " "),
                              had.empty() ? "none" : fmt::to_string(fmt::join(had, " "))));
  }
  return settled;
}

void store(const fs::path& folder, const Settled& settled) {
  const nlohmann::ordered_json kept{{"seeds", settled.choices.seeds},
                                    {"budget_minutes", settled.budget},
                                    {"scale", settled.choices.scale},
                                    {"settings", settled.choices.settings}};
  io::write_file_atomically(folder / "plan.json", json_text(kept) + "\n");
}

}  // namespace calor::app
