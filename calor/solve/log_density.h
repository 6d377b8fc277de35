// Points through a chain of velocity fields, and the log-density of points under the model that the
// chain is. Inner time s of each stage runs from 0 (left, the data's side) to 1 (right, the noise's
// side); in every stage dx/ds = v(x, s).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "calor/solve/divergence.h"
#include "calor/solve/field.h"
#include "calor/solve/ode.h"

namespace calor::solve {

// From data to noise.
using Stages = std::span<const VelocityField* const>;

struct TransportOptions {
  OdeOptions ode = {};
  double s_min = 0;        // the left end of each stage's integration (velocities from clean
                           // predictions are singular at s = 0)
  std::int64_t batch = 0;  // rows at once; 0: all
};

enum class Direction { to_noise, to_data };

struct Transported {
  at::Tensor x;                   // [N, d]
  double nfe = 0;                 // evaluations of the fields for a row, the mean over rows
  std::vector<double> stage_nfe;  // the same in each stage, from data to noise
};

// Pushes points x [N, d] through all stages.
Transported transport(Stages stages, const at::Tensor& x, Direction direction,
                      const TransportOptions& options);

struct LogDensityOptions {
  TransportOptions transport = {};
  DivergenceOptions divergence = {};
  double noise_scale = 1;  // standard deviation of the noise at the end of the chain
};

struct LogDensity {
  at::Tensor log_density;     // [N] float64, nats
  at::Tensor standard_error;  // [N] float64, of the divergence's estimate: 0 where it is exact,
                              // NaN where one probe cannot tell
  at::Tensor end;             // [N, d] the points at the noise's side
  at::Tensor logdet;          // [stages, N] float64: log |det d right / d left| of each stage
  double nfe = 0;             // as in Transported; hutch++ takes one more in each stage
  std::vector<double> stage_nfe;

  // Of the mean over rows: its standard error over draws of the rows (which holds the noise of the
  // probes, too), NaN for one row; and the part that is due to the probes.
  double mean() const;
  double mean_standard_error() const;
  double mean_probe_error() const;
};

// log p(x) = log N(end; 0, noise_scale^2 I) + sum over stages of the integral of div v ds, with the
// point and the log-determinant (one for each probe) integrated together under one error control,
// and added up in float64. Row i of x [N, d] draws the probes of row first_row + i.
LogDensity log_density(Stages stages, const at::Tensor& x, const LogDensityOptions& options,
                       std::int64_t first_row = 0);

// log N(z; 0, scale^2 I) of rows z [N, d]: [N] float64.
at::Tensor normal_log_density(const at::Tensor& z, double scale);

}  // namespace calor::solve
