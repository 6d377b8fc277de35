#include "calor/experiment/experiment.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>

#include "calor/core/error.h"

namespace calor::experiment {
namespace {

// One table of the file: reads its keys, and refuses at the end those that nobody asked for.
class Section {
 public:
  Section(const toml::table& table, std::string where, std::string origin)
      : table_(table), where_(std::move(where)), origin_(std::move(origin)) {}

  std::string text(const std::string& key, std::optional<std::string> otherwise = {}) {
    return get<std::string>(key, "a text", std::move(otherwise));
  }
  std::int64_t integer(const std::string& key, std::int64_t otherwise) {
    return get<std::int64_t>(key, "a whole number", otherwise);
  }
  bool flag(const std::string& key) { return get<bool>(key, "true or false", false); }

  // A text, or a list of texts or numbers.
  std::vector<std::string> texts(const std::string& key, bool required) {
    read_.push_back(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr) {
      if (required) complain(key, "a list of texts or numbers", "nothing");
      return {};
    }
    std::vector<std::string> result;
    const auto add = [&](const toml::node& element) {
      if (const auto t = element.value_exact<std::string>()) {
        result.push_back(*t);
      } else if (const auto i = element.value_exact<std::int64_t>()) {
        result.push_back(std::to_string(*i));
      } else if (const auto d = element.value_exact<double>()) {
        result.push_back(fmt::format("{}", *d));
      } else {
        complain(key, "a list of texts or numbers", "something else in it");
      }
    };
    if (const auto* array = node->as_array()) {
      for (const auto& element : *array) add(element);
    } else {
      add(*node);
    }
    return result;
  }

  // The tables of [[key]], each read by `read`.
  template <class Read>
  void each(const std::string& key, const Read& read) {
    read_.push_back(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    const auto* array = node->as_array();
    if (array == nullptr) complain(key, fmt::format("[[{}]]", key), "something else");
    for (std::size_t i = 0; i < array->size(); ++i) {
      const auto* entry = array->get(i)->as_table();
      if (entry == nullptr) complain(key, fmt::format("[[{}]]", key), "something else");
      Section section(*entry, fmt::format("[[{}]] number {}", key, i + 1), origin_);
      read(section);
    }
  }

  std::vector<std::string> keys() const {
    std::vector<std::string> names;
    for (const auto& [key, value] : table_) names.emplace_back(key.str());
    return names;
  }

  void finish() const {
    for (const auto& key : keys()) {
      if (std::ranges::find(read_, key) == read_.end()) {
        const std::string nearest = nearest_name(key, read_);
        complain(key, "a key of an experiment",
                 "an unknown one" + (nearest.empty() ? "" : fmt::format("; is it {}?", nearest)));
      }
    }
  }

  [[noreturn]] void complain(const std::string& key, const std::string& expected,
                             const std::string& found) const {
    throw usage_error(fmt::format("{} for '{}' in {}", expected, key, where_),
                      fmt::format("{}: {}", origin_, found),
                      "mend the file; docs/experiments.md describes it");
  }

 private:
  template <class T>
  T get(const std::string& key, const char* kind, std::optional<T> otherwise) {
    read_.push_back(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr) {
      if (!otherwise) complain(key, kind, "nothing");
      return *otherwise;
    }
    const auto value = node->value_exact<T>();
    if (!value) complain(key, kind, "something else");
    return *value;
  }

  const toml::table& table_;
  std::string where_, origin_;
  std::vector<std::string> read_;
};

Factor read_factor(Section& section) {
  Factor factor;
  factor.name = section.text("name");
  factor.levels = section.texts("levels", true);
  factor.values = section.texts("values", false);
  if (factor.values.empty()) factor.values = factor.levels;
  if (factor.levels.empty() || factor.values.size() != factor.levels.size()) {
    section.complain(
        "values", "one or more levels, and as many values",
        fmt::format("{} levels, {} values", factor.levels.size(), factor.values.size()));
  }
  for (auto level = factor.levels.begin(); level != factor.levels.end(); ++level) {
    if (std::find(factor.levels.begin(), level, *level) != level) {
      section.complain("levels", "different levels", fmt::format("'{}' twice", *level));
    }
  }
  section.finish();
  return factor;
}

Better read_better(Section& section) {
  const std::string word = section.text("better", "");
  if (word == "lower") return Better::lower;
  if (word == "higher") return Better::higher;
  if (!word.empty()) section.complain("better", "lower or higher", fmt::format("'{}'", word));
  return Better::neither;
}

template <class Things>
bool has_name(const Things& things, const std::string& name) {
  return std::ranges::any_of(things, [&](const auto& thing) { return thing.name == name; });
}

template <class Things>
void require_distinct(const Section& file, const char* key, const Things& things) {
  for (auto thing = things.begin(); thing != things.end(); ++thing) {
    const bool before = std::any_of(things.begin(), thing,
                                    [&](const auto& other) { return other.name == thing->name; });
    if (before) file.complain(key, "different names", fmt::format("'{}' twice", thing->name));
  }
}

Column read_column(Section& section, const Experiment& experiment) {
  Column column;
  column.name = section.text("name");
  column.measure = section.text("measure", experiment.measurings.front().name);
  if (!has_name(experiment.measurings, column.measure)) {
    section.complain("measure", "the name of a [[measure]]", fmt::format("'{}'", column.measure));
  }
  column.key = section.text("key");
  column.error = section.text("error", "");
  for (const std::string* pointer : {&column.key, &column.error}) {
    if (!pointer->empty() && pointer->front() != '/') {
      section.complain("key", "a key such as /distances/energy_distance",
                       fmt::format("'{}'", *pointer));
    }
  }
  column.digits = section.integer("digits", 3);
  if (column.digits < 0 || column.digits > 12)
    section.complain("digits", "0 to 12", "another number");
  column.better = read_better(section);
  section.finish();
  return column;
}

Plot read_plot(Section& section, const Experiment& experiment) {
  Plot plot;
  plot.x = section.text("x");
  plot.y = section.text("y");
  plot.title = section.text("title", plot.y);
  plot.by = section.texts("by", false);
  plot.log_x = section.flag("log_x");
  plot.log_y = section.flag("log_y");
  if (!has_name(experiment.factors, plot.x) && !has_name(experiment.columns, plot.x)) {
    section.complain("x", "the name of a factor or a column", fmt::format("'{}'", plot.x));
  }
  if (!has_name(experiment.columns, plot.y)) {
    section.complain("y", "the name of a column", fmt::format("'{}'", plot.y));
  }
  for (const auto& name : plot.by) {
    if (!has_name(experiment.factors, name)) {
      section.complain("by", "names of factors", fmt::format("'{}'", name));
    }
  }
  section.finish();
  return plot;
}

std::map<std::string, std::string> read_skipped(Section& section, const Experiment& experiment) {
  std::map<std::string, std::string> levels;
  for (const auto& key : section.keys()) {
    const auto factor = std::ranges::find(experiment.factors, key, &Factor::name);
    if (factor == experiment.factors.end()) {
      section.complain(key, "names of factors with the level to leave out", "another name");
    }
    const auto texts = section.texts(key, true);
    if (texts.size() != 1) {
      section.complain(key, "one level", fmt::format("a list of {}", texts.size()));
    }
    levels[key] = texts.front();
    if (std::ranges::find(factor->levels, levels[key]) == factor->levels.end()) {
      section.complain(key, "one of the factor's levels", fmt::format("'{}'", levels[key]));
    }
  }
  return levels;
}

}  // namespace

Experiment parse_experiment(std::string_view toml, const std::string& name,
                            const std::string& origin) {
  toml::table table;
  try {
    table = toml::parse(toml, origin);
  } catch (const toml::parse_error& error) {
    throw usage_error(
        "an experiment in TOML",
        fmt::format("{}, line {}: {}", origin, error.source().begin.line, error.description()),
        "mend that line; docs/experiments.md describes the file");
  }
  Section file(table, "the file", origin);
  Experiment experiment;
  experiment.name = name;
  experiment.title = file.text("title");
  experiment.text = file.text("text", "");
  experiment.seeds = file.integer("seeds", 1);
  if (experiment.seeds < 1) file.complain("seeds", "1 or more", "another number");
  file.each("factor", [&](Section& s) { experiment.factors.push_back(read_factor(s)); });
  file.each("make", [&](Section& s) {
    experiment.makings.push_back({.run = s.text("run"), .command = s.text("command")});
    s.finish();
  });
  file.each("measure", [&](Section& s) {
    experiment.measurings.push_back({.name = s.text("name"), .command = s.text("command")});
    s.finish();
  });
  if (experiment.measurings.empty()) file.complain("measure", "at least one [[measure]]", "none");
  require_distinct(file, "factor", experiment.factors);
  require_distinct(file, "measure", experiment.measurings);
  file.each("skip", [&](Section& s) { experiment.skipped.push_back(read_skipped(s, experiment)); });
  file.each("column",
            [&](Section& s) { experiment.columns.push_back(read_column(s, experiment)); });
  require_distinct(file, "column", experiment.columns);
  if (experiment.columns.empty()) file.complain("column", "at least one [[column]]", "none");
  file.each("plot", [&](Section& s) { experiment.plots.push_back(read_plot(s, experiment)); });
  file.finish();
  return experiment;
}

}  // namespace calor::experiment
