#include "calor/experiment/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "calor/core/error.h"
#include "calor/io/atomic_file.h"
#include "calor/report/chart.h"
#include "calor/report/markup.h"

namespace calor::experiment {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

double number_at(const nlohmann::ordered_json& answer, const std::string& pointer) {
  if (pointer.empty()) return none;
  const nlohmann::ordered_json::json_pointer place(pointer);
  if (!answer.contains(place)) return none;
  const auto& value = answer.at(place);
  return value.is_number() ? value.get<double>() : none;
}

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
  Cell cell;
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

std::string text_of(const Column& column, const Cell& cell) {
  if (!std::isfinite(cell.mean)) return "-";
  const std::string mean = fmt::format("{:.{}f}", cell.mean, column.digits);
  if (!std::isfinite(cell.spread)) return mean;
  return fmt::format("{} ± {:.{}f}", mean, cell.spread, column.digits);
}

// Whether no other row is better.
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

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::optional<std::size_t> index_of(const std::vector<std::string>& names,
                                    const std::string& name) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return {};
  return static_cast<std::size_t>(found - names.begin());
}

// Where a row stands on a plot's x axis: a column's mean, a factor's number, or its level's place.
class Horizontal {
 public:
  Horizontal(const Experiment& experiment, const Table& table, const std::string& name) {
    column_ = index_of(table.columns, name);
    factor_ = index_of(table.factors, name);
    if (!factor_) return;
    column_.reset();
    levels_ = experiment.factors[*factor_].levels;
    for (const auto& level : levels_) {
      char* end = nullptr;
      std::strtod(level.c_str(), &end);
      numbers_ = numbers_ && !level.empty() && *end == '\0';
    }
  }
  std::vector<std::string> names() const {
    return factor_ && !numbers_ ? levels_ : std::vector<std::string>{};
  }
  double of(const TableRow& row) const {
    if (column_) return row.cells[*column_].mean;
    const std::string& level = row.levels[*factor_];
    if (numbers_) return std::strtod(level.c_str(), nullptr);
    return static_cast<double>(*index_of(levels_, level));
  }

 private:
  std::optional<std::size_t> column_, factor_;
  std::vector<std::string> levels_;
  bool numbers_ = true;
};

std::string curve_name(const Table& table, const Plot& plot, const TableRow& row) {
  std::vector<std::string> parts;
  for (const auto& factor : plot.by) parts.push_back(row.levels[*index_of(table.factors, factor)]);
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string command_line(const Job& job) {
  std::string line = "calor";
  for (const auto& word : job.words) {
    const bool plain = word.find_first_of(" \"'") == std::string::npos && !word.empty();
    line += plain ? " " + word : fmt::format(" '{}'", word);
  }
  return line;
}

std::string html_table(const Experiment& experiment, const Table& table) {
  std::string html = "<table>\n<tr>";
  for (const auto& name : table.factors) html += "<th>" + report::escaped(name) + "</th>";
  for (const auto& name : table.columns) html += "<th>" + report::escaped(name) + "</th>";
  html += "</tr>\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    html += "<tr>";
    for (const auto& level : table.rows[r].levels)
      html += "<td>" + report::escaped(level) + "</td>";
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      const char* style = is_best(experiment, table, r, c) ? " class=\"best\"" : "";
      html += fmt::format("<td{}>{}</td>", style,
                          text_of(experiment.columns[c], table.rows[r].cells[c]));
    }
    html += "</tr>\n";
  }
  return html + "</table>\n";
}

}  // namespace

std::filesystem::path answer_file(const std::filesystem::path& folder, const Job& job) {
  return folder / "results" / (job.name + ".json");
}

void keep_answer(const std::filesystem::path& folder, const Job& job,
                 const nlohmann::ordered_json& answer) {
  const nlohmann::ordered_json kept{{"command", job.words}, {"answer", answer}};
  io::write_file_atomically(answer_file(folder, job), kept.dump(2) + "\n");
}

std::optional<nlohmann::ordered_json> kept_answer(const std::filesystem::path& folder,
                                                  const Job& job) {
  const auto file = answer_file(folder, job);
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return {};
  const auto kept = nlohmann::ordered_json::parse(io::read_text(file), nullptr, false);
  if (!kept.is_object() || !kept.contains("command") || !kept.contains("answer")) return {};
  if (kept["command"] != nlohmann::ordered_json(job.words)) return {};
  return kept["answer"];
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
      const auto measure = static_cast<std::size_t>(
          std::ranges::find(experiment.measurings, column.measure, &Measuring::name) -
          experiment.measurings.begin());
      std::vector<std::optional<nlohmann::ordered_json>> answers;
      for (const auto& seed : row.measured_by) {
        answers.push_back(answer_of(seed[measure]));
      }
      line.cells.push_back(cell_of(column, answers));
    }
  }
  return table;
}

std::string markdown(const Experiment& experiment, const Table& table) {
  std::vector<std::string> names = table.factors;
  names.insert(names.end(), table.columns.begin(), table.columns.end());
  std::string text = fmt::format("| {} |\n|{}\n", fmt::join(names, " | "),
                                 fmt::join(std::vector<std::string>(names.size(), "---|"), ""));
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    std::vector<std::string> cells = table.rows[r].levels;
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      const std::string cell = text_of(experiment.columns[c], table.rows[r].cells[c]);
      cells.push_back(is_best(experiment, table, r, c) ? "**" + cell + "**" : cell);
    }
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

std::vector<std::string> plots(const Experiment& experiment, const Table& table) {
  std::vector<std::string> drawn;
  for (const auto& plot : experiment.plots) {
    const Horizontal horizontal(experiment, table, plot.x);
    const std::size_t column = *index_of(table.columns, plot.y);
    report::Chart chart{.title = plot.title,
                        .x_label = plot.x,
                        .y_label = plot.y,
                        .log_x = plot.log_x && horizontal.names().empty(),
                        .log_y = plot.log_y,
                        .x_names = horizontal.names()};
    for (const auto& row : table.rows) {
      const std::string name = curve_name(table, plot, row);
      auto curve = std::ranges::find(chart.curves, name, &report::Series::name);
      if (curve == chart.curves.end()) {
        chart.curves.push_back({.name = name, .x = {}, .y = {}});
        curve = chart.curves.end() - 1;
      }
      curve->x.push_back(horizontal.of(row));
      curve->y.push_back(row.cells[column].mean);
      curve->spread.push_back(row.cells[column].spread);
    }
    drawn.push_back(report::svg_chart(chart));
  }
  return drawn;
}

std::string page(const Experiment& experiment, const Plan& plan, const Table& table) {
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta "
      "charset=\"utf-8\"><title>{0}</title>\n<style>\n"
      "body {{ font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }}\n"
      "table {{ border-collapse: collapse; }} td, th {{ padding: .3em .8em; text-align: left; "
      "border-bottom: 1px solid #ddd; }}\n.best {{ font-weight: bold; }} pre {{ overflow-x: auto; "
      "}}\n</style></head><body>\n<h1>{0}</h1>\n<p>{1}</p>\n",
      report::escaped(experiment.title), report::escaped(experiment.text));
  html += html_table(experiment, table);
  html +=
      "<p>Means over seeds ± standard deviation; with one seed, the measure's own standard error, "
      "where it has one.</p>\n";
  for (const auto& svg : plots(experiment, table)) html += svg;
  html += "<h2>Commands</h2>\n<pre>\n";
  for (const auto& job : plan.jobs) html += report::escaped(command_line(job)) + "\n";
  return html + "</pre>\n</body></html>\n";
}

}  // namespace calor::experiment
