// The sampler's law: on Gaussian pictures, where the prediction, its uncertainty and the posterior
// are known, steered samplers end at the posterior, whatever the measurement.
#include "calor/restore/restore.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/core/error.h"
#include "calor/path/paths.h"
#include "calor/solve/gaussian_oracle.h"
#include "calor/solve/grid.h"
#include "tests/restore/support.h"

namespace calor::restore {
namespace {

constexpr std::int64_t side = 8, pixels = side * side;
constexpr double sigma = 0.1;

std::vector<RandomKey> keys_of(std::int64_t n, std::uint64_t use = 0) {
  std::vector<RandomKey> keys;
  const RandomKey key = random_key(7, RandomUse::test).child(use);
  for (std::int64_t i = 0; i < n; ++i) keys.push_back(key.child(static_cast<std::uint64_t>(i)));
  return keys;
}

at::Tensor normal(std::int64_t n, std::uint64_t use) {
  return normal_by_item(keys_of(n, use), {1, side, side}, at::kCPU).to(at::kDouble);
}

// Pictures of the oracle's law.
at::Tensor pictures_of(const solve::GaussianOracle& oracle, std::int64_t n, std::uint64_t use) {
  return oracle.space().dct.inverse(oracle.variance().sqrt() * normal(n, use));
}

Uncertainty exact_uncertainty(const solve::GaussianOracle& oracle,
                              const std::vector<double>& grid) {
  return Uncertainty::gaussian(*oracle.space().path, oracle.space().lambda, oracle.variance(),
                               {grid.begin(), grid.end() - 1});
}

solve::Denoise best(const solve::GaussianOracle& oracle) {
  return [&oracle](const at::Tensor& z, double t) { return oracle.denoise(z, t); };
}

// Squared distances of the mean and of the covariance's root trace to the exact ones, relative to
// the posterior's own size.
struct LawError {
  double mean = 0, covariance = 0;
};

// A deterministic sampler with this denoiser is affine in its start: its end law follows from the
// end of 0 and those of the unit vectors.
LawError law_error(const solve::GaussianOracle& oracle, const Measurement& measurement,
                   const at::Tensor& y, const Uncertainty& uncertainty,
                   const std::vector<double>& grid, solve::Solver solver) {
  const at::Tensor units = at::eye(pixels, at::kDouble).view({pixels, 1, side, side});
  const at::Tensor start = at::cat({at::zeros({1, 1, side, side}, at::kDouble), units});
  const at::Tensor same = y.expand({pixels + 1, 1, y.size(2), y.size(3)});
  const solve::Denoise prior = best(oracle);
  const auto end = solve::sample(oracle.space(), conditioned(prior, measurement, same, uncertainty),
                                 start, grid, {.solver = solver});
  const at::Tensor made = end.sample.flatten(1);
  const at::Tensor slopes = made.narrow(0, 1, pixels) - made[0];
  const auto [mean, covariance] = test::dense_posterior(
      test::dense(measurement, side, side), measurement.sigma(),
      at::zeros({1, pixels}, at::kDouble), test::pixel_covariance(oracle.variance()),
      test::measured_numbers(measurement, y));
  const at::Tensor difference = at::mm(slopes.t(), slopes) - covariance;
  return {
      .mean = std::sqrt(((made[0] - mean[0]).square().sum() / covariance.trace()).item<double>()),
      .covariance = (difference.norm() / covariance.norm()).item<double>()};
}

std::unique_ptr<path::SpectralPath> path_number(int which) {
  return which == 0 ? path::heat_path("heat", 0.5) : path::heat_path("linear", 0);
}

// Grids that reach both ends, so that what is left is the error of the steps.
std::vector<double> fine_grid(const solve::GaussianOracle& oracle, std::int64_t steps) {
  return solve::log_snr_grid(*oracle.space().path, steps, 1e-3, 1 - 1e-3);
}

TEST(SlowRestoration, EndsAtThePosteriorOfAGaussian) {
  for (int which = 0; which < 2; ++which) {
    const solve::GaussianOracle oracle(path_number(which), side);
    const auto grid = fine_grid(oracle, 200);
    const Uncertainty uncertainty = exact_uncertainty(oracle, grid);
    for (const auto& [name, measurement] : test::all_measurements(side, side, sigma)) {
      SCOPED_TRACE(oracle.space().path->name() + ", " + name);
      const at::Tensor y = measurement->simulate(pictures_of(oracle, 1, 1), keys_of(1, 2));
      const auto error =
          law_error(oracle, *measurement, y, uncertainty, grid, solve::Solver::spectral_2m);
      EXPECT_LE(error.mean, 0.01);
      EXPECT_LE(error.covariance, 0.01);
    }
  }
}

TEST(SlowRestoration, ErrorsFallWithTheStepsAndWithoutTheRightUncertaintyTheyStay) {
  const solve::GaussianOracle oracle(path_number(0), side);
  for (const auto& [name, measurement] : test::all_measurements(side, side, sigma)) {
    SCOPED_TRACE(name);
    const at::Tensor y = measurement->simulate(pictures_of(oracle, 1, 1), keys_of(1, 2));
    const auto error = [&](std::int64_t steps, double wrong) {
      const auto grid = fine_grid(oracle, steps);
      const std::vector<double> times(grid.begin(), grid.end() - 1);
      const Uncertainty uncertainty = Uncertainty::gaussian(
          *oracle.space().path, oracle.space().lambda, wrong * oracle.variance(), times);
      const auto found =
          law_error(oracle, *measurement, y, uncertainty, grid, solve::Solver::spectral_1);
      return found.mean + found.covariance;
    };
    EXPECT_LT(error(60, 1), 0.7 * error(30, 1));
    EXPECT_GT(error(60, 0.01), 3 * error(60, 1));
  }
}

TEST(SlowRestoration, StochasticStepsHaveThePosteriorsMomentsToo) {
  constexpr std::int64_t count = 1500, steps = 300;
  const solve::GaussianOracle oracle(path_number(0), side);
  const auto grid = fine_grid(oracle, steps);
  const Uncertainty uncertainty = exact_uncertainty(oracle, grid);
  const auto measurement =
      make_measurement(test::measurement_options(Task::superresolve, sigma), side, side);
  const at::Tensor y = measurement->simulate(pictures_of(oracle, 1, 1), keys_of(1, 2));
  const at::Tensor same = y.expand({count, 1, y.size(2), y.size(3)});
  const solve::Denoise prior = best(oracle);
  const auto made = solve::sample(
      oracle.space(), conditioned(prior, *measurement, same, uncertainty), normal(count, 3), grid,
      {.solver = solve::Solver::ancestral}, {},
      [&](std::int64_t step) { return normal(count, 100 + static_cast<std::uint64_t>(step)); });
  const auto [mean, covariance] = test::dense_posterior(
      test::dense(*measurement, side, side), sigma, at::zeros({1, pixels}, at::kDouble),
      test::pixel_covariance(oracle.variance()), test::measured_numbers(*measurement, y));
  const at::Tensor x = made.sample.flatten(1);
  const at::Tensor variance = covariance.diag();
  // Five standard errors of a mean and of a variance of `count` normals, and 3 % for the steps,
  // whose error is of first order.
  const at::Tensor off = (x.mean(0) - mean[0]).abs() / variance.sqrt();
  EXPECT_LE(off.max().item<double>(), 5 / std::sqrt(count) + 0.03);
  const at::Tensor ratio = x.var(0, true) / variance;
  EXPECT_LE((ratio - 1).abs().max().item<double>(), 5 * std::sqrt(2.0 / count) + 0.03);
  // And they agree with the measurement as the truth does: E |y - H x|^2 = sigma^2 n over truths,
  // here for one y, given exactly by the posterior.
  const at::Tensor h = test::dense(*measurement, side, side);
  const at::Tensor residual = test::measured_numbers(*measurement, y)[0] - at::mv(h, mean[0]);
  const double wanted = ((residual.square().sum() + at::mm(at::mm(h, covariance), h.t()).trace()) /
                         (sigma * sigma * static_cast<double>(h.size(0))))
                            .item<double>();
  const double found = measurement->disagreement(made.sample, same).square().mean().item<double>();
  EXPECT_NEAR(found, wanted, 0.06 * wanted);
}

// Where the model errs fifty times as much as it is said to, only the adaptive sampler comes as
// near to the measurement as the truth is.
TEST(Restoration, ASurprisedModelFollowsTheMeasurement) {
  constexpr std::int64_t count = 100;
  const solve::GaussianOracle oracle(path_number(0), side);
  const auto grid = fine_grid(oracle, 30);
  const Uncertainty small =
      Uncertainty::gaussian(*oracle.space().path, oracle.space().lambda, oracle.variance() / 50,
                            {grid.begin(), grid.end() - 1});
  const auto measurement =
      make_measurement(test::measurement_options(Task::superresolve, sigma), side, side);
  const at::Tensor y = measurement->simulate(pictures_of(oracle, count, 1), keys_of(count, 2));
  const solve::Denoise prior = best(oracle);
  const auto disagreement = [&](Trust trust) {
    const auto made =
        solve::sample(oracle.space(), conditioned(prior, *measurement, y, small, trust),
                      normal(count, 3), grid, {.solver = solve::Solver::spectral_2m});
    return std::sqrt(measurement->disagreement(made.sample, y).square().mean().item<double>());
  };
  EXPECT_GT(disagreement(Trust::same_for_all), 2);
  EXPECT_NEAR(disagreement(Trust::adaptive), 1, 0.25);
}

TEST(Restoration, TheMeasuredUncertaintyIsThatOfTheDenoiser) {
  constexpr std::int64_t count = 2000;
  const solve::GaussianOracle oracle(path_number(0), side);
  const std::vector<double> times{0, 0.1, 0.5, 0.9};
  const Uncertainty exact =
      Uncertainty::gaussian(*oracle.space().path, oracle.space().lambda, oracle.variance(), times);
  const Uncertainty found = Uncertainty::measured(
      oracle.space(), best(oracle), pictures_of(oracle, count, 4), keys_of(count, 5), times);
  for (const double t : times) {
    const at::Tensor ratio = found.at(t)[0] / exact.at(t);
    EXPECT_LE((ratio - 1).abs().max().item<double>(), 5 * std::sqrt(2.0 / count)) << t;
  }
  EXPECT_TRUE(at::equal(found.at(0.88), found.at(0.9)));  // the nearest time
}

TEST(Restoration, SpectrumAndWienerFilter) {
  constexpr std::int64_t count = 2000;
  const solve::GaussianOracle oracle(path_number(0), side);
  const at::Tensor x = pictures_of(oracle, count, 6) + 0.5;
  const Spectrum spectrum = spectrum_of(x);
  const at::Tensor ratio = spectrum.variance[0] / oracle.variance();
  EXPECT_LE((ratio - 1).abs().max().item<double>(), 5 * std::sqrt(2.0 / count));
  EXPECT_NEAR(spectrum.mean[0][0][0].item<double>(), 0.5 * side, 0.2);
  // Of a blur the filter's gain per frequency is g C / (g^2 C + sigma^2), around the mean.
  const auto blur = make_measurement(test::measurement_options(Task::deblur, sigma), side, side);
  const at::Tensor y = blur->simulate(x.narrow(0, 0, 2), keys_of(2, 7));
  const at::Tensor g = at::diag(blur_matrix(side, 1.2));
  const at::Tensor gain = g.unsqueeze(1) * g.unsqueeze(0);
  const at::Tensor c = spectrum.variance, m = spectrum.mean;
  const at::Tensor wanted =
      oracle.space().dct.inverse(m + gain * c / (gain.square() * c + sigma * sigma) *
                                         (oracle.space().dct.forward(y) - gain * m));
  EXPECT_LE((restore::wiener(*blur, y, spectrum) - wanted).abs().max().item<double>(), 1e-5);
}

std::unique_ptr<flow::Flow> small_flow(const flow::ModelOptions& base = {}) {
  flow::ModelOptions options = base;
  options.net.width = 16;
  options.net.depth = 1;
  options.net.heads = 2;
  options.net.bottleneck = 8;
  options.net.context_tokens = 0;
  options.net.refine = 0;
  const data::ItemSpec items{
      .channels = 1, .height = side, .width = side, .class_names = {"a", "b"}};
  auto flow = std::make_unique<flow::Flow>(options, items, at::kCPU);
  net::Parameters& parameters = flow->stage(0).network().parameters();
  parameters.initialise(random_key(1, RandomUse::test));
  parameters.flatten(at::kCPU);
  const c10::NoGradGuard no_grad;  // its last layer begins with zeros
  parameters.flat().copy_(
      0.2 * at::randn({parameters.flat().numel()}, at::detail::createCPUGenerator(2)));
  return flow;
}

TEST(Restoration, ASampleIsAFunctionOfItsPicturesKeyAndItsNumber) {
  const auto flow = small_flow();
  solve::GenerateOptions options;
  const auto measurement =
      make_measurement(test::measurement_options(Task::superresolve, sigma), side, side);
  const at::Tensor x = normal(5, 8).to(at::kFloat).clamp(-1, 1);
  const at::Tensor y = measurement->simulate(x, keys_of(5, 9));
  for (const solve::Solver solver : {solve::Solver::spectral_2m, solve::Solver::ancestral}) {
    options.solver = {.solver = solver, .steps = 6};
    options.batch = 64;
    const Uncertainty uncertainty = measure_uncertainty(*flow, x, 2, keys_of(5, 10), options);
    const auto keys = keys_of(5, 11);
    const auto run = [&](std::int64_t first, std::int64_t count, std::int64_t samples,
                         std::int64_t batch) {
      options.batch = batch;
      return restore(*flow, *measurement, y.narrow(0, first, count), uncertainty, Trust::adaptive,
                     2, std::span(keys).subspan(static_cast<std::size_t>(first)), samples, options);
    };
    const Restored all = run(0, 5, 3, 64);
    EXPECT_EQ(all.nfe, 6);
    ASSERT_EQ(all.samples.sizes(), at::IntArrayRef({5, 3, 1, side, side}));
    EXPECT_GT(all.samples.std(1).mean().item<double>(), 0.002);  // 20 times the tolerance below
    EXPECT_TRUE(at::allclose(run(0, 5, 3, 4).samples, all.samples, 0, 1e-4));
    EXPECT_TRUE(at::allclose(run(3, 2, 1, 64).samples, all.samples.narrow(0, 3, 2).narrow(1, 0, 1),
                             0, 1e-4));
  }
}

TEST(Restoration, RefusesPriorsAndSolversThatCannotBeSteered) {
  const auto flow = small_flow();
  EXPECT_NO_THROW(check_restorable(*flow, {}));
  EXPECT_THROW(check_restorable(*flow, {.solver = solve::Solver::dopri5}), Error);
  EXPECT_THROW(check_restorable(*flow, {.solver = solve::Solver::paper_heun}), Error);
  for (const auto solver : restoring_solvers) {
    EXPECT_NO_THROW(check_restorable(*flow, {.solver = solver}));
  }
  flow::ModelOptions chain;
  chain.stages.gammas = {0.1};
  EXPECT_THROW(check_restorable(*small_flow(chain), {}), Error);
  data::ItemSpec rows{.channels = 2, .height = 1, .width = 1, .class_names = {}};
  rows.kind = data::ItemKind::rows;
  flow::ModelOptions points;
  points.kind = net::NetworkKind::mlp;
  EXPECT_THROW(check_restorable(flow::Flow(points, rows, at::kCPU), {}), Error);
}

}  // namespace
}  // namespace calor::restore
