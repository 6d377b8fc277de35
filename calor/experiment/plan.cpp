#include "calor/experiment/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "calor/core/error.h"

namespace calor::experiment {
namespace {

constexpr std::array makers = {"train", "distill"};
constexpr std::array measurers = {"evaluate", "score", "rollout", "sample", "info"};

// What the names in braces stand for, for one row and seed.
struct Scope {
  const Experiment& experiment;
  const std::vector<std::size_t>& levels;
  std::filesystem::path runs;
  std::int64_t seed = 0;
  double scale = 1;
  std::filesystem::path run = {};  // of the last making
  bool by_level = false;           // names, not values, of levels: for the names of folders
};

const std::string* level_value(const Scope& scope, std::string_view name) {
  for (std::size_t i = 0; i < scope.levels.size(); ++i) {
    const Factor& factor = scope.experiment.factors[i];
    if (factor.name != name) continue;
    return scope.by_level ? &factor.levels[scope.levels[i]] : &factor.values[scope.levels[i]];
  }
  return nullptr;
}

Error bad_name(const Scope& scope, std::string_view name, const std::string& where) {
  std::vector<std::string> known{"seed", "run", "runs", "steps:N"};
  for (const auto& factor : scope.experiment.factors) known.push_back(factor.name);
  return usage_error(
      fmt::format("one of the names {} in braces", fmt::join(known, ", ")),
      fmt::format("'{{{}}}' in \"{}\" of the experiment {}", name, where, scope.experiment.name),
      "name a factor, or write it without braces");
}

std::string scaled_steps(const Scope& scope, std::string_view number, std::string_view name,
                         const std::string& where) {
  std::int64_t steps = 0;
  const auto read = std::from_chars(number.data(), number.data() + number.size(), steps);
  if (read.ec != std::errc() || read.ptr != number.data() + number.size() || steps < 1) {
    throw bad_name(scope, name, where);
  }
  return std::to_string(std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::llround(static_cast<double>(steps) * scope.scale))));
}

std::string value_of(const Scope& scope, std::string_view name, const std::string& where) {
  if (name == "seed") return std::to_string(scope.seed);
  if (name == "runs") return scope.runs.string();
  if (name == "run" && !scope.run.empty()) return scope.run.string();
  if (name.starts_with("steps:")) return scaled_steps(scope, name.substr(6), name, where);
  if (const std::string* value = level_value(scope, name)) return *value;
  throw bad_name(scope, name, where);
}

std::string filled(const Scope& scope, const std::string& word, const std::string& where) {
  std::string result;
  for (std::size_t i = 0; i < word.size();) {
    const std::size_t end = word[i] == '{' ? word.find('}', i) : std::string::npos;
    if (end == std::string::npos) {
      result += word[i++];
      continue;
    }
    result += value_of(scope, std::string_view(word).substr(i + 1, end - i - 1), where);
    i = end + 1;
  }
  return result;
}

std::vector<std::string> words_for(const Scope& scope, const std::string& command) {
  std::vector<std::string> words;
  for (const auto& word : words_of(command)) {
    const bool whole = word.starts_with('{') && word.find('}') == word.size() - 1;
    const std::string* value =
        whole ? level_value(scope, std::string_view(word).substr(1, word.size() - 2)) : nullptr;
    if (value == nullptr) {
      words.push_back(filled(scope, word, command));
      continue;
    }
    for (const auto& part : words_of(*value)) words.push_back(filled(scope, part, *value));
  }
  return words;
}

template <std::size_t n>
void require_command(const Scope& scope, const std::vector<std::string>& words,
                     const std::array<const char*, n>& commands, const std::string& where) {
  if (!words.empty() && std::ranges::find(commands, words.front()) != commands.end()) return;
  throw usage_error(fmt::format("a command that begins with {}", fmt::join(commands, ", ")),
                    fmt::format("\"{}\" of the experiment {}", where, scope.experiment.name),
                    "begin with one of them, without 'calor'");
}

// Letters, digits, dots and dashes of a text; what else there is becomes dashes.
std::string plain(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const bool kept =
        std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_';
    result += kept ? c : '-';
  }
  return result;
}

// The jobs so far; one with the same words is used again.
class Jobs {
 public:
  explicit Jobs(std::vector<Job>& jobs) : jobs_(jobs) {}

  std::size_t add(Job job) {
    if (const auto known = by_words_.find(job.words); known != by_words_.end())
      return known->second;
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      if (jobs_[i].run.empty()) continue;
      const std::string run = jobs_[i].run.string();
      if (std::ranges::find(job.words, run) != job.words.end()) job.needs.push_back(i);
    }
    for (const std::size_t i : job.needs) {
      job.after.insert(job.after.end(), jobs_[i].after.begin(), jobs_[i].after.end());
      job.after.push_back(jobs_[i].words);
    }
    job.name = free_name(job.name);
    names_.insert(job.name);
    by_words_[job.words] = jobs_.size();
    jobs_.push_back(std::move(job));
    return jobs_.size() - 1;
  }

 private:
  // Levels such as +1 and -1 have one name for files.
  std::string free_name(const std::string& name) const {
    std::string free = name;
    for (int i = 2; names_.contains(free); ++i) free = fmt::format("{}-{}", name, i);
    return free;
  }

  std::set<std::string> names_;
  std::vector<Job>& jobs_;
  std::map<std::vector<std::string>, std::size_t> by_words_;
};

void require_one_maker(const Experiment& experiment, const std::vector<Job>& jobs) {
  std::map<std::string, const Job*> by_run;
  for (const auto& job : jobs) {
    if (job.run.empty()) continue;
    if (!by_run.emplace(job.run.string(), &job).second) {
      throw usage_error("a run name that tells different commands apart",
                        fmt::format("'{}' for two commands of the experiment {}",
                                    job.run.filename().string(), experiment.name),
                        "add the factors and {seed} that the command holds to its run name");
    }
  }
}

bool skipped(const Experiment& experiment, const std::vector<std::size_t>& levels) {
  return std::ranges::any_of(experiment.skipped, [&](const auto& left_out) {
    for (std::size_t i = 0; i < levels.size(); ++i) {
      const Factor& factor = experiment.factors[i];
      const auto named = left_out.find(factor.name);
      if (named != left_out.end() && named->second != factor.levels[levels[i]]) return false;
    }
    return true;
  });
}

// All combinations of levels, the last factor's changing fastest.
std::vector<std::vector<std::size_t>> combinations(const Experiment& experiment) {
  std::vector<std::vector<std::size_t>> all{{}};
  for (const auto& factor : experiment.factors) {
    std::vector<std::vector<std::size_t>> longer;
    for (const auto& levels : all) {
      for (std::size_t i = 0; i < factor.levels.size(); ++i) {
        longer.push_back(levels);
        longer.back().push_back(i);
      }
    }
    all = std::move(longer);
  }
  std::erase_if(all, [&](const auto& levels) { return skipped(experiment, levels); });
  return all;
}

std::string row_name(const Experiment& experiment, const std::vector<std::size_t>& levels) {
  std::string name;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    name += "-" + plain(experiment.factors[i].levels[levels[i]]);
  }
  return name;
}

}  // namespace

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  bool inside = false;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word += c;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
      inside = true;
    } else if (c == ' ' || c == '\n' || c == '\t') {
      if (inside) words.push_back(word);
      word.clear();
      inside = false;
    } else {
      word += c;
      inside = true;
    }
  }
  if (inside) words.push_back(word);
  return words;
}

Plan plan_of(const Experiment& experiment, const std::filesystem::path& folder,
             const Choices& choices) {
  Plan plan;
  Jobs jobs(plan.jobs);
  for (const auto& levels : combinations(experiment)) {
    Row row{.levels = levels, .measured_by = {}};
    for (std::int64_t seed = 0; seed < choices.seeds; ++seed) {
      Scope scope{.experiment = experiment,
                  .levels = levels,
                  .runs = folder / "runs",
                  .seed = seed,
                  .scale = choices.scale};
      for (const auto& making : experiment.makings) {
        auto words = words_for(scope, making.command);
        require_command(scope, words, makers, making.command);
        if (words.front() == "train") {
          words.insert(words.end(), choices.settings.begin(), choices.settings.end());
        }
        scope.by_level = true;
        const std::string name = plain(filled(scope, making.run, making.run));
        scope.by_level = false;
        scope.run = scope.runs / name;
        words.insert(words.end(), {"--run", scope.run.string()});
        jobs.add({.name = name, .words = std::move(words), .run = scope.run, .needs = {}});
      }
      auto& measured = row.measured_by.emplace_back();
      for (const auto& measuring : experiment.measurings) {
        auto words = words_for(scope, measuring.command);
        require_command(scope, words, measurers, measuring.command);
        measured.push_back(jobs.add({.name = fmt::format("{}{}-seed{}", plain(measuring.name),
                                                         row_name(experiment, levels), seed),
                                     .words = std::move(words),
                                     .run = {},
                                     .needs = {}}));
      }
    }
    plan.rows.push_back(std::move(row));
  }
  require_one_maker(experiment, plan.jobs);
  return plan;
}

}  // namespace calor::experiment
