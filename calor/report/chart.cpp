#include "calor/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "calor/report/markup.h"
#include "calor/report/ticks.h"

namespace calor::report {
namespace {

// Okabe and Ito's colours, which people who see colours differently can tell apart.
constexpr std::array<const char*, 7> colours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                "#e69f00", "#56b4e9", "#000000"};
constexpr double left = 64, right = 150, top = 34, bottom = 48;
constexpr double legend_row = 18;

// One axis: from numbers to pixels.
struct Axis {
  bool logarithmic = false;
  double low = 0, high = 1;  // in the axis' own measure: numbers or their logarithms
  double first_pixel = 0, last_pixel = 1;

  double measure(double v) const { return logarithmic ? std::log10(v) : v; }
  bool shows(double v) const { return std::isfinite(v) && (!logarithmic || v > 0); }
  double pixel(double v) const {
    return first_pixel + (measure(v) - low) / (high - low) * (last_pixel - first_pixel);
  }
};

bool shows(const Axis& x, const Axis& y, const Series& curve, std::size_t i) {
  return x.shows(curve.x[i]) && y.shows(curve.y[i]);
}

// Widens the axes to all points and their error bars, with a little room.
void fit(Axis& x, Axis& y, const Chart& chart) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  std::array<double, 4> box{inf, -inf, inf, -inf};
  for (const auto& curve : chart.curves) {
    for (std::size_t i = 0; i < curve.x.size(); ++i) {
      if (!shows(x, y, curve, i)) continue;
      const double bar =
          curve.spread.empty() || !std::isfinite(curve.spread[i]) ? 0 : curve.spread[i];
      box[0] = std::min(box[0], x.measure(curve.x[i]));
      box[1] = std::max(box[1], x.measure(curve.x[i]));
      for (const double v : {curve.y[i] - bar, curve.y[i] + bar}) {
        if (!y.shows(v)) continue;
        box[2] = std::min(box[2], y.measure(v));
        box[3] = std::max(box[3], y.measure(v));
      }
    }
  }
  const auto widen = [](Axis& axis, double low, double high) {
    if (low > high) return;
    const double room = high > low ? (high - low) * 0.05 : std::max(std::abs(low) * 0.1, 0.5);
    axis.low = low - room;
    axis.high = high + room;
  };
  widen(x, box[0], box[1]);
  widen(y, box[2], box[3]);
}

std::vector<double> ticks_of(const Axis& axis) {
  return axis.logarithmic ? logarithmic_ticks(std::pow(10.0, axis.low), std::pow(10.0, axis.high))
                          : round_ticks(axis.low, axis.high, 6);
}

std::string text(double x, double y, const char* anchor, std::string_view words,
                 const char* more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y,
                     anchor, more, escaped(words));
}

std::string line(double x1, double y1, double x2, double y2, const char* colour, double width = 1) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" "
      "stroke-width=\"{}\"/>\n",
      x1, y1, x2, y2, colour, width);
}

std::string x_axis(const Axis& x, const Axis& y, const Chart& chart) {
  std::string svg;
  const auto tick = [&](double v, const std::string& name) {
    svg += line(x.pixel(v), y.first_pixel, x.pixel(v), y.last_pixel, "#e4e4e4");
    svg += text(x.pixel(v), y.first_pixel + 16, "middle", name);
  };
  for (std::size_t i = 0; i < chart.x_names.size(); ++i) {
    tick(static_cast<double>(i), chart.x_names[i]);
  }
  if (chart.x_names.empty()) {
    for (const double v : ticks_of(x)) tick(v, fmt::format("{:g}", v));
  }
  return svg +
         text((x.first_pixel + x.last_pixel) / 2, y.first_pixel + 36, "middle", chart.x_label);
}

std::string y_axis(const Axis& x, const Axis& y, const Chart& chart) {
  std::string svg;
  for (const double v : ticks_of(y)) {
    svg += line(x.first_pixel, y.pixel(v), x.last_pixel, y.pixel(v), "#e4e4e4");
    svg += text(x.first_pixel - 6, y.pixel(v) + 4, "end", fmt::format("{:g}", v));
  }
  const double middle = (y.first_pixel + y.last_pixel) / 2;
  return svg + text(14, middle, "middle", chart.y_label,
                    fmt::format(" transform=\"rotate(-90 14 {:.1f})\"", middle).c_str());
}

std::string drawn(const Axis& x, const Axis& y, const Series& curve, const char* colour) {
  std::string path;
  std::string marks;
  for (std::size_t i = 0; i < curve.x.size(); ++i) {
    if (!shows(x, y, curve, i)) continue;
    const double px = x.pixel(curve.x[i]);
    const double py = y.pixel(curve.y[i]);
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : " L", px, py);
    marks += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\"/>\n", px, py,
                         colour);
    if (curve.spread.empty() || !(curve.spread[i] > 0)) continue;
    const double lower = curve.y[i] - curve.spread[i];
    const double foot = y.shows(lower) ? y.pixel(lower) : y.first_pixel;
    marks += line(px, foot, px, y.pixel(curve.y[i] + curve.spread[i]), colour, 1.2);
  }
  if (path.empty()) return {};
  return fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\"/>\n", path,
                     colour) +
         marks;
}

}  // namespace

std::string svg_chart(const Chart& chart, int width, int height) {
  Axis x{.logarithmic = chart.log_x, .first_pixel = left, .last_pixel = width - right};
  Axis y{.logarithmic = chart.log_y, .first_pixel = height - bottom, .last_pixel = top};
  fit(x, y, chart);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{0}\" height=\"{1}\" "
      "fill=\"#ffffff\"/>\n",
      width, height);
  svg += text((x.first_pixel + x.last_pixel) / 2, 20, "middle", chart.title, " font-size=\"14\"");
  svg += x_axis(x, y, chart) + y_axis(x, y, chart);
  if (!chart.legend.empty()) svg += text(width - right + 12, top + 12, "start", chart.legend);
  bool any = false;
  for (std::size_t i = 0; i < chart.curves.size(); ++i) {
    const char* colour = colours[i % colours.size()];
    const std::string curve = drawn(x, y, chart.curves[i], colour);
    any = any || !curve.empty();
    svg += curve;
    const double at =
        top + 8 + legend_row * static_cast<double>(i + (chart.legend.empty() ? 0 : 1));
    svg += line(width - right + 12, at, width - right + 32, at, colour, 2);
    svg += text(width - right + 38, at + 4, "start", chart.curves[i].name);
  }
  if (!any) {
    svg += text((x.first_pixel + x.last_pixel) / 2, height / 2.0, "middle", "nothing measured yet");
  }
  return svg + "</svg>\n";
}

}  // namespace calor::report
