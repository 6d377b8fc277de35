#include "calor/restore/measurement.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "calor/core/error.h"

namespace calor::restore {
namespace {

constexpr config::Choice<Task> tasks[] = {
    {"deblur", Task::deblur, "take a Gaussian blur back"},
    {"superresolve", Task::superresolve, "a larger picture from a small one"},
    {"inpaint", Task::inpaint, "fill in what a mask leaves out"},
    {"denoise", Task::denoise, "take noise away"},
};

constexpr config::Choice<Reduction> reductions[] = {
    {"average", Reduction::average, "means of blocks of pixels"},
    {"dct", Reduction::dct, "the lowest frequencies"},
};

void check_factor(const MeasurementOptions& options, std::int64_t height, std::int64_t width) {
  const std::int64_t f = options.factor;
  if (height % f == 0 && width % f == 0 && height / f > 1 && width / f > 1) return;
  throw usage_error(
      fmt::format("a factor that divides {} x {} and leaves two pixels or more", height, width),
      fmt::format("restore.factor = {}", f), "take another factor");
}

void check_mask(const at::Tensor& mask, std::int64_t height, std::int64_t width) {
  if (!mask.defined()) {
    throw usage_error("a mask for the task inpaint", "none was given",
                      "name a picture that is white where pixels are known");
  }
  if (mask.sizes() != at::IntArrayRef({height, width})) {
    throw usage_error(
        fmt::format("a mask of {} x {} pixels, as the model's pictures", height, width),
        fmt::format("--mask: {} x {}", mask.size(0), mask.size(1)), "draw the mask at that size");
  }
  if (!mask.any().item<bool>()) {
    throw usage_error("a mask that is white where pixels are known", "--mask: no pixel is white",
                      "invert the mask");
  }
}

}  // namespace

void MeasurementOptions::declare(config::Options& options) {
  options.add("restore.task", task, tasks, "what was done to the picture");
  options.add("restore.sigma", sigma, {0.002, 10}, "",
              "standard deviation of the noise in the measurement, pictures in [-1, 1]: a grey "
              "level is 0.0078, the rounding to bytes alone 0.0023");
  options.add("restore.blur", blur, {0.1, 100}, "pixels",
              "deblur: standard deviation of the Gaussian blur, with reflecting borders");
  options.add("restore.factor", factor, {2, 64}, "", "superresolve: per side");
  options.add("restore.reduction", reduction, reductions,
              "superresolve: how the picture was made smaller");
}

std::string task_name(Task task) { return config::name_of(tasks, task); }

std::string reduction_name(Reduction reduction) { return config::name_of(reductions, reduction); }

at::Tensor Measurement::simulate(const at::Tensor& pictures,
                                 std::span<const RandomKey> keys) const {
  const at::Tensor y = apply(pictures);
  const at::Tensor noise = normal_by_item(keys, y.sizes().slice(1), y.device());
  return y + sigma_ * (noise * support()).to(y.scalar_type());
}

at::Tensor Measurement::disagreement(const at::Tensor& pictures, const at::Tensor& measured) const {
  const at::Tensor residual = (measured - apply(pictures)).to(at::kDouble) * support();
  const double numbers = support().sum().item<double>() * static_cast<double>(pictures.size(1));
  return residual.square().sum(at::IntArrayRef{1, 2, 3}).div(numbers).sqrt() / sigma_;
}

at::Tensor Measurement::surprise(const at::Tensor& clean, const at::Tensor& measured,
                                 const at::Tensor& variance) const {
  const Innovation found = innovation(clean, measured, variance);
  const double noise = sigma_ * sigma_;
  const at::Tensor p = found.variance.expand_as(found.residual);
  const at::Tensor w = p / (p + noise).square();
  return (w * (found.residual.square() - noise)).flatten(1).sum(1) / (w * p).flatten(1).sum(1);
}

std::unique_ptr<Measurement> make_measurement(const MeasurementOptions& options,
                                              std::int64_t height, std::int64_t width,
                                              const at::Tensor& mask, at::Device device) {
  const auto of_sides = [&](const auto& matrix) {
    return make_folded_measurement(matrix(height).to(device), matrix(width).to(device),
                                   options.sigma);
  };
  switch (options.task) {
    case Task::deblur:
      return of_sides([&](std::int64_t n) { return blur_matrix(n, options.blur); });
    case Task::superresolve:
      check_factor(options, height, width);
      return of_sides([&](std::int64_t n) {
        return options.reduction == Reduction::average ? averaging_matrix(n, options.factor)
                                                       : truncation_matrix(n, options.factor);
      });
    case Task::inpaint:
      check_mask(mask, height, width);
      return make_masked_measurement(mask.to(device), options.sigma);
    case Task::denoise:
      break;
  }
  return of_sides([](std::int64_t n) { return at::eye(n, at::kDouble); });
}

}  // namespace calor::restore
