// Restoration: samples of the pictures that a measurement leaves possible, with a flow as the
// prior.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "calor/core/random.h"
#include "calor/flow/flow.h"
#include "calor/restore/measurement.h"
#include "calor/restore/uncertainty.h"
#include "calor/solve/generate.h"

namespace calor::restore {

// What is taken to be the variance of a picture at a time: that of the uncertainty for all
// pictures, or that times the surprise of the picture's measurement where it is above 1. A model's
// errors differ from picture to picture, and one that errs more than most must follow its
// measurement more.
enum class Trust { same_for_all, adaptive };

// The clean picture that is expected given the state and the measurement y = `measured`, from the
// one expected given the state alone. Given y, too, the state is on the path of the pictures, so
// that any sampler steered by this goes to the law of x given y: exactly where x given z is
// Gaussian with the variances of `uncertainty` and these are the same for all. All are referred to.
solve::Denoise conditioned(const solve::Denoise& denoise, const Measurement& measurement,
                           const at::Tensor& measured, const Uncertainty& uncertainty,
                           Trust trust = Trust::same_for_all);

// The bicubic enlargement of small pictures [N, C, h, w] (Keys, a = -3/4, half-pixel centres).
at::Tensor bicubic(const at::Tensor& measured, std::int64_t height, std::int64_t width);
// The best linear estimate from the pictures' mean and spectrum: the Wiener filter per frequency,
// and its like for the other measurements. fp32 [N, C, H, W].
at::Tensor wiener(const Measurement& measurement, const at::Tensor& measured,
                  const Spectrum& spectrum);

// Those that ask for the clean picture alone, whatever says it: they step on the path's exact law.
inline constexpr std::array restoring_solvers = {
    solve::Solver::spectral_2m, solve::Solver::spectral_1, solve::Solver::ancestral,
    solve::Solver::heun, solve::Solver::euler};

// UsageError where the flow is not one of pictures, of one stage and without conditions but labels,
// or where the solver is not one of these.
void check_restorable(const flow::Flow& flow, const solve::SolverOptions& solver);

// The times at which the sampler asks for a prediction.
std::vector<double> evaluation_times(const flow::Flow& flow, const solve::SolverOptions& solver);

// Uncertainty::measured for a flow, with one label (items().classes(): none) for all pictures fp32
// [n, C, H, W], in pieces of options.batch.
Uncertainty measure_uncertainty(const flow::Flow& flow, const at::Tensor& pictures,
                                std::int64_t label, std::span<const RandomKey> keys,
                                const solve::GenerateOptions& options,
                                const std::function<void(std::int64_t)>& on_time = {});

struct Restored {
  at::Tensor samples;    // fp32 [n, samples, C, H, W] on the CPU
  std::int64_t nfe = 0;  // evaluations for each
};

// `samples` of the posterior for each picture measured [n, C, h, w], sample k of picture i from the
// stream keys[i].child(k) alone. At most options.batch samples at a time, but all of a picture
// together. Stops early, with the pictures done so far, where a signal asks for it; `on_batch` gets
// the number of pictures done.
Restored restore(const flow::Flow& flow, const Measurement& measurement, const at::Tensor& measured,
                 const Uncertainty& uncertainty, Trust trust, std::int64_t label,
                 std::span<const RandomKey> keys, std::int64_t samples,
                 const solve::GenerateOptions& options,
                 const std::function<void(std::int64_t)>& on_batch = {});

}  // namespace calor::restore
