#include "calor/solve/divergence.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>

#include "calor/core/error.h"
#include "calor/core/random.h"

namespace calor::solve {
namespace {

// Turns uniform numbers in (0, 1) into signs.
void to_signs(std::span<double> values) {
  for (double& value : values) value = value < 0.5 ? -1 : 1;
}

}  // namespace

Divergence::Divergence(const DivergenceOptions& options, std::int64_t d)
    : options_(options), kind_(options.kind), d_(d) {
  if (kind_ == DivergenceKind::exact) return;
  const bool plus = kind_ == DivergenceKind::hutchpp;
  if (options.probes < (plus ? 3 : 1)) {
    throw usage_error(plus ? "at least 3 probes for hutch++: sketch, projection and residual"
                           : "at least 1 probe",
                      fmt::format("{}", options.probes),
                      plus ? "take 3 or more, or hutchinson" : "take 1 or more, or exact");
  }
  if (!plus) {
    integrals_ = options.probes;
  } else if (options.probes >= d) {
    kind_ = DivergenceKind::exact;
  } else {
    // A third for the sketch, as many products for its projection, the others for the residual.
    sketch_ = options.probes / 3;
    integrals_ = options.probes - 2 * sketch_;
  }
}

at::Tensor Divergence::probes(std::int64_t stage, std::int64_t first_row, std::int64_t n,
                              const at::TensorOptions& like) const {
  if (exact()) return {};
  const std::int64_t k = sketch_ + integrals_;
  const RandomKey key = random_key(options_.seed, RandomUse::divergence_probe)
                            .child(static_cast<std::uint64_t>(stage));
  at::Tensor out = at::empty({n, k, d_}, at::kDouble);
  double* data = out.data_ptr<double>();
  at::parallel_for(0, n, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const RandomKey row = key.child(static_cast<std::uint64_t>(first_row + i));
      for (std::int64_t j = 0; j < k; ++j) {
        const std::span<double> probe(data + (i * k + j) * d_, static_cast<std::size_t>(d_));
        const RandomKey stream = row.child(static_cast<std::uint64_t>(j));
        if (options_.gaussian) {
          fill_normal(stream, probe);
        } else {
          fill_uniform(stream, probe);
          to_signs(probe);
        }
      }
    }
  });
  return out.to(like);
}

// Hutch++ (Meyer, Musco, Musco and Woodruff, "Hutch++: optimal stochastic trace estimation", 2021,
// algorithm 1): with P the projection on the range of J S for a random sketch S,
//     tr J = tr PJ + tr (I - P) J (I - P),
// the first term exactly, the second by Hutchinson's estimator. J^T instead of J changes the
// sketch, not the trace.
at::Tensor Divergence::directions(const VelocityField& field, const at::Tensor& t,
                                  const at::Tensor& x, const at::Tensor& probes) const {
  if (sketch_ == 0) return probes;
  const at::Tensor images = field.with_products(t, x, probes.narrow(1, 0, sketch_)).products;
  // [n, sketch, d], orthonormal rows.
  const at::Tensor basis = std::get<0>(at::linalg_qr(images.transpose(1, 2))).transpose(1, 2);
  const at::Tensor others = probes.narrow(1, sketch_, integrals_);
  const at::Tensor inside = at::bmm(at::bmm(others, basis.transpose(1, 2)), basis);
  return at::cat({basis, others - inside}, 1);
}

// tr J = E w'Jw for probes w of mean 0 and covariance I (Hutchinson, 1990), besides the trace on
// the sketch.
Divergence::Value Divergence::evaluate(const VelocityField& field, const at::Tensor& t,
                                       const at::Tensor& x, const at::Tensor& directions) const {
  if (exact()) {
    const auto [velocity, trace] = field.with_divergence(t, x);
    return {.velocity = velocity, .traces = trace.unsqueeze(1)};
  }
  const auto result = field.with_products(t, x, directions);
  const at::Tensor along = (result.products * directions).sum(2);
  const at::Tensor sketch = along.narrow(1, 0, sketch_).sum(1, /*keepdim=*/true);
  const at::Tensor traces = along.narrow(1, sketch_, integrals_) + sketch;
  return {.velocity = result.velocity, .traces = trace_of_field(result, traces)};
}

}  // namespace calor::solve
