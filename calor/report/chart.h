// Line charts as SVG text: small, sharp at any size, shown by browsers and by the pages that hold a
// repository's documents.
#pragma once

#include <string>
#include <vector>

namespace calor::report {

struct Curve {
  std::string name;
  std::vector<double> x, y;
  std::vector<double> spread = {};  // half the length of an error bar; empty: none
};

struct Chart {
  std::string title, x_label, y_label;
  bool log_x = false, log_y = false;
  std::vector<std::string> x_names = {};  // names of x = 0, 1, ...: categories instead of numbers
  std::vector<Curve> curves = {};
};

// Points in a curve's order, joined by straight lines; points that are not finite, or not positive
// on a logarithmic axis, are left out. With no point at all, the chart says so in its middle.
std::string svg_chart(const Chart& chart, int width = 640, int height = 400);

// Round numbers that cover [low, high], about `count` of them: 1, 2 or 5 times a power of ten
// apart.
std::vector<double> linear_ticks(double low, double high, int count = 6);
// Powers of ten that cover [low, high], and 2 and 5 times them where there are few.
std::vector<double> logarithmic_ticks(double low, double high);

}  // namespace calor::report
