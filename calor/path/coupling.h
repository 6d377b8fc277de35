// Which noise goes with which example while training: independent, or paired by optimal transport
// within minibatches (Pooladian et al. 2023, Tong et al. 2023), which straightens the flow's paths.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "calor/config/options.h"

namespace calor::path {

enum class Coupling { independent, optimal_transport };

struct CouplingOptions {
  Coupling coupling = Coupling::independent;
  std::int64_t block = 256;  // rows that are assigned to one another

  void declare(config::Options& options);
};

// The rows of `noise` [N, ...] permuted so that sum_i |x_i - noise_s(i)|^2 is the least that
// permutations within blocks of `block` consecutive rows allow; x [N, ...] has as many values a
// row. Type and device of `noise` stay. A function of its arguments on any number of threads, but
// for the rounding of costs that are equal to 1e-12. A block of 256 takes 5 to 20 ms of one core.
at::Tensor couple_noise(const at::Tensor& x, const at::Tensor& noise, std::int64_t block = 256);

}  // namespace calor::path
