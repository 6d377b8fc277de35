// Blurring diffusion (arXiv 2209.05557) against closed forms per frequency: the forward process,
// the posterior that an ancestral step draws from, and the law at the end with the exact denoiser.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/objective/objective.h"
#include "calor/path/paths.h"
#include "calor/solve/gaussian_oracle.h"
#include "calor/solve/grid.h"
#include "calor/solve/sampler.h"

namespace calor::solve {
namespace {

constexpr std::int64_t side = 12;

at::Tensor normal(std::uint64_t seed, at::IntArrayRef shape = {2, 1, side, side}) {
  return at::randn(shape, at::detail::createCPUGenerator(seed), at::TensorOptions(at::kDouble));
}

path::PictureSpace published(std::int64_t pixels = side) {
  return {path::blurring_path(20, 0.001), pixels, pixels, at::kDouble, at::kCPU};
}

// A and S of the paper at one time, [H, W] and a number.
struct Schedules {
  at::Tensor a;
  double s = 0;
};
Schedules schedules(const at::Tensor& lambda, double t) {
  const double pi = std::acos(-1.0);
  const double first = std::atan(std::exp(-5.0)), last = std::atan(std::exp(5.0));
  const double phi = first + (last - first) * (1 - t);
  const double sigma = 20 * std::pow(std::sin(pi * (1 - t) / 2), 2);
  const at::Tensor left = 0.999 * (-lambda * sigma * sigma / 2).exp() + 0.001;
  return {.a = std::cos(phi) * left, .s = std::sin(phi)};
}

TEST(Blurring, ForwardProcessHasThePublishedLawAtEachFrequency) {
  objective::ObjectiveOptions options;
  options.prediction = objective::Quantity::eps;
  options.loss = objective::Quantity::eps;
  const objective::Objective objective(options, published(), path::TrainingTimes({}, 1));
  const at::Tensor x = normal(1), noise = normal(2);
  const auto& dct = objective.space().dct;
  for (const double t : {0.0, 0.2, 0.6, 1.0}) {
    const auto [a, s] = schedules(objective.space().lambda, t);
    const at::Tensor z = objective.noisy(x, noise, at::full({2}, t, at::kDouble));
    const at::Tensor expected = a * dct.forward(x) + s * dct.forward(noise);
    EXPECT_LE((dct.forward(z) - expected).abs().max().item<double>(), 1e-13) << t;
  }
}

// One ancestral step from Z_t with the clean picture x known and this noise of the step.
at::Tensor step_from(const path::PictureSpace& space, const at::Tensor& z, const at::Tensor& x,
                     double from, double to, const at::Tensor& noise) {
  const Denoise known = [&](const at::Tensor&, double) { return x; };
  const auto made = sample(space, known, z, {from, to}, {.solver = Solver::ancestral, .steps = 1},
                           {}, [&](std::int64_t) { return noise; });
  return space.dct.forward(made.sample);
}

// Given X, (Z_s, Z_t) are jointly normal with variances S_s^2, S_t^2 and covariance a S_s^2, a =
// A_t/A_s; conditioning on Z_t is the textbook's formula. From times of strong to weak noise, and
// the one at which A is 6.7e-6 for fine frequencies.
TEST(Blurring, AStepDrawsFromTheGaussianPosteriorOfEachFrequency) {
  const auto space = published();
  const at::Tensor x = normal(3), z = normal(4), zero = at::zeros_like(x), one = at::ones_like(x);
  for (const auto& [from, to] : std::vector<std::pair<double, double>>{
           {0, 0.01}, {0, 0.5}, {0.3, 0.4}, {0.6, 0.9}, {0.98, 0.99}}) {
    const auto [a_t, s_t] = schedules(space.lambda, from);
    const auto [a_s, s_s] = schedules(space.lambda, to);
    const at::Tensor covariance = a_t / a_s * s_s * s_s;
    const at::Tensor mean =
        a_s * space.dct.forward(x) +
        covariance / (s_t * s_t) * (space.dct.forward(z) - a_t * space.dct.forward(x));
    const at::Tensor variance = s_s * s_s - covariance.square() / (s_t * s_t);
    const at::Tensor found = step_from(space, z, x, from, to, zero);
    EXPECT_LE((found - mean).abs().max().item<double>(), 1e-12) << from;
    const at::Tensor spread = step_from(space, z, x, from, to, one) - found;
    EXPECT_LE((spread.square() - variance).abs().max().item<double>(), 1e-12) << from;
    EXPECT_GT(variance.min().item<double>(), 0);
  }
}

// Where the path has lost a frequency altogether, a step is a draw from the law at its end and
// nothing of Z is kept.
TEST(Blurring, AFrequencyThatIsLostIsDrawnAnew) {
  const path::PictureSpace space(path::heat_path("heat", 0.5), side, side, at::kDouble, at::kCPU);
  const at::Tensor x = normal(5), noise = normal(6);
  const at::Tensor time = at::full({1, 1}, 0.3, at::kDouble);
  const at::Tensor a = space.path->log_a(time, space.lambda).exp();
  const at::Tensor expected = a * space.dct.forward(x) + 0.7 * noise;  // A = 0 at t = 0
  for (const std::uint64_t seed : {7U, 8U}) {
    const at::Tensor found = step_from(space, normal(seed), x, 0, 0.3, noise);
    EXPECT_LE((found - expected).abs().max().item<double>(), 1e-13);
  }
  // The strongest blur with next to no floor: A(0) is 7e-9 at the finest frequency.
  const path::PictureSpace strong(path::blurring_path(1e4, 1e-6), side, side, at::kDouble,
                                  at::kCPU);
  const at::Tensor made = step_from(strong, normal(9), x, 0, 0.3, noise);
  EXPECT_TRUE(at::isfinite(made).all().item<bool>());
}

// S(1) = .0067: the sample is what the last step predicts, not a state that has noise.
TEST(Blurring, TheSampleIsThePredictionOfTheLastStep) {
  const auto space = published();
  const at::Tensor noise = normal(10);
  const auto log_snr_at = [&](double t) {
    const auto [a, s] = schedules(space.lambda, t);
    return (a / s).log();
  };
  // Of second order: X^_i + h_i / (2 h_{i-1}) (X^_i - X^_{i-1}).
  const at::Tensor factor =
      (log_snr_at(1) - log_snr_at(5.0 / 6)) / (log_snr_at(5.0 / 6) - log_snr_at(4.0 / 6)) / 2;
  for (const Solver solver : {Solver::ancestral, Solver::spectral_1, Solver::spectral_2m}) {
    std::vector<at::Tensor> said;
    const Denoise some = [&](const at::Tensor& z, double t) {
      said.push_back((z + t).tanh());
      return said.back();
    };
    const auto made =
        sample(space, some, normal(11), uniform_grid(6), {.solver = solver, .steps = 6}, {},
               [&](std::int64_t) { return noise; });
    ASSERT_EQ(said.size(), 6U);
    at::Tensor expected = said[5];
    if (solver == Solver::spectral_2m) {
      expected = expected + space.dct.inverse(factor * space.dct.forward(said[5] - said[4]));
    }
    EXPECT_LE((made.sample - expected).abs().max().item<double>(), 1e-5) << solver_name(solver);
  }
}

// The variance of each coefficient of the samples with a denoiser that says gain(t) Z, from
// variance 1, by the posterior's formula (METHODS: ancestral sampler).
using Gain = std::function<at::Tensor(double t)>;
at::Tensor end_variance(const at::Tensor& lambda, std::int64_t steps, const Gain& gain) {
  at::Tensor variance = at::ones_like(lambda);
  for (std::int64_t i = 0; i + 1 < steps; ++i) {
    const double from = static_cast<double>(i) / static_cast<double>(steps);
    const double to = static_cast<double>(i + 1) / static_cast<double>(steps);
    const auto [a_t, s_t] = schedules(lambda, from);
    const auto [a_s, s_s] = schedules(lambda, to);
    const at::Tensor a = a_t / a_s;
    const at::Tensor v = s_t * s_t - a.square() * s_s * s_s;
    const at::Tensor p = 1 / (1 / (s_s * s_s) + a.square() / v);
    const at::Tensor slope = p * (a / v + a_s / (s_s * s_s) * gain(from));
    variance = slope.square() * variance + p;
  }
  return gain(1 - 1.0 / static_cast<double>(steps)).square() * variance;
}

// E[X | Z] of the oracle; and what is left of it where the network says the exact noise, S Z/(A^2 C
// + S^2), and what the path has all but lost is not divided out.
Gain exact_gain(const GaussianOracle& oracle) {
  return [&oracle](double t) {
    const auto [a, s] = schedules(oracle.space().lambda, t);
    return a * oracle.variance() / (a.square() * oracle.variance() + s * s);
  };
}
Gain clipped_gain(const GaussianOracle& oracle) {
  return [&oracle](double t) {
    const auto [a, s] = schedules(oracle.space().lambda, t);
    const at::Tensor noise = s / (a.square() * oracle.variance() + s * s);
    return (1 - s * noise) / a.clamp_min(0.05);
  };
}

double relative_w2(const GaussianOracle& oracle, const at::Tensor& variance) {
  const at::Tensor c = oracle.variance();
  return ((variance.sqrt() - c.sqrt()).square().sum() / c.sum()).item<double>();
}

// 28 x 28 pixels, as published. First order: halving the steps' length halves the error.
TEST(Blurring, ReachesTheDataOnAGaussian) {
  const GaussianOracle oracle(path::blurring_path(20, 0.001), 28);
  const auto error = [&](std::int64_t steps, const Gain& gain) {
    return relative_w2(oracle, end_variance(oracle.space().lambda, steps, gain));
  };
  const double few = error(100, exact_gain(oracle)), many = error(1000, exact_gain(oracle));
  EXPECT_LT(few, 0.02);
  EXPECT_LT(many, few / 30);  // W2^2: a hundredth at last
  // Not dividing by A below .05 costs little, and the more the finer the steps are, the less.
  EXPECT_NEAR(error(100, clipped_gain(oracle)), few, 0.2 * few + 1e-4);
}

// The recursion is that of the sampler: the program's own objective, from the exact noise.
TEST(Blurring, TheSamplerOfNoisePredictionsHasThatLaw) {
  constexpr std::int64_t count = 3000, steps = 10;
  const GaussianOracle oracle(path::blurring_path(20, 0.001), side);
  objective::ObjectiveOptions options;
  options.prediction = objective::Quantity::eps;
  options.loss = objective::Quantity::eps;
  const objective::Objective objective(options, published(), path::TrainingTimes({}, 1));
  const auto& space = oracle.space();
  const Denoise best = [&](const at::Tensor& z, double t) {
    const auto [a, s] = schedules(space.lambda, t);
    const at::Tensor noise =
        space.dct.inverse(s / (a.square() * oracle.variance() + s * s) * space.dct.forward(z));
    return objective.clean(noise, z, at::full({z.size(0)}, t, at::kDouble));
  };
  const auto noise = [](std::int64_t step) {
    return normal(static_cast<std::uint64_t>(20 + step), {count, 1, side, side});
  };
  const auto made = sample(space, best, noise(99), uniform_grid(steps),
                           {.solver = Solver::ancestral, .steps = steps}, {}, noise);
  const at::Tensor found = space.dct.forward(made.sample).square().mean(at::IntArrayRef{0, 1});
  const at::Tensor ratio = found / end_variance(space.lambda, steps, clipped_gain(oracle));
  // A mean of squares of n normals has the relative standard error sqrt(2/n) = .026; five of them
  // for the worst of 144, and four for the mean of all.
  const double error = std::sqrt(2.0 / count);
  EXPECT_LE((ratio - 1).abs().max().item<double>(), 5 * error);
  EXPECT_NEAR(ratio.mean().item<double>(), 1, 4 * error / side);
}

}  // namespace
}  // namespace calor::solve
