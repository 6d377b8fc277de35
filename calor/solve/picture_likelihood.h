// The likelihood of 8-bit pictures under a flow, in bits per dimension, by uniform dequantisation.
//
// With x = scale (u + n) + shift, n uniform in the unit cell, Jensen's inequality gives
//     -log P(u) <= E_n[-log p(x)] - d log(scale),
// so what is computed is an upper bound on the bits of the pictures themselves (Theis et al.,
// 2016).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "calor/data/dataset.h"
#include "calor/solve/flow_density.h"

namespace calor::solve {

struct PictureLikelihoodOptions {
  FlowDensityOptions density;  // `batch` bounds the memory
  std::int64_t draws = 1;      // of the noise n, averaged
  std::uint64_t seed = 0;      // of the noise n
  bool labels = false;         // given each picture's own label; else given none
};

struct PictureLikelihood {
  at::Tensor nats;         // float64 [N]: the bound on -log P(u)
  at::Tensor bits;         // float64 [N]: the same in bits per dimension
  at::Tensor probe_error;  // float64 [N]: standard error of `bits` over the probes of the
                           // divergence: 0 where it is exact, NaN where one probe cannot tell
  double nfe = 0;          // evaluations of the networks for a picture and draw, the mean

  // The standard error over the probes of the mean of `bits`.
  double mean_probe_error() const;
};

// -log p(x) / (d ln 2) - log2(scale) for log-densities [N] of x in R^d.
at::Tensor bits_per_dimension(const at::Tensor& log_density, double dimensions, double scale);

// Of the pictures `items` of the set, batch by batch. The noise of a picture is a function of the
// seed, the draw and its number in the set; its probes follow its place among `items`. Error where
// the set's pictures have another shape than the flow's; where labels are asked for and the classes
// differ; where a signal asks to stop. `on_batch` is told the pictures done, of items * draws.
PictureLikelihood picture_likelihood(const flow::Flow& flow, const data::ImageDataset& set,
                                     std::span<const std::int64_t> items,
                                     const PictureLikelihoodOptions& options,
                                     const std::function<void(std::int64_t)>& on_batch = {});

// Pictures of the set as the flow takes them: rows x [N, numbers] with the noise of draw `draw`,
// and what is given.
struct DequantisedRows {
  at::Tensor x;
  flow::Given given;
};
DequantisedRows dequantised_rows(const flow::Flow& flow, const data::ImageDataset& set,
                                 std::span<const std::int64_t> items, std::int64_t draw,
                                 const PictureLikelihoodOptions& options);

// Pictures at a time where a picture has this many numbers, so that the graph of one evaluation
// stays small: about 50,000 numbers, at most 64 pictures.
std::int64_t likelihood_batch(std::int64_t numbers);

// Why a likelihood of this flow is not what it seems, each a sentence that says what to train with
// (METHODS section 4): no dequantised training; training times that do not reach the data; a
// t_eps of clean predictions that blurs away the noise of 8 bits, or lies below the times trained;
// networks never asked without a label. Empty where all is well.
std::vector<std::string> likelihood_warnings(const flow::Flow& flow, double t_eps, bool labels);

// The inner time at which the integration begins: 0 where all stages predict the exact velocity.
double likelihood_t_eps(const flow::Flow& flow, double t_eps);

}  // namespace calor::solve
