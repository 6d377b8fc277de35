#include "calor/report/density_plot.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "calor/core/error.h"
#include "calor/data/point_tensors.h"
#include "calor/report/colour_map.h"

namespace calor::report {
namespace {

constexpr std::int64_t most_side = 16'384;  // of a picture that can be written

void check_grid(double box, std::int64_t side) {
  if (std::isfinite(box) && box > 0 && side >= 1 && side <= most_side) return;
  throw Error(fmt::format("a box of positive size and 1 to {} pixels a side", most_side),
              fmt::format("box {}, {} pixels", box, side), "choose, for instance, 4 and 256");
}

// float64 on the CPU. Error for NaN and plus infinity.
at::Tensor checked_log_density(const at::Tensor& log_density) {
  if (!log_density.defined() || !log_density.is_floating_point() || log_density.numel() == 0) {
    throw Error("log-densities, a floating-point tensor that is not empty",
                log_density.defined()
                    ? fmt::format("{} of shape [{}]", c10::toString(log_density.scalar_type()),
                                  fmt::join(log_density.sizes(), ", "))
                    : "no tensor",
                "evaluate the density at the points of plot_grid");
  }
  at::Tensor values = log_density.to(at::kCPU, at::kDouble);
  const auto bad = values.isnan().logical_or(values.isposinf()).sum().item<std::int64_t>();
  if (bad > 0) {
    throw Error("log-densities that are finite, or minus infinity where there is no mass",
                fmt::format("{} of {} are NaN or plus infinity", bad, values.numel()),
                "solve with smaller tolerances, or look for weights that are not finite");
  }
  return values;
}

void check_colours(const DensityColours& colours) {
  const bool top = !colours.log_top || std::isfinite(*colours.log_top);
  if (colours.quantile > 0 && colours.quantile <= 1 && colours.decades > 0 && top) return;
  throw Error("a quantile in (0, 1], decades above 0 and a finite brightest log-density",
              fmt::format("quantile {}, decades {}, brightest {}", colours.quantile,
                          colours.decades, colours.log_top.value_or(0)),
              "correct the plot's scale");
}

// One pixel's share of the points: bilinear, then the weights 1/4, 1/2, 1/4 in both directions.
at::Tensor smoothed(const at::Tensor& counts) {
  const at::Tensor rows = at::constant_pad_nd(counts, {0, 0, 1, 1});
  const std::int64_t side = counts.size(0);
  const auto blend = [&](const at::Tensor& padded, std::int64_t axis) {
    return padded.narrow(axis, 1, side) / 2 +
           (padded.narrow(axis, 0, side) + padded.narrow(axis, 2, side)) / 4;
  };
  return blend(at::constant_pad_nd(blend(rows, 0), {1, 1}), 1);
}

}  // namespace

at::Tensor plot_grid(double box, std::int64_t side) {
  check_grid(box, side);
  const at::Tensor across = ((at::arange(side, at::kDouble) + 0.5) / side * 2 - 1) * box;
  const at::Tensor x = across.unsqueeze(0).expand({side, side});
  const at::Tensor y = across.flip(0).unsqueeze(1).expand({side, side});
  return at::stack({x, y}, 2).reshape({side * side, 2});
}

double integrate_grid(const at::Tensor& log_density, double box, std::int64_t side) {
  check_grid(box, side);
  const at::Tensor values = checked_log_density(log_density);
  if (values.numel() != side * side) {
    throw Error(fmt::format("log-densities at {} x {} points", side, side),
                fmt::format("{} of them", values.numel()),
                "evaluate the density at the points of plot_grid");
  }
  const double pixel = 2 * box / static_cast<double>(side);
  return values.exp().sum().item<double>() * pixel * pixel;
}

at::Tensor averaged_log_density(const at::Tensor& log_density, std::int64_t factor) {
  const at::Tensor values = checked_log_density(log_density);
  if (values.dim() != 2 || factor < 1 || values.size(0) % factor != 0 ||
      values.size(1) % factor != 0) {
    throw Error(fmt::format("log-densities [H, W] with sides that are multiples of {}", factor),
                fmt::format("shape [{}]", fmt::join(values.sizes(), ", ")),
                "evaluate the density on a plot_grid of `factor` times the side");
  }
  const at::Tensor blocks =
      values.reshape({values.size(0) / factor, factor, values.size(1) / factor, factor});
  return blocks.exp().mean(at::IntArrayRef{1, 3}).log();
}

double log_top_of(const at::Tensor& log_density, double quantile) {
  const at::Tensor values = checked_log_density(log_density).flatten();
  const auto n = values.numel();
  const auto rank = static_cast<std::int64_t>(std::ceil(quantile * static_cast<double>(n)));
  const double top =
      std::get<0>(values.kthvalue(std::clamp<std::int64_t>(rank, 1, n))).item<double>();
  // Where nearly all pixels are empty: the largest.
  return std::isfinite(top) ? top : values.max().item<double>();
}

at::Tensor density_picture(const at::Tensor& log_density, const DensityColours& colours) {
  check_colours(colours);
  const at::Tensor values = checked_log_density(log_density);
  if (values.dim() != 2) {
    throw Error("log-densities of shape [H, W]",
                fmt::format("shape [{}]", fmt::join(values.sizes(), ", ")), "reshape them");
  }
  const double top = colours.log_top.value_or(log_top_of(values, colours.quantile));
  if (!std::isfinite(top)) return coloured(at::zeros_like(values));  // no mass anywhere
  const at::Tensor below = values - top;                             // of the logarithm
  switch (colours.scale) {
    case DensityScale::linear:
      return coloured(below.exp());
    case DensityScale::root:
      return coloured((below / 2).exp());
    case DensityScale::logarithmic:
      break;
  }
  return coloured(1 + below / (colours.decades * std::log(10.0)));
}

at::Tensor scatter_log_density(const at::Tensor& points, double box, std::int64_t side) {
  check_grid(box, side);
  data::check_points(points);
  const at::Tensor in = points.to(at::kCPU, at::kDouble).contiguous();
  const auto bad = in.isfinite().logical_not().any(1).sum().item<std::int64_t>();
  if (bad > 0 || in.size(0) == 0) {
    throw Error("at least one point to plot, all finite",
                fmt::format("{} of {} points are not finite", bad, in.size(0)),
                "solve with smaller tolerances, or look for weights that are not finite");
  }
  at::Tensor counts = at::zeros({side, side}, at::kDouble);
  auto* const out = counts.data_ptr<double>();
  const auto* const positions = in.const_data_ptr<double>();
  const double per_unit = static_cast<double>(side) / (2 * box);
  for (std::int64_t i = 0; i < in.size(0); ++i) {
    // In pixels, from the centre of the top left one.
    const double x = (positions[2 * i] + box) * per_unit - 0.5;
    const double y = (box - positions[2 * i + 1]) * per_unit - 0.5;
    const auto last = static_cast<double>(side) - 0.5;
    if (!(x >= -0.5 && x <= last && y >= -0.5 && y <= last)) continue;
    const double column = std::floor(x);
    const double row = std::floor(y);
    for (const double dy : {0.0, 1.0}) {
      for (const double dx : {0.0, 1.0}) {
        const double share = (1 - std::abs(x - column - dx)) * (1 - std::abs(y - row - dy));
        const auto c = static_cast<std::int64_t>(column + dx);
        const auto r = static_cast<std::int64_t>(row + dy);
        if (column + dx >= 0 && c < side && row + dy >= 0 && r < side) out[r * side + c] += share;
      }
    }
  }
  return (smoothed(counts) * (per_unit * per_unit / static_cast<double>(in.size(0)))).log();
}

at::Tensor scatter_picture(const at::Tensor& points, double box, std::int64_t side,
                           const DensityColours& colours) {
  return density_picture(scatter_log_density(points, box, side), colours);
}

}  // namespace calor::report
