// Line charts as SVG text: small, sharp at any size, shown by browsers and by the pages that hold a
// repository's documents.
#pragma once

#include <string>
#include <vector>

namespace calor::report {

struct Series {
  std::string name;
  std::vector<double> x, y;
  std::vector<double> spread = {};  // half the length of an error bar; empty: none
};

struct Chart {
  std::string title, x_label, y_label;
  bool log_x = false, log_y = false;
  std::vector<std::string> x_names = {};  // names of x = 0, 1, ...: categories instead of numbers
  std::string legend = {};                // what the curves' names name; empty: no heading
  std::vector<Series> curves = {};
};

// Points in a curve's order, joined by straight lines; points that are not finite, or not positive
// on a logarithmic axis, are left out. With no point at all, the chart says so in its middle.
std::string svg_chart(const Chart& chart, int width = 640, int height = 400);

}  // namespace calor::report
