// The negative log-likelihood of rows as it is quoted: in standardised and in original units, and
// in bits per dimension, each with its standard error.
#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>

#include "calor/metric/estimate.h"

namespace calor::app {

struct Nll {
  metric::Estimate standardised, original, bits;
};

// Log-densities float64 [N] in both units, of rows of `dimensions` numbers. Of one row there is no
// standard error (NaN).
Nll nll_of(const at::Tensor& standardised, const at::Tensor& original, double dimensions);

// The mean of float64 [N] and its standard error, NaN where N is 1.
metric::Estimate estimate_of(const at::Tensor& values);

// A number, or null where it is not finite.
nlohmann::ordered_json json_number(double value);
// {"mean", "standard_error"}.
nlohmann::ordered_json estimate_json(const metric::Estimate& value);
// nll_standardised, nll_original and bits_per_dimension, each {"mean", "standard_error"}.
void add_to(nlohmann::ordered_json& object, const Nll& nll);

}  // namespace calor::app
