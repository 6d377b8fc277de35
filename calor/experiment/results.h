// The answer of an experiment: one table, one page with plots, from what its jobs have said so far.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "calor/experiment/experiment.h"
#include "calor/experiment/plan.h"

namespace calor::experiment {

// What a job has said, kept with its words: an answer counts only for the same words.
std::filesystem::path answer_file(const std::filesystem::path& folder, const Job& job);
void keep_answer(const std::filesystem::path& folder, const Job& job,
                 const nlohmann::ordered_json& answer);
// Nothing where there is none, it is damaged, or it is of other words.
std::optional<nlohmann::ordered_json> kept_answer(const std::filesystem::path& folder,
                                                  const Job& job);

struct Cell {
  std::vector<double> values;  // one for each seed that is measured
  double mean = 0;             // NaN where there is none
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

// The best cell of a column that says which way is better is bold.
std::string markdown(const Experiment& experiment, const Table& table);
std::string csv(const Table& table);
nlohmann::ordered_json json(const Table& table);
// SVG text of each plot, in the experiment's order.
std::vector<std::string> plots(const Experiment& experiment, const Table& table);
// A page that needs no other file: text, table, plots and every command.
std::string page(const Experiment& experiment, const Plan& plan, const Table& table);

}  // namespace calor::experiment
