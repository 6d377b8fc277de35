// What an experiment is: a grid of factors, the commands that make a model for each of its rows,
// the commands that measure it, and the columns and plots of the answer. Read from TOML
// (configs/experiments/ has the named ones; docs/experiments.md describes the format).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace calor::experiment {

// Something that is varied. A level's value takes the place of {name} in the commands.
struct Factor {
  std::string name;
  std::vector<std::string> levels;  // as they stand in the table
  std::vector<std::string> values;  // as they stand in the commands; as many
};

// Of a command that makes a run folder: {run} is that folder.
struct Making {
  std::string run;      // template of the folder's name under the experiment's runs/
  std::string command;  // template of the program's arguments
};

// A command whose --json answer is kept.
struct Measuring {
  std::string name;
  std::string command;
};

enum class Better { neither, lower, higher };

struct Column {
  std::string name;
  std::string measure;  // the name of a Measuring
  std::string key;      // of a number in its answer; see answers.h
  std::string error;    // likewise: its standard error, shown where there is one seed; may be empty
  std::int64_t digits = 3;
  Better better = Better::neither;
};

struct Plot {
  std::string title, x, y;      // x: a factor or a column; y: a column
  std::vector<std::string> by;  // factors: one curve for each combination of their levels
  bool log_x = false, log_y = false;
};

struct Experiment {
  std::string name, title, text;
  std::int64_t seeds = 1;
  std::vector<Factor> factors;
  std::vector<std::map<std::string, std::string>> skipped;  // levels of some factors, by name
  std::vector<Making> makings;
  std::vector<Measuring> measurings;
  std::vector<Column> columns;
  std::vector<Plot> plots;
};

// UsageError, naming `origin` and the key, where the text is no TOML, a key is missing, unknown or
// of another type, or a name is used that nothing declares.
Experiment parse_experiment(std::string_view toml, const std::string& name,
                            const std::string& origin);

}  // namespace calor::experiment
