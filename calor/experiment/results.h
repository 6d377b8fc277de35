// The answer of an experiment: one table, from what its jobs have said so far.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "calor/experiment/experiment.h"
#include "calor/experiment/plan.h"

namespace calor::experiment {

struct Cell {
  std::vector<double> values = {};  // one for each seed whose answer has a number
  std::size_t seeds = 0;            // that are asked for
  double mean = 0;                  // NaN where there is none
  // Standard deviation over the seeds; with one seed, the measure's own standard error; NaN: none.
  double spread = 0;
};

struct TableRow {
  std::vector<std::string> levels;
  std::vector<Cell> cells;  // of each column
};

struct Table {
  std::vector<std::string> factors, columns;
  std::vector<TableRow> rows;
};

Table table_of(const Experiment& experiment, const Plan& plan, const std::filesystem::path& folder);

// The columns that this answer of a job should have a number for, and has none.
std::vector<std::string> columns_without_number(const Experiment& experiment, const Plan& plan,
                                                std::size_t job,
                                                const nlohmann::ordered_json& answer);

// As it stands in tables: "-" where there is no number, "(2 of 3)" behind what some seeds lack.
std::string text_of(const Column& column, const Cell& cell);
// Whether no other row's is better.
bool is_best(const Experiment& experiment, const Table& table, std::size_t row, std::size_t column);

// The best cell of a column that says which way is better is bold.
std::string markdown(const Experiment& experiment, const Table& table);
std::string csv(const Table& table);
nlohmann::ordered_json json(const Table& table);

}  // namespace calor::experiment
