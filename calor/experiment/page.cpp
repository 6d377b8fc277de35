#include "calor/experiment/page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "calor/core/command_line.h"
#include "calor/report/chart.h"
#include "calor/report/markup.h"

namespace calor::experiment {
namespace {

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
                        .x_names = horizontal.names(),
                        .legend = fmt::to_string(fmt::join(plot.by, ", "))};
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
  for (const auto& job : plan.jobs) html += report::escaped(command_line(job.words)) + "\n";
  return html + "</pre>\n</body></html>\n";
}

}  // namespace calor::experiment
