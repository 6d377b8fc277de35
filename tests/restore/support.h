// Measurements of small pictures of every kind, and the same as dense matrices.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "calor/restore/measurement.h"
#include "calor/spectral/dct.h"

namespace calor::test {

// About half of the pixels.
inline at::Tensor some_mask(std::int64_t height, std::int64_t width) {
  return at::rand({height, width}, at::detail::createCPUGenerator(5)).gt(0.5);
}

inline restore::MeasurementOptions measurement_options(restore::Task task, double sigma) {
  restore::MeasurementOptions options;
  options.task = task;
  options.sigma = sigma;
  options.blur = 1.2;
  options.factor = 2;
  return options;
}

struct NamedMeasurement {
  std::string name;
  std::unique_ptr<restore::Measurement> measurement;
};

// Blur, block averages, truncation, mask and noise alone, for pictures of height x width.
inline std::vector<NamedMeasurement> all_measurements(std::int64_t height, std::int64_t width,
                                                      double sigma) {
  using restore::Task;
  std::vector<NamedMeasurement> all;
  const auto add = [&](const std::string& name, const restore::MeasurementOptions& options) {
    all.push_back(
        {name, restore::make_measurement(
                   options, height, width,
                   options.task == Task::inpaint ? some_mask(height, width) : at::Tensor())});
  };
  add("blur", measurement_options(Task::deblur, sigma));
  add("average", measurement_options(Task::superresolve, sigma));
  auto truncation = measurement_options(Task::superresolve, sigma);
  truncation.reduction = restore::Reduction::dct;
  add("truncation", truncation);
  add("mask", measurement_options(Task::inpaint, sigma));
  add("noise", measurement_options(Task::denoise, sigma));
  return all;
}

// H as a matrix [measured numbers, pixels], float64: rows that measure nothing are left out.
inline at::Tensor dense(const restore::Measurement& measurement, std::int64_t height,
                        std::int64_t width) {
  const at::Tensor units = at::eye(height * width, at::kDouble).view({-1, 1, height, width});
  const at::Tensor columns = measurement.apply(units).flatten(1);
  return columns.t().index({measurement.support().flatten().gt(0)});
}

// The measured numbers of y [N, 1, h, w], [N, numbers].
inline at::Tensor measured_numbers(const restore::Measurement& measurement, const at::Tensor& y) {
  return y.flatten(1).t().index({measurement.support().flatten().gt(0)}).t();
}

// The covariance of pixels whose DCT coefficients are independent with these variances [H, W].
inline at::Tensor pixel_covariance(const at::Tensor& variance) {
  const std::int64_t height = variance.size(0), width = variance.size(1);
  const spectral::Dct dct(height, width, at::kDouble, at::kCPU);
  const at::Tensor units = at::eye(height * width, at::kDouble).view({-1, 1, height, width});
  return dct.inverse(variance * dct.forward(units)).flatten(1);
}

// Mean [N, pixels] and covariance of x given y, for x ~ N(prior_mean, prior).
inline std::pair<at::Tensor, at::Tensor> dense_posterior(const at::Tensor& h, double sigma,
                                                         const at::Tensor& prior_mean,
                                                         const at::Tensor& prior,
                                                         const at::Tensor& y) {
  const at::Tensor noise = sigma * sigma * at::eye(h.size(0), at::kDouble);
  const at::Tensor cross = at::mm(prior, h.t());
  const at::Tensor gain = at::linalg_solve(at::mm(h, cross) + noise, cross.t()).t();
  const at::Tensor mean = prior_mean + at::mm(y - at::mm(prior_mean, h.t()), gain.t());
  return {mean, prior - at::mm(gain, cross.t())};
}

}  // namespace calor::test
