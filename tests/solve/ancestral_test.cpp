// Diffusion's samplers: the ancestral one against DDPM's formulas and against the law that follows
// on a Gaussian, and that spectral-1 is DDIM.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/core/error.h"
#include "calor/core/random.h"
#include "calor/flow/flow.h"
#include "calor/path/paths.h"
#include "calor/solve/gaussian_oracle.h"
#include "calor/solve/generate.h"
#include "calor/solve/grid.h"
#include "calor/solve/sampler.h"
#include "tests/support/threads.h"

namespace calor::solve {
namespace {

SolverOptions ancestral(std::int64_t steps) {
  return {.solver = Solver::ancestral, .steps = steps};
}

std::vector<RandomKey> keys_of(std::int64_t count) {
  std::vector<RandomKey> keys;
  const RandomKey key = random_key(7, RandomUse::test);
  for (std::int64_t i = 0; i < count; ++i) keys.push_back(key.child(static_cast<std::uint64_t>(i)));
  return keys;
}

// Standard normal numbers for each step.
StepNoise noise_of(std::int64_t count, std::int64_t side) {
  return [=](std::int64_t step) {
    auto keys = keys_of(count);
    for (RandomKey& key : keys) key = key.child(static_cast<std::uint64_t>(step));
    return normal_by_item(keys, {1, side, side}, at::kCPU);
  };
}

// Something that is not linear in z and differs from time to time.
at::Tensor some_noise_prediction(const at::Tensor& z, double t) { return (2 * z + t).tanh(); }

// alpha_bar after i of 100 steps, from the betas.
double alpha_bar(int i) {
  const auto wanted = [](int k) {
    return std::pow(std::cos((k / 100.0 + 0.008) / 1.008 * std::acos(-1.0) / 2), 2);
  };
  double bar = 1;
  for (int k = 1; k <= i; ++k) bar *= 1 - std::min(1 - wanted(k) / wanted(k - 1), 0.999);
  return bar;
}

path::PictureSpace space_of(std::unique_ptr<path::SpectralPath> path, std::int64_t side) {
  return {std::move(path), side, side, at::kDouble, at::kCPU};
}

// The clean picture by DDPM's formula, cut to [-1, 1]; i of 100 steps are left.
at::Tensor clean_of(const at::Tensor& z, int i) {
  const at::Tensor e = some_noise_prediction(z, (100 - i) / 100.0);
  return ((z - std::sqrt(1 - alpha_bar(i)) * e) / std::sqrt(alpha_bar(i))).clamp(-1, 1);
}

int steps_left(double t) { return static_cast<int>(std::lround(100 * (1 - t))); }

// All 100 steps against equations 7 and 15 of DDPM, with the variance beta~. Times are spaced as in
// fp32, 6e-8, which the schedule's slopes turn into some 1e-5 at most.
TEST(Ancestral, IsDdpmWithTheCosineSchedule) {
  const auto space = space_of(path::cosine_path(), 4);
  const StepNoise noise = noise_of(3, 4);
  const at::Tensor start = noise(100).to(at::kDouble);
  const Denoise cut = [](const at::Tensor& z, double t) { return clean_of(z, steps_left(t)); };
  const auto made = sample(space, cut, start, uniform_grid(100), ancestral(100), {}, noise);
  EXPECT_EQ(made.nfe, 100);
  at::Tensor z = start;
  for (int i = 100; i >= 1; --i) {
    const double bar = alpha_bar(i), before = alpha_bar(i - 1);
    const double alpha = bar / before, beta = 1 - alpha;
    const at::Tensor mean = std::sqrt(before) * beta / (1 - bar) * clean_of(z, i) +
                            std::sqrt(alpha) * (1 - before) / (1 - bar) * z;
    const double variance = (1 - before) / (1 - bar) * beta;
    z = i > 1 ? mean + std::sqrt(variance) * noise(100 - i).to(at::kDouble) : mean;
  }
  EXPECT_LE((made.sample - z).abs().max().item<double>(), 1e-4);
}

// DDIM (arXiv 2010.02502, equation 12, eta = 0) in 10 of 100 steps, on both of its usual subsets.
TEST(Ancestral, FirstOrderSpectralStepsAreDdim) {
  const auto space = space_of(path::cosine_path(), 4);
  const at::Tensor start = noise_of(3, 4)(0).to(at::kDouble);
  const Denoise plain = [](const at::Tensor& z, double t) {
    const double bar = alpha_bar(steps_left(t));
    return (z - std::sqrt(1 - bar) * some_noise_prediction(z, t)) / std::sqrt(bar);
  };
  for (const GridKind grid : {GridKind::uniform, GridKind::leading}) {
    const SolverOptions options{.solver = Solver::spectral_1, .steps = 10, .grid = grid};
    const auto made = sample(space, plain, start, default_grid(*space.path, options), options);
    EXPECT_EQ(made.nfe, 10);
    at::Tensor z = start;
    const int first = grid == GridKind::uniform ? 100 : 91;
    for (int i = first; i > 0; i -= 10) {
      const double bar = alpha_bar(i), next = alpha_bar(std::max(i - 10, 0));
      const at::Tensor e = some_noise_prediction(z, (100 - i) / 100.0);
      const at::Tensor x = (z - std::sqrt(1 - bar) * e) / std::sqrt(bar);
      z = std::sqrt(next) * x + std::sqrt(1 - next) * e;
    }
    const double scale = z.abs().max().item<double>();
    EXPECT_LE((made.sample - z).abs().max().item<double>(), 1e-4 * scale);
  }
}

// The variance of each coefficient at the end, from 1 at t = 0, by the posterior's formula as it is
// written in METHODS: a = A_t/A_s, v = S_t^2 - a^2 S_s^2.
at::Tensor variance_by_recursion(const GaussianOracle& oracle, const std::vector<double>& grid) {
  const auto& space = oracle.space();
  const auto at_time = [&](double t) {
    const at::Tensor time = at::full({1, 1}, t, at::kDouble);
    return std::pair{space.path->log_a(time, space.lambda).exp(),
                     space.path->log_s(time, space.lambda).exp()};
  };
  at::Tensor variance = at::ones_like(oracle.variance());
  for (std::size_t i = 0; i + 1 < grid.size(); ++i) {
    const auto [a_t, s_t] = at_time(grid[i]);
    const at::Tensor gain =
        a_t * oracle.variance() / (a_t.square() * oracle.variance() + s_t.square());
    if (i + 2 == grid.size()) return gain.square() * variance;
    const auto [a_s, s_s] = at_time(grid[i + 1]);
    const at::Tensor a = a_t / a_s;
    const at::Tensor v = s_t.square() - a.square() * s_s.square();
    const at::Tensor p = 1 / (1 / s_s.square() + a.square() / v);
    const at::Tensor slope = p * (a / v + a_s / s_s.square() * gain);
    variance = slope.square() * variance + p;
  }
  return variance;
}

std::unique_ptr<path::SpectralPath> path_number(int which) {
  if (which == 0) return path::cosine_path();
  if (which == 1) return path::blurring_path(8, 0.01);
  return path::heat_path("heat", 0.5);
}

TEST(Ancestral, HasTheLawOfItsRecursionOnAGaussian) {
  constexpr std::int64_t side = 8, count = 4000, steps = 12;
  for (int which = 0; which < 3; ++which) {
    const GaussianOracle oracle(path_number(which), side);
    SCOPED_TRACE(oracle.space().path->name());
    const StepNoise noise = noise_of(count, side);
    const Denoise best = [&](const at::Tensor& z, double t) { return oracle.denoise(z, t); };
    const auto grid = uniform_grid(steps);
    const auto made = sample(oracle.space(), best, noise(steps).to(at::kDouble), grid,
                             ancestral(steps), {}, noise);
    const at::Tensor found =
        oracle.space().dct.forward(made.sample).square().mean(at::IntArrayRef{0, 1});
    const at::Tensor ratio = found / variance_by_recursion(oracle, grid);
    // A mean of squares of n normals has the relative standard error sqrt(2/n) = .022; five of them
    // for the worst of 64, and four for the mean of all 64.
    const double error = std::sqrt(2.0 / count);
    EXPECT_LE((ratio - 1).abs().max().item<double>(), 5 * error);
    EXPECT_NEAR(ratio.mean().item<double>(), 1, 4 * error / side);
  }
}

TEST(Ancestral, ReachesTheDataWithManySteps) {
  for (int which = 0; which < 3; ++which) {
    const GaussianOracle oracle(path_number(which), 8);
    SCOPED_TRACE(oracle.space().path->name());
    const auto error = [&](std::int64_t steps) {
      const at::Tensor end = variance_by_recursion(oracle, uniform_grid(steps));
      return (end / oracle.variance() - 1).abs().max().item<double>();
    };
    const double few = error(50), many = error(800);
    EXPECT_LT(many, few / 8);  // first order: a sixteenth at last
    EXPECT_LT(many, 0.05);
  }
}

// Whatever the noise: a path that has none left at its end, and one that has.
TEST(Ancestral, TheLastStepIsThePredictionWithoutNoise) {
  const at::Tensor answer = at::arange(32, at::kDouble).view({2, 1, 4, 4}) / 40;
  const Denoise constant = [&](const at::Tensor&, double) { return answer; };
  for (int which = 0; which < 3; ++which) {
    const auto space = space_of(path_number(which), 4);
    const StepNoise noise = noise_of(2, 4);
    for (const std::int64_t steps : {1, 3}) {
      const auto made = sample(space, constant, noise(9).to(at::kDouble), uniform_grid(steps),
                               ancestral(steps), {}, noise);
      EXPECT_TRUE(at::equal(made.sample, answer)) << space.path->name();
    }
  }
}

TEST(Ancestral, PredictionsAreCutWhereAsked) {
  const auto space = space_of(path::cosine_path(), 4);
  const at::Tensor start = noise_of(1, 4)(0).to(at::kDouble);
  const Denoise far = [](const at::Tensor& z, double) { return at::full_like(z, 3); };
  for (const Solver solver : {Solver::ancestral, Solver::spectral_1}) {
    SolverOptions options{.solver = solver, .steps = 4};
    const auto end = [&] {
      return sample(space, far, start, uniform_grid(4), options, {}, noise_of(1, 4)).sample;
    };
    EXPECT_TRUE(at::equal(end(), at::full_like(start, 3)));
    options.clip_data = true;
    EXPECT_TRUE(at::equal(end(), at::ones_like(start)));
  }
}

// A perceptron, whose results do not depend on the number of threads, that says the noise of
// points.
std::unique_ptr<flow::Flow> small_flow() {
  flow::ModelOptions options;
  options.path.kind = path::PathKind::cosine;
  options.kind = net::NetworkKind::mlp;
  options.mlp.width = 16;
  options.mlp.layers = 2;
  options.objective.prediction = objective::Quantity::eps;
  options.objective.loss = objective::Quantity::eps;
  data::ItemSpec items{.channels = 2, .height = 1, .width = 1, .class_names = {}};
  items.kind = data::ItemKind::rows;
  auto flow = std::make_unique<flow::Flow>(options, items, at::kCPU);
  net::Parameters& parameters = flow->stage(0).network().parameters();
  parameters.initialise(random_key(1, RandomUse::test));
  parameters.flatten(at::kCPU);
  return flow;
}

at::Tensor items_of(const flow::Flow& flow, std::int64_t first, std::int64_t count,
                    std::int64_t batch) {
  GenerateOptions options;
  options.solver = ancestral(10);
  options.solver.clip_data = true;
  options.batch = batch;
  const flow::Given given{.labels = at::zeros({count}, at::kLong), .condition = {}};
  return generate(flow, start_from(flow, sampling_keys(3, first, count)), given, options).items;
}

TEST(Ancestral, AnItemIsAFunctionOfItsKeyAlone) {
  const auto flow = small_flow();
  const at::Tensor whole = items_of(*flow, 0, 60, 60);
  EXPECT_GT(whole.std().item<double>(), 0.01);
  // A batch changes the rounding of the network's products, and nothing else.
  for (const std::int64_t batch : {1, 7, 32}) {
    EXPECT_TRUE(at::allclose(items_of(*flow, 0, 60, batch), whole, 0, 1e-4)) << batch;
  }
  const auto silent = small_flow();
  {
    const c10::NoGradGuard no_grad;
    silent->stage(0).network().parameters().flat().zero_();
  }
  const at::Tensor all = items_of(*silent, 0, 60, 60);
  EXPECT_GT(all.std().item<double>(), 0.01);
  for (const std::int64_t batch : {1, 7, 32}) {
    EXPECT_TRUE(at::equal(items_of(*silent, 0, 60, batch), all)) << batch;
  }
  EXPECT_TRUE(at::equal(items_of(*silent, 40, 5, 64), all.narrow(0, 40, 5)));
  const auto made = test::on_threads({1, 2, 3}, [&] { return items_of(*flow, 0, 60, 64); });
  for (const at::Tensor& items : made) EXPECT_TRUE(at::equal(items, whole));
  // The noise on the way counts, not only the start.
  GenerateOptions options;
  options.solver = ancestral(10);
  options.solver.clip_data = true;
  Start start = start_from(*flow, sampling_keys(3, 0, 60));
  start.keys = sampling_keys(4, 0, 60);
  const flow::Given given{.labels = at::zeros({60}, at::kLong), .condition = {}};
  const at::Tensor others = generate(*flow, start, given, options).items;
  EXPECT_GT((others - whole).abs().mean().item<double>(), 0.01);
}

TEST(Ancestral, WithoutStreamsItIsAnError) {
  const auto flow = small_flow();
  const auto keys = sampling_keys(0, 0, 2);
  const at::Tensor noise = flow->initial_noise(keys);
  const flow::Given given{.labels = at::zeros({2}, at::kLong), .condition = {}};
  GenerateOptions options;
  options.solver = ancestral(4);
  EXPECT_THROW(generate(*flow, noise, given, options), Error);
  // From a state to one other no noise may be drawn: the velocity is integrated.
  const at::Tensor once = generate_between(*flow, 1, 0, noise, given, options).items;
  options.solver.solver = Solver::adams;
  EXPECT_TRUE(at::equal(once, generate(*flow, noise, given, options).items));
}

}  // namespace
}  // namespace calor::solve
