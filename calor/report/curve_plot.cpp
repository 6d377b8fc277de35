#include "calor/report/curve_plot.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "calor/core/error.h"
#include "calor/report/ticks.h"
#include "calor/report/titles.h"

namespace calor::report {
namespace {

constexpr std::int64_t left = 72, right = 16, top = 12, bottom = 52;  // margins, pixels
constexpr std::int64_t least_side = 200, most_side = 4096;
constexpr std::int64_t dot = 2;            // of the letters
constexpr double half_line = 1.2;          // of a curve's width, pixels
constexpr Colour ink = {40, 40, 40};       //
constexpr Colour faint = {225, 225, 225};  // lines at the ticks

struct Range {
  double low = 0, high = 1;
  double share(double value) const { return (value - low) / (high - low); }
};

void check(const std::vector<Curve>& curves, const CurveFrame& frame) {
  const auto refuse = [](const std::string& found) {
    throw Error(
        "one curve or more, of finite points with ascending x (and y above 0 on a "
        "logarithmic scale), in a frame of 200 to 4096 pixels a side",
        found, "correct the curves");
  };
  if (curves.empty()) refuse("no curve");
  if (std::min(frame.width, frame.height) < least_side ||
      std::max(frame.width, frame.height) > most_side) {
    refuse(fmt::format("a frame of {} x {}", frame.width, frame.height));
  }
  for (const Curve& curve : curves) {
    const at::Tensor& x = curve.x;
    const bool lists = x.dim() == 1 && x.size(0) > 1 && curve.y.sizes() == x.sizes() &&
                       x.scalar_type() == at::kDouble && curve.y.scalar_type() == at::kDouble;
    if (!lists || !at::isfinite(x).all().item<bool>() ||
        !at::isfinite(curve.y).all().item<bool>() || !x.diff().gt(0).all().item<bool>()) {
      refuse(fmt::format("the curve '{}'", curve.name));
    }
    if (frame.logarithmic && !curve.y.gt(0).all().item<bool>()) {
      refuse(fmt::format("the curve '{}', which is not above 0 everywhere", curve.name));
    }
  }
}

at::Tensor drawn_values(const Curve& curve, const CurveFrame& frame) {
  return frame.logarithmic ? curve.y.log10() : curve.y;
}

// That of all curves, with room below and above in shares of it.
template <class Values>
Range range_of(const std::vector<Curve>& curves, const Values& values, double below, double above) {
  Range range{.low = std::numeric_limits<double>::infinity(),
              .high = -std::numeric_limits<double>::infinity()};
  for (const Curve& curve : curves) {
    const at::Tensor v = values(curve);
    range.low = std::min(range.low, v.min().template item<double>());
    range.high = std::max(range.high, v.max().template item<double>());
  }
  const double extent = range.high > range.low ? range.high - range.low : 1;
  range.low -= below * extent;
  range.high += above * extent;
  if (range.low == range.high) range.high += 1;
  return range;
}

// Mixes a colour into a pixel; outside the sheet nothing happens.
void blend(at::TensorAccessor<std::uint8_t, 3> sheet, std::int64_t y, std::int64_t x,
           const Colour& colour, double share) {
  if (share <= 0 || y < 0 || y >= sheet.size(1) || x < 0 || x >= sheet.size(2)) return;
  for (std::size_t c = 0; c < 3; ++c) {
    std::uint8_t& pixel = sheet[static_cast<std::int64_t>(c)][y][x];
    pixel =
        static_cast<std::uint8_t>(std::lround(pixel + std::min(share, 1.0) * (colour[c] - pixel)));
  }
}

class Sheet {
 public:
  Sheet(const std::vector<Curve>& curves, const CurveFrame& frame)
      : frame_(frame),
        x_(range_of(
            curves, [](const Curve& c) { return c.x; }, 0, 0)),
        // Above the curves the legend has its lines.
        y_(range_of(
            curves, [&](const Curve& c) { return drawn_values(c, frame); }, 0.05,
            0.05 + 0.08 * static_cast<double>(curves.size()))),
        pixels_(at::full({3, frame.height, frame.width}, 255, at::kByte)) {}

  void draw_axes() {
    for (const double tick : round_ticks(x_.low, x_.high, 6)) draw_x_tick(tick);
    for (const double tick : y_ticks()) draw_y_tick(tick);
    for (std::int64_t x = left; x < frame_.width - right; ++x) {
      paint(frame_.height - bottom, x, ink);
      paint(top, x, ink);
    }
    for (std::int64_t y = top; y <= frame_.height - bottom; ++y) {
      paint(y, left, ink);
      paint(y, frame_.width - right - 1, ink);
    }
    const at::Tensor name = text_picture(frame_.x_name, dot);
    write(name, frame_.height - name.size(0) - 4, left + (inner_width() - name.size(1)) / 2, ink);
  }

  // Piece by piece: a pixel is covered as far as it lies within the line's width.
  void draw(const Curve& curve) {
    const at::Tensor values = drawn_values(curve, frame_);
    const auto x = curve.x.accessor<double, 1>();
    const auto y = values.accessor<double, 1>();
    at::Tensor cover = at::zeros({frame_.height, frame_.width}, at::kDouble);
    for (std::int64_t i = 0; i + 1 < x.size(0); ++i) {
      cover_segment(cover.accessor<double, 2>(), column(x[i]), row(y[i]), column(x[i + 1]),
                    row(y[i + 1]));
    }
    paint(cover, curve.colour);
  }

  void write_legend(const std::vector<Curve>& curves) {
    std::int64_t widest = 0;
    for (const Curve& curve : curves) {
      widest = std::max(widest, text_picture(curve.name, dot).size(1));
    }
    const std::int64_t start = frame_.width - right - widest - 48;
    std::int64_t y = top + 8;
    for (const Curve& curve : curves) {
      const at::Tensor name = text_picture(curve.name, dot);
      for (std::int64_t x = start; x < start + 28; ++x) {
        for (const std::int64_t line : {-1, 0, 1}) paint(y + 7 + line, x, curve.colour);
      }
      write(name, y, start + 36, ink);
      y += 22;
    }
  }

  const at::Tensor& pixels() const { return pixels_; }

 private:
  std::int64_t inner_width() const { return frame_.width - left - right - 1; }
  std::int64_t inner_height() const { return frame_.height - top - bottom; }
  double column(double x) const {
    return static_cast<double>(left) + x_.share(x) * static_cast<double>(inner_width());
  }
  double row(double y) const {
    return static_cast<double>(frame_.height - bottom) -
           y_.share(y) * static_cast<double>(inner_height());
  }

  // Where they are drawn: on a logarithmic scale the whole powers of ten where there are two or
  // more, else round numbers.
  std::vector<double> y_ticks() const {
    if (!frame_.logarithmic) return round_ticks(y_.low, y_.high, 6);
    std::vector<double> ticks;
    for (double p = std::ceil(y_.low); p <= y_.high; ++p) ticks.push_back(p);
    if (ticks.size() > 1) return ticks;
    ticks.clear();
    for (const double value : round_ticks(std::pow(10, y_.low), std::pow(10, y_.high), 6)) {
      if (value > 0) ticks.push_back(std::log10(value));
    }
    return ticks;
  }

  void paint(std::int64_t y, std::int64_t x, const Colour& colour) {
    blend(pixels_.accessor<std::uint8_t, 3>(), y, x, colour, 1);
  }
  void paint(const at::Tensor& cover, const Colour& colour) {
    const auto share = cover.accessor<double, 2>();
    for (std::int64_t y = 0; y < frame_.height; ++y) {
      for (std::int64_t x = 0; x < frame_.width; ++x) {
        blend(pixels_.accessor<std::uint8_t, 3>(), y, x, colour, share[y][x]);
      }
    }
  }
  void write(const at::Tensor& text, std::int64_t y, std::int64_t x, const Colour& colour) {
    const auto dots = text.accessor<std::uint8_t, 2>();
    for (std::int64_t i = 0; i < dots.size(0); ++i) {
      for (std::int64_t j = 0; j < dots.size(1); ++j) {
        if (dots[i][j] > 0) paint(y + i, x + j, colour);
      }
    }
  }

  void draw_x_tick(double tick) {
    const std::int64_t x = std::lround(column(tick));
    for (std::int64_t y = top; y < frame_.height - bottom; ++y) paint(y, x, faint);
    const at::Tensor text = text_picture(fmt::format("{:.4g}", tick), dot);
    const std::int64_t start = std::min(x - text.size(1) / 2, frame_.width - text.size(1));
    write(text, frame_.height - bottom + 6, start, ink);
  }
  void draw_y_tick(double tick) {
    const std::int64_t y = std::lround(row(tick));
    for (std::int64_t x = left; x < frame_.width - right; ++x) paint(y, x, faint);
    const double value = frame_.logarithmic ? std::pow(10, tick) : tick;
    const at::Tensor text = text_picture(fmt::format("{:.3g}", value), dot);
    write(text, y - 7, left - 4 - text.size(1), ink);
  }

  // The largest cover of any segment counts, so that joints are not painted twice.
  static void cover_segment(at::TensorAccessor<double, 2> cover, double x0, double y0, double x1,
                            double y1) {
    const auto from = [](double a, double b) {
      return static_cast<std::int64_t>(std::floor(std::min(a, b) - half_line - 1));
    };
    const auto to = [](double a, double b) {
      return static_cast<std::int64_t>(std::ceil(std::max(a, b) + half_line + 1));
    };
    const double length = std::hypot(x1 - x0, y1 - y0);
    for (std::int64_t y = std::max<std::int64_t>(0, from(y0, y1));
         y <= std::min(cover.size(0) - 1, to(y0, y1)); ++y) {
      for (std::int64_t x = std::max<std::int64_t>(0, from(x0, x1));
           x <= std::min(cover.size(1) - 1, to(x0, x1)); ++x) {
        const double dx = static_cast<double>(x) - x0;
        const double dy = static_cast<double>(y) - y0;
        const double along =
            length > 0 ? std::clamp((dx * (x1 - x0) + dy * (y1 - y0)) / (length * length), 0.0, 1.0)
                       : 0;
        const double away = std::hypot(dx - along * (x1 - x0), dy - along * (y1 - y0));
        cover[y][x] = std::max(cover[y][x], std::clamp(half_line + 0.5 - away, 0.0, 1.0));
      }
    }
  }

  CurveFrame frame_;
  Range x_, y_;
  at::Tensor pixels_;
};

}  // namespace

at::Tensor curve_picture(const std::vector<Curve>& curves, const CurveFrame& frame) {
  check(curves, frame);
  Sheet sheet(curves, frame);
  sheet.draw_axes();
  for (const Curve& curve : curves) sheet.draw(curve);
  sheet.write_legend(curves);
  return sheet.pixels();
}

}  // namespace calor::report
