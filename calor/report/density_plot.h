// Pictures of densities and of points in the plane, in the same colours, so that a law, a model's
// density and a model's samples can be compared by eye.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace calor::report {

enum class DensityScale {
  linear,
  root,         // the square root of the density: faint parts show
  logarithmic,  // `decades` powers of ten
};

struct DensityColours {
  DensityScale scale = DensityScale::linear;
  // The brightest colour is for this quantile of the pixels' densities, and for all above it.
  double quantile = 0.995;
  double decades = 4;
  // The log-density of the brightest colour instead of the quantile's: panels with one scale.
  std::optional<double> log_top = {};
};

// The centres of side x side pixels over the box [-box, box]^2, float64 [side^2, 2], row by row
// from the top, each row from the left: a density there, reshaped to [side, side], is what
// density_picture expects.
at::Tensor plot_grid(double box, std::int64_t side);

// The integral over the box of a density known at plot_grid's points (any shape, side^2 numbers):
// the sum of exp(log_density) x the area of a pixel.
double integrate_grid(const at::Tensor& log_density, double box, std::int64_t side);

// The log of the mean density of each factor x factor block, from [H, W] to [H / factor, W /
// factor]: a law with lines thinner than a pixel is evaluated on a finer grid and averaged.
at::Tensor averaged_log_density(const at::Tensor& log_density, std::int64_t factor);

// uint8 [3, H, W] of log-densities [H, W], row 0 at the top. Minus infinity is no mass; Error for
// other numbers that are not finite.
at::Tensor density_picture(const at::Tensor& log_density, const DensityColours& colours = {});

// The log-density of the brightest colour that density_picture would choose.
double log_top_of(const at::Tensor& log_density, double quantile);

// An estimate of the log-density at plot_grid's points, float64 [side, side], from points [n, 2]:
// each point is spread over the pixels around it, about three across. Points outside the box count
// for the total but are not shown. Error for points that are not finite.
at::Tensor scatter_log_density(const at::Tensor& points, double box, std::int64_t side);

// uint8 [3, side, side].
at::Tensor scatter_picture(const at::Tensor& points, double box, std::int64_t side,
                           const DensityColours& colours = {});

}  // namespace calor::report
