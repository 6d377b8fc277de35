#include "app/nll.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <numbers>

namespace calor::app {

metric::Estimate estimate_of(const at::Tensor& values) {
  if (values.size(0) > 1) return metric::mean_and_standard_error(values);
  return {.mean = values.mean().item<double>(),
          .standard_error = std::numeric_limits<double>::quiet_NaN(),
          .count = values.size(0)};
}

Nll nll_of(const at::Tensor& standardised, const at::Tensor& original, double dimensions) {
  return {.standardised = estimate_of(-standardised),
          .original = estimate_of(-original),
          .bits = estimate_of(-original / (dimensions * std::numbers::ln2))};
}

nlohmann::ordered_json json_number(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json estimate_json(const metric::Estimate& value) {
  return {{"mean", json_number(value.mean)}, {"standard_error", json_number(value.standard_error)}};
}

void add_to(nlohmann::ordered_json& object, const Nll& nll) {
  object["nll_standardised"] = estimate_json(nll.standardised);
  object["nll_original"] = estimate_json(nll.original);
  object["bits_per_dimension"] = estimate_json(nll.bits);
}

}  // namespace calor::app
