#include "calor/solve/sampler.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/core/error.h"
#include "calor/flow/flow.h"
#include "calor/path/paths.h"
#include "calor/solve/gaussian_oracle.h"
#include "calor/solve/grid.h"
#include "tests/support/golden.h"

namespace calor::solve {
namespace {

const GaussianOracle& heat_oracle() {
  static const GaussianOracle oracle(path::heat_path("heat", 0.5), 32);
  return oracle;
}

SolverOptions options_for(Solver solver, std::int64_t steps, double t_eps = 1e-3) {
  return {.solver = solver, .steps = steps, .t_eps = t_eps};
}

double relative_w2(Solver solver, const std::vector<double>& grid) {
  return heat_oracle().run(grid, options_for(solver, 0)).relative_w2;
}

double on_default_grid(Solver solver, std::int64_t steps) {
  const auto options = options_for(solver, steps);
  return heat_oracle().run(default_grid(*heat_oracle().space().path, options), options).relative_w2;
}

// The table of the Gaussian oracle (docs/methods.md): the printed
// digits are matched to 10 %.
TEST(GaussianOracle, TableOfErrors) {
  const auto expect = [](double value, double table) {
    EXPECT_NEAR(value / table, 1, 0.1) << table;
  };
  expect(relative_w2(Solver::spectral_1, uniform_grid(10)), 5.0e-2);
  expect(relative_w2(Solver::spectral_1, uniform_grid(50)), 2.4e-3);
  expect(relative_w2(Solver::spectral_2m, uniform_grid(10)), 2.6e-2);
  expect(relative_w2(Solver::spectral_2m, uniform_grid(20)), 3.2e-3);
  expect(relative_w2(Solver::heun, uniform_grid(25)), 1.4e-4);
  EXPECT_NEAR(on_default_grid(Solver::spectral_2m, 4), 0.14, 0.01);
  EXPECT_NEAR(on_default_grid(Solver::spectral_2m, 6), 0.026, 0.002);
  EXPECT_LE(on_default_grid(Solver::spectral_2m, 10), 2e-3);
  EXPECT_LE(on_default_grid(Solver::spectral_2m, 20), 1e-4);
}

// Slopes of sqrt(W2^2) over 80, 160 and 320 steps on t in [.1, .9].
void expect_order(Solver solver, const std::function<std::vector<double>(std::int64_t)>& grid,
                  double order) {
  double previous = 0;
  for (const std::int64_t steps : {80, 160, 320}) {
    const double error =
        std::sqrt(heat_oracle().run(grid(steps), options_for(solver, 0)).relative_w2);
    if (previous > 0) {
      EXPECT_NEAR(std::log2(previous / error), order, 0.1) << solver_name(solver);
    }
    previous = error;
  }
}

TEST(GaussianOracle, OrdersOfConvergence) {
  const auto between = [](bool logit_spaced) {
    return [logit_spaced](std::int64_t steps) {
      std::vector<double> grid;
      for (std::int64_t i = 0; i <= steps; ++i) {
        const double u = static_cast<double>(i) / static_cast<double>(steps);
        const double ends = std::log(9.0);  // logit(.9)
        grid.push_back(logit_spaced ? 1 / (1 + std::exp(ends - 2 * ends * u)) : 0.1 + 0.8 * u);
      }
      return grid;
    };
  };
  expect_order(Solver::euler, between(false), 1);
  expect_order(Solver::spectral_1, between(true), 1);
  expect_order(Solver::spectral_2m, between(true), 2);
}

// Heun ends with an Euler step by design, one step of second-order local error, so its global order
// stays 2.
TEST(GaussianOracle, HeunIsOfSecondOrder) {
  const auto grid = [](std::int64_t steps) {
    std::vector<double> times;
    for (std::int64_t i = 0; i <= steps; ++i) {
      times.push_back(0.1 + 0.8 * static_cast<double>(i) / static_cast<double>(steps));
    }
    return times;
  };
  expect_order(Solver::heun, grid, 2);
}

// A perfect denoiser with the paper's sampler loses fine detail: the share of the right variance, a
// mean over each band of r = sqrt(i^2 + j^2)/32 (50 steps of 400 pictures, whose blends differ),
// against the exact velocity's. The coarsest band has 12 frequencies, a standard error of
// sqrt(2/(12 400)) = .02 of its share, the others 70 and more, .008.
TEST(GaussianOracle, PaperSamplerLosesFineDetail) {
  const GaussianOracle& oracle = heat_oracle();
  const path::PictureSpace& space = oracle.space();
  const at::Tensor noise = at::randn({400, 1, 32, 32}, at::detail::createCPUGenerator(5),
                                     at::TensorOptions(at::kDouble));
  const at::Tensor start = space.dct.inverse(noise * oracle.deviation(0));
  const Denoise best = [&](const at::Tensor& z, double t) { return oracle.denoise(z, t); };
  const auto shares = [&](Solver solver) {
    const auto end = sample(space, best, start, uniform_grid(50), options_for(solver, 50)).sample;
    const at::Tensor share = space.dct.forward(end).square().mean(0)[0] / oracle.variance();
    const at::Tensor i = at::arange(32, at::kDouble).square();
    const at::Tensor r = (i.unsqueeze(1) + i.unsqueeze(0)).sqrt() / 32;
    std::vector<double> out;
    const std::array<double, 5> edges{0, 0.1, 0.3, 0.6, 10};
    for (std::size_t band = 0; band < 4; ++band) {
      out.push_back(share.masked_select(r.ge(edges[band]).logical_and(r.lt(edges[band + 1])))
                        .mean()
                        .item<double>());
    }
    return out;
  };
  const auto paper = shares(Solver::paper_heun);
  const auto exact = shares(Solver::heun);
  const std::array<double, 4> of_paper{0.97, 0.84, 0.64, 0.47};  // METHODS
  const std::array<double, 4> of_exact{0.998, 0.999, 0.998, 0.986};
  for (std::size_t band = 0; band < 4; ++band) {
    EXPECT_NEAR(paper[band], of_paper[band], band == 0 ? 0.08 : 0.03) << band;
    EXPECT_NEAR(exact[band], of_exact[band], band == 0 ? 0.08 : 0.03) << band;
  }
}

TEST(Sampler, CountsEvaluations) {
  const GaussianOracle& o = heat_oracle();
  const auto nfe = [&](Solver solver) {
    const auto options = options_for(solver, 7);
    return o.run(default_grid(*o.space().path, options), options).nfe;
  };
  EXPECT_EQ(nfe(Solver::euler), 7);
  EXPECT_EQ(nfe(Solver::heun), 13);
  EXPECT_EQ(nfe(Solver::spectral_1), 7);
  EXPECT_EQ(nfe(Solver::spectral_2m), 7);
  EXPECT_EQ(nfe(Solver::paper_euler), 14);
  EXPECT_EQ(nfe(Solver::paper_heun), 14);
}

// One step from pure noise to data lands on the prediction, for every path.
TEST(Sampler, OneSpectralStepLandsOnThePrediction) {
  for (const auto kind :
       {path::PathKind::linear, path::PathKind::heat, path::PathKind::trigonometric,
        path::PathKind::cosine, path::PathKind::variance_preserving, path::PathKind::blurring}) {
    path::PathOptions path_options;
    path_options.kind = kind;
    const path::PictureSpace space(path::make_path(path_options, 8, 8), 8, 8, at::kDouble,
                                   at::kCPU);
    const at::Tensor noise = at::ones({2, 1, 8, 8}, at::kDouble);
    const at::Tensor answer = at::arange(128, at::kDouble).reshape({2, 1, 8, 8}) / 100;
    const Denoise constant = [&](const at::Tensor&, double) { return answer; };
    const auto one = sample(space, constant, noise, {0, 1}, options_for(Solver::spectral_2m, 1));
    EXPECT_TRUE(at::allclose(one.sample, answer, 0, 1e-12)) << space.path->name();
    const auto many = sample(space, constant, noise,
                             default_grid(*space.path, options_for(Solver::spectral_2m, 9)),
                             options_for(Solver::spectral_2m, 9));
    EXPECT_TRUE(at::allclose(many.sample, answer, 0, 1e-9)) << space.path->name();
  }
}

// 256 pixels and a = 32: A underflows in fp32 by far; nothing becomes NaN, and a constant
// prediction is reached.
TEST(Sampler, StrongBlurAt256PixelsSurvivesInFp32) {
  const path::PictureSpace space(path::heat_path("heat", 32), 256, 256, at::kFloat, at::kCPU);
  const at::Tensor noise = at::randn({1, 1, 256, 256}, at::detail::createCPUGenerator(3));
  const at::Tensor answer = at::rand({1, 1, 256, 256}, at::detail::createCPUGenerator(4));
  const Denoise constant = [&](const at::Tensor&, double) { return answer; };
  const auto options = options_for(Solver::spectral_2m, 20);
  const auto solution = sample(space, constant, noise, default_grid(*space.path, options), options);
  EXPECT_TRUE(at::isfinite(solution.sample).all().item<bool>());
  EXPECT_LE((solution.sample - answer).abs().max().item<double>(), 1e-4);
}

TEST(Sampler, ANonFiniteStateIsAnError) {
  const Denoise broken = [](const at::Tensor& z, double t) {
    return t > 0.5 ? z * std::numeric_limits<double>::quiet_NaN() : z;
  };
  const auto options = options_for(Solver::spectral_2m, 10);
  const at::Tensor noise = at::ones({1, 1, 32, 32}, at::kDouble);
  EXPECT_THROW(sample(heat_oracle().space(), broken, noise, uniform_grid(10), options), Error);
}

TEST(Grid, DefaultsAndEnds) {
  const auto path = path::heat_path("heat", 0.5);
  EXPECT_EQ(log_snr_grid(*path, 1), (std::vector<double>{0, 1}));
  const auto two = log_snr_grid(*path, 2);
  EXPECT_NEAR(two[1], 0.5, 1e-12);
  const auto twenty = log_snr_grid(*path, 20);
  ASSERT_EQ(twenty.size(), 21U);
  EXPECT_EQ(twenty.front(), 0);
  EXPECT_EQ(twenty.back(), 1);
  EXPECT_NEAR(twenty[1], 0.02, 1e-12);   // max(.02, .4/20)
  EXPECT_NEAR(twenty[19], 0.97, 1e-12);  // 1 - max(.03, 3/400)
  const auto six = log_snr_grid(*path, 6);
  EXPECT_NEAR(six[1], 0.4 / 6, 1e-12);
  EXPECT_NEAR(six[5], 1 - 3.0 / 36, 1e-12);
  for (std::size_t i = 1; i < twenty.size(); ++i) EXPECT_GT(twenty[i], twenty[i - 1]);
}

TEST(Grid, AreChosenByName) {
  const auto path = path::cosine_path();
  SolverOptions options{.solver = Solver::spectral_1, .steps = 10};
  EXPECT_EQ(default_grid(*path, options), log_snr_grid(*path, 10));
  options.grid = GridKind::uniform;
  EXPECT_EQ(default_grid(*path, options), uniform_grid(10));
  options.grid = GridKind::leading;
  const auto leading = default_grid(*path, options);
  ASSERT_EQ(leading.size(), 11U);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_NEAR(leading[i], 0.09 + 0.1 * static_cast<double>(i), 1e-12);
  }
  EXPECT_EQ(leading.back(), 1);
  options.steps = 100;
  EXPECT_EQ(default_grid(*path, options), uniform_grid(100));
  options = {.solver = Solver::ancestral, .steps = 7};
  EXPECT_EQ(default_grid(*path, options), uniform_grid(7));
  options.grid = GridKind::log_snr;
  EXPECT_EQ(default_grid(*path, options), log_snr_grid(*path, 7));
}

TEST(Sampler, RefusesWhatThePathDoesNotHave) {
  const auto refused = [](path::PathKind kind, const SolverOptions& options) {
    path::PathOptions path;
    path.kind = kind;
    EXPECT_THROW(check_solver(*path::make_path(path, 8, 8), options), Error);
  };
  for (const Solver published : {Solver::paper_euler, Solver::paper_heun}) {
    refused(path::PathKind::linear, {.solver = published});
    refused(path::PathKind::trigonometric, {.solver = published});
    refused(path::PathKind::blurring, {.solver = published});
    EXPECT_NO_THROW(check_solver(*heat_oracle().space().path, {.solver = published}));
  }
  // The last of three steps begins at t = .667 by default.
  const SolverOptions late{.solver = Solver::spectral_2m, .steps = 3, .grid_lo = 0.7};
  EXPECT_THROW(default_grid(*heat_oracle().space().path, late), Error);
}

TEST(Guidance, CountsInTheTimeOfTheChain) {
  const flow::GuidanceOptions guidance{.scale = 2, .lo = 0.1, .hi = 1};
  const flow::GuidanceOptions noisiest = guidance.in_stage(3, 4);
  EXPECT_EQ(noisiest.weight(0.3), 1);
  EXPECT_EQ(noisiest.weight(0.5), 2);
  EXPECT_EQ(noisiest.weight(1), 2);
  EXPECT_EQ(guidance.in_stage(0, 4).weight(0), 2);
  EXPECT_EQ(guidance.in_stage(0, 4).weight(1), 1);
}

TEST(Guidance, ActsStrictlyInsideItsInterval) {
  const flow::GuidanceOptions guidance{.scale = 2, .lo = 0.1, .hi = 1};
  EXPECT_EQ(guidance.weight(0.05), 1);
  EXPECT_EQ(guidance.weight(static_cast<double>(0.1F)), 1);  // compared in fp32
  EXPECT_EQ(guidance.weight(0.2), 2);
  EXPECT_EQ(guidance.weight(1), 1);
  const flow::GuidanceOptions from_start{.scale = 2, .lo = 0, .hi = 1};
  EXPECT_EQ(from_start.weight(0), 2);
}

// The published samplers, network and guidance included, against reference trajectories.
TEST(Golden, PaperSamplers) {
  CALOR_GOLDEN(golden, "hdfm_small.safetensors");
  CALOR_GOLDEN(weights, "jit_small_weights.safetensors");
  flow::ModelOptions model;
  model.objective.blur_term = objective::BlurTerm::paper;
  model.net = test::golden_jit;
  flow::Flow flow(
      model, {.channels = 3, .height = 16, .width = 16, .class_names = {"0", "1", "2", "3", "4"}},
      at::kCPU);
  flow.stage(0).network().parameters().load(weights.tensors, "golden");
  const at::Tensor times = golden.at("sample.timesteps").to(at::kDouble);
  const std::vector<double> grid(times.data_ptr<double>(),
                                 times.data_ptr<double>() + times.numel());
  for (const char* solver : {"euler", "heun"}) {
    for (const int w : {1, 2}) {
      const std::string name = std::string("sample.") + solver + "_w" + std::to_string(w);
      const at::Tensor& expected = golden.at(name + ".trajectory");
      const flow::GuidanceOptions guidance{.scale = static_cast<double>(w), .lo = 0.1, .hi = 1};
      const Denoise denoise = [&](const at::Tensor& z, double t) {
        return flow.stage(0).clean(z, t, {.labels = golden.at("sample.y"), .condition = {}},
                                   guidance);
      };
      const Observe observe = [&](std::int64_t step, double, const at::Tensor& z,
                                  const at::Tensor&) {
        test::expect_close(z, expected[step], 1e-5, name + " step " + std::to_string(step));
      };
      const auto solution = sample(
          flow.stage(0).space(), denoise, golden.at("sample.z0"), grid,
          options_for(std::string(solver) == "euler" ? Solver::paper_euler : Solver::paper_heun, 10,
                      0.05),
          observe);
      test::expect_close(solution.sample, golden.at(name + ".final"), 1e-5, name + " final");
    }
  }
}

// A chain of global stages is one path for the spectral sampler: it keeps its history over the
// borders and jumps over them. 9 stages (the published steps), as good as one stage: METHODS gives
// 5.7e-4 at 10 and 1.2e-4 at 20 evaluations.
TEST(GaussianOracle, ChainOfGlobalStages) {
  std::vector<std::shared_ptr<const path::SpectralPath>> paths;
  double start = 0;
  for (const double gamma : {0.025, 0.031, 0.039, 0.049, 0.061, 0.076, 0.095, 0.119}) {
    paths.push_back(path::global_stage_path(path::InnerPath::linear,
                                            {.free = false, .gamma = gamma, .start = start}));
    start += gamma;
  }
  paths.push_back(path::global_stage_path(path::InnerPath::linear, {.free = true, .start = start}));
  const GaussianOracle oracle(std::make_shared<path::ChainPath>(std::move(paths)), 32);
  const auto error = [&](std::int64_t steps) {
    const SolverOptions options{.solver = Solver::spectral_2m, .steps = steps};
    return oracle.run(default_grid(*oracle.space().path, options), options).relative_w2;
  };
  EXPECT_LE(error(10), 8e-4);
  EXPECT_LE(error(20), 1.5e-4);
}

TEST(Grid, StagesShareTheStepsByTheirRangeOfLogSnr) {
  const std::vector<path::StageStep> steps{
      {.free = false, .gamma = 0.02, .start = 0},
      {.free = false, .gamma = 0.2, .start = 0.02},
      {.free = true, .start = 0.22},
  };
  const auto ranges = log_snr_ranges(steps, 20);
  ASSERT_EQ(ranges.size(), 3U);
  // Together the range of the grid: from logit .02 to logit .97.
  EXPECT_NEAR(ranges[0] + ranges[1] + ranges[2], std::log(0.97 / 0.03) - std::log(0.02 / 0.98),
              1e-12);
  const auto log_snr_of = [](double time) {
    return std::log(std::exp(-time) / std::sqrt(-std::expm1(-2 * time)));
  };
  EXPECT_NEAR(ranges[1], log_snr_of(0.02) - log_snr_of(0.22), 1e-12);
  EXPECT_EQ(share_steps(20, {3, 1, 1}), (std::vector<std::int64_t>{12, 4, 4}));
  EXPECT_EQ(share_steps(2, {3, 1, 1}), (std::vector<std::int64_t>{1, 1, 1}));
  EXPECT_EQ(share_steps(7, {0, 1, 1}), (std::vector<std::int64_t>{1, 3, 3}));
}

}  // namespace
}  // namespace calor::solve
