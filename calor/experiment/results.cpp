#include "calor/experiment/results.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "calor/experiment/answers.h"

namespace calor::experiment {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

double mean_of(const std::vector<double>& values) {
  if (values.empty()) return none;
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

double deviation_of(const std::vector<double>& values, double mean) {
  double sum = 0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

Cell cell_of(const Column& column,
             const std::vector<std::optional<nlohmann::ordered_json>>& answers) {
  Cell cell{.seeds = answers.size()};
  double error = none;
  for (const auto& answer : answers) {
    if (!answer) continue;
    const double value = number_at(*answer, column.key);
    if (!std::isfinite(value)) continue;
    cell.values.push_back(value);
    error = number_at(*answer, column.error);
  }
  cell.mean = mean_of(cell.values);
  cell.spread = cell.values.size() > 1 ? deviation_of(cell.values, cell.mean) : error;
  return cell;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

// A bar would end a cell of a Markdown table.
std::string barless(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '|' ? std::string("\\|") : std::string(1, c);
  return result;
}

std::size_t index_of_measure(const Experiment& experiment, const Column& column) {
  return static_cast<std::size_t>(
      std::ranges::find(experiment.measurings, column.measure, &Measuring::name) -
      experiment.measurings.begin());
}

}  // namespace

std::string text_of(const Column& column, const Cell& cell) {
  if (!std::isfinite(cell.mean)) return "-";
  std::string text = fmt::format("{:.{}f}", cell.mean, column.digits);
  if (std::isfinite(cell.spread)) text += fmt::format(" ± {:.{}f}", cell.spread, column.digits);
  if (cell.values.size() < cell.seeds) {
    text += fmt::format(" ({} of {})", cell.values.size(), cell.seeds);
  }
  return text;
}

bool is_best(const Experiment& experiment, const Table& table, std::size_t row,
             std::size_t column) {
  const Better better = experiment.columns[column].better;
  const double value = table.rows[row].cells[column].mean;
  if (better == Better::neither || !std::isfinite(value) || table.rows.size() < 2) return false;
  return std::ranges::none_of(table.rows, [&](const TableRow& other) {
    const double there = other.cells[column].mean;
    return better == Better::lower ? there < value : there > value;
  });
}

Table table_of(const Experiment& experiment, const Plan& plan,
               const std::filesystem::path& folder) {
  // Each file is read once, however many columns are taken from it.
  std::map<std::size_t, std::optional<nlohmann::ordered_json>> read;
  const auto answer_of = [&](std::size_t job) {
    if (!read.contains(job)) read[job] = kept_answer(folder, plan.jobs[job]);
    return read[job];
  };
  Table table;
  for (const auto& factor : experiment.factors) table.factors.push_back(factor.name);
  for (const auto& column : experiment.columns) table.columns.push_back(column.name);
  for (const auto& row : plan.rows) {
    TableRow& line = table.rows.emplace_back();
    for (std::size_t i = 0; i < row.levels.size(); ++i) {
      line.levels.push_back(experiment.factors[i].levels[row.levels[i]]);
    }
    for (const auto& column : experiment.columns) {
      const std::size_t measure = index_of_measure(experiment, column);
      std::vector<std::optional<nlohmann::ordered_json>> answers;
      for (const auto& seed : row.measured_by) {
        answers.push_back(answer_of(seed[measure]));
      }
      line.cells.push_back(cell_of(column, answers));
    }
  }
  return table;
}

std::vector<std::string> columns_without_number(const Experiment& experiment, const Plan& plan,
                                                std::size_t job,
                                                const nlohmann::ordered_json& answer) {
  std::vector<std::string> names;
  for (const auto& column : experiment.columns) {
    const std::size_t measure = index_of_measure(experiment, column);
    const bool asked = std::ranges::any_of(plan.rows, [&](const Row& row) {
      return std::ranges::any_of(row.measured_by,
                                 [&](const auto& seed) { return seed[measure] == job; });
    });
    if (asked && !std::isfinite(number_at(answer, column.key))) names.push_back(column.name);
  }
  return names;
}

std::string markdown(const Experiment& experiment, const Table& table) {
  std::vector<std::string> names = table.factors;
  names.insert(names.end(), table.columns.begin(), table.columns.end());
  std::ranges::transform(names, names.begin(), barless);
  std::string text = fmt::format("| {} |\n|{}\n", fmt::join(names, " | "),
                                 fmt::join(std::vector<std::string>(names.size(), "---|"), ""));
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    std::vector<std::string> cells = table.rows[r].levels;
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      const std::string cell = text_of(experiment.columns[c], table.rows[r].cells[c]);
      cells.push_back(is_best(experiment, table, r, c) ? "**" + cell + "**" : cell);
    }
    std::ranges::transform(cells, cells.begin(), barless);
    text += fmt::format("| {} |\n", fmt::join(cells, " | "));
  }
  return text;
}

std::string csv(const Table& table) {
  std::vector<std::string> fields = table.factors;
  for (const auto& column : table.columns) {
    for (const char* what : {"", " spread", " seeds"}) fields.push_back(column + what);
  }
  const auto line = [](std::vector<std::string> cells) {
    std::ranges::transform(cells, cells.begin(), csv_field);
    return fmt::format("{}\n", fmt::join(cells, ","));
  };
  std::string text = line(fields);
  for (const auto& row : table.rows) {
    fields = row.levels;
    for (const auto& cell : row.cells) {
      fields.push_back(std::isfinite(cell.mean) ? fmt::format("{}", cell.mean) : "");
      fields.push_back(std::isfinite(cell.spread) ? fmt::format("{}", cell.spread) : "");
      fields.push_back(std::to_string(cell.values.size()));
    }
    text += line(fields);
  }
  return text;
}

nlohmann::ordered_json json(const Table& table) {
  nlohmann::ordered_json rows = nlohmann::json::array();
  for (const auto& row : table.rows) {
    nlohmann::ordered_json factors = nlohmann::json::object();
    nlohmann::ordered_json columns = nlohmann::json::object();
    for (std::size_t i = 0; i < row.levels.size(); ++i) factors[table.factors[i]] = row.levels[i];
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      const Cell& cell = row.cells[i];
      nlohmann::ordered_json entry{{"mean", nullptr}, {"spread", nullptr}, {"values", cell.values}};
      if (std::isfinite(cell.mean)) entry["mean"] = cell.mean;
      if (std::isfinite(cell.spread)) entry["spread"] = cell.spread;
      columns[table.columns[i]] = entry;
    }
    rows.push_back({{"factors", factors}, {"columns", columns}});
  }
  return rows;
}

}  // namespace calor::experiment
