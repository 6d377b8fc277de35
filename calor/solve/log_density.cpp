#include "calor/solve/log_density.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>

#include "calor/core/error.h"

namespace calor::solve {
namespace {

void check(Stages stages, const at::Tensor& x, const TransportOptions& options) {
  if (stages.empty() || x.dim() != 2) {
    throw Error("points [N, d] and at least one stage",
                fmt::format("{} stages, points of {} dimensions", stages.size(), x.dim()),
                "train a stage first; give each point as one row");
  }
  if (!(options.s_min >= 0 && options.s_min < 1)) {
    throw usage_error("a least inner time of at least 0 and below 1",
                      fmt::format("{}", options.s_min), "the default is 0");
  }
}

// Errors of a stage say which one it was.
OdeSolution in_stage(std::size_t stage, std::size_t stages, std::int64_t first_row,
                     const std::function<OdeSolution()>& integrate) {
  try {
    return integrate();
  } catch (const Error& error) {
    const std::string rows = first_row == 0 ? "" : fmt::format(" (rows from {} on)", first_row);
    throw Error(error.expected(),
                fmt::format("{}, in stage {} of {}{}", error.found(), stage + 1, stages, rows),
                error.hint(), error.kind());
  }
}

// Evaluations of a row in this stage, summed over the rows.
double evaluations(const OdeSolution& solution) {
  if (solution.row_nfe.defined()) return solution.row_nfe.sum().item<double>();
  return static_cast<double>(solution.nfe) * static_cast<double>(solution.y.size(0));
}

// Sums over rows become means: in each stage, and their sum over the stages.
double mean_over_rows(std::vector<double>& stage_nfe, std::int64_t rows) {
  double sum = 0;
  for (double& nfe : stage_nfe) {
    nfe /= static_cast<double>(std::max<std::int64_t>(rows, 1));
    sum += nfe;
  }
  return sum;
}

// Calls `work` on [first, first + n) for each batch.
void for_batches(std::int64_t rows, std::int64_t batch,
                 const std::function<void(std::int64_t first, std::int64_t n)>& work) {
  const std::int64_t size = batch > 0 ? batch : std::max<std::int64_t>(rows, 1);
  for (std::int64_t first = 0; first < rows; first += size) {
    work(first, std::min(size, rows - first));
  }
}

// The variance [n] of the mean of `integrals` [n, k], from their scatter. Those of several stages
// add up, because their probes are independent.
at::Tensor variance_of_mean(const at::Tensor& integrals, const Divergence& divergence) {
  const std::int64_t k = integrals.size(1);
  if (divergence.exact()) return at::zeros({integrals.size(0)}, integrals.options());
  if (k == 1) return at::full({integrals.size(0)}, NAN, integrals.options());
  return integrals.var(1) / static_cast<double>(k);
}

// A field of n rows, asked about some of them.
class FieldOfRows {
 public:
  FieldOfRows(const VelocityField& field, const at::Tensor& rows, std::int64_t n)
      : field_(field), own_(rows.numel() < n ? field.for_rows(rows) : nullptr) {}
  const VelocityField& get() const { return own_ ? *own_ : field_; }

 private:
  const VelocityField& field_;
  std::unique_ptr<VelocityField> own_;
};

// One stage for points [n, d] in float64 with `integrals` log-determinants, from left to right:
// the state is [n, d + integrals]. The sketch of hutch++ is that of the stage's middle time.
OdeSolution with_logdet(const VelocityField& field, const Divergence& divergence,
                        const at::Tensor& probes, const at::Tensor& x, at::ScalarType type,
                        const TransportOptions& options) {
  const std::int64_t n = x.size(0), d = x.size(1);
  const at::Tensor points = x.to(type);
  const at::Tensor middle = at::full({n}, (options.s_min + 1) / 2, points.options());
  const at::Tensor directions = divergence.directions(field, middle, points, probes);
  const RowDerivative f = [&](const at::Tensor& s, const at::Tensor& y, const at::Tensor& rows) {
    at::Tensor mine = directions;
    if (directions.defined() && rows.numel() < n) {
      mine = directions.index_select(0, rows.to(directions.device()));
    }
    const auto value =
        divergence.evaluate(FieldOfRows(field, rows, n).get(), s, y.narrow(1, 0, d), mine);
    return at::cat({value.velocity, value.traces}, 1);
  };
  OdeOptions ode = options.ode;
  ode.tail = divergence.integrals();
  const at::Tensor start = at::cat({x, at::zeros({n, divergence.integrals()}, x.options())}, 1);
  OdeSolution solution = integrate_rows(f, start, type, options.s_min, 1, ode);
  solution.nfe += divergence.sketch_nfe();
  if (solution.row_nfe.defined()) solution.row_nfe.add_(divergence.sketch_nfe());
  return solution;
}

}  // namespace

Transported transport(Stages stages, const at::Tensor& x, Direction direction,
                      const TransportOptions& options) {
  const c10::NoGradGuard no_grad;
  check(stages, x, options);
  Transported result{
      .x = at::empty_like(x), .nfe = 0, .stage_nfe = std::vector<double>(stages.size())};
  const bool forwards = direction == Direction::to_noise;
  const double from = forwards ? options.s_min : 1;
  const double to = forwards ? 1 : options.s_min;
  for_batches(x.size(0), options.batch, [&](std::int64_t first, std::int64_t n) {
    at::Tensor points = x.narrow(0, first, n).to(at::kDouble);
    for (std::size_t i = 0; i < stages.size(); ++i) {
      const std::size_t stage = forwards ? i : stages.size() - 1 - i;
      const RowDerivative f = [&](const at::Tensor& s, const at::Tensor& y,
                                  const at::Tensor& rows) {
        return FieldOfRows(*stages[stage], rows, n).get().velocity(s, y);
      };
      const OdeSolution solution = in_stage(stage, stages.size(), first, [&] {
        return integrate_rows(f, points, x.scalar_type(), from, to, options.ode);
      });
      points = solution.y;
      result.stage_nfe[stage] += evaluations(solution);
    }
    result.x.narrow(0, first, n).copy_(points);
  });
  result.nfe = mean_over_rows(result.stage_nfe, x.size(0));
  return result;
}

LogDensity log_density(Stages stages, const at::Tensor& x, const LogDensityOptions& options,
                       std::int64_t first_row) {
  const c10::NoGradGuard no_grad;
  check(stages, x, options.transport);
  if (!(options.noise_scale > 0)) {
    throw usage_error("a scale of the noise above 0", fmt::format("{}", options.noise_scale),
                      "the default is 1");
  }
  const Divergence divergence(options.divergence, x.size(1));
  const std::int64_t rows = x.size(0), d = x.size(1);
  const auto wide = x.options().dtype(at::kDouble);
  LogDensity result;
  result.end = at::empty_like(x);
  result.logdet = at::zeros({static_cast<std::int64_t>(stages.size()), rows}, wide);
  result.log_density = at::empty({rows}, wide);
  at::Tensor variance = at::zeros({rows}, wide);
  result.stage_nfe.resize(stages.size());
  for_batches(rows, options.transport.batch, [&](std::int64_t first, std::int64_t n) {
    at::Tensor points = x.narrow(0, first, n).to(at::kDouble);
    for (std::size_t stage = 0; stage < stages.size(); ++stage) {
      const auto index = static_cast<std::int64_t>(stage);
      const at::Tensor probes = divergence.probes(index, first_row + first, n, x.options());
      const OdeSolution solution = in_stage(stage, stages.size(), first, [&] {
        return with_logdet(*stages[stage], divergence, probes, points, x.scalar_type(),
                           options.transport);
      });
      points = solution.y.narrow(1, 0, d);
      const at::Tensor integrals = solution.y.narrow(1, d, divergence.integrals());
      result.logdet[index].narrow(0, first, n).copy_(integrals.mean(1));
      variance.narrow(0, first, n).add_(variance_of_mean(integrals, divergence));
      result.stage_nfe[stage] += evaluations(solution);
    }
    result.end.narrow(0, first, n).copy_(points);
    result.log_density.narrow(0, first, n)
        .copy_(normal_log_density(points, options.noise_scale) +
               result.logdet.narrow(1, first, n).sum(0));
  });
  result.standard_error = variance.sqrt();
  result.nfe = mean_over_rows(result.stage_nfe, rows);
  return result;
}

at::Tensor normal_log_density(const at::Tensor& z, double scale) {
  const auto d = static_cast<double>(z.size(1));
  const at::Tensor squares = z.to(at::kDouble).square().sum(1);
  return squares.mul_(-0.5 / (scale * scale))
      .sub_(d / 2 * std::log(2 * std::numbers::pi * scale * scale));
}

double LogDensity::mean() const { return log_density.mean().item<double>(); }

double LogDensity::mean_standard_error() const {
  const auto n = static_cast<double>(log_density.numel());
  if (n < 2) return std::numeric_limits<double>::quiet_NaN();
  return log_density.std().item<double>() / std::sqrt(n);
}

double LogDensity::mean_probe_error() const {
  return standard_error.norm().item<double>() / static_cast<double>(standard_error.numel());
}

}  // namespace calor::solve
