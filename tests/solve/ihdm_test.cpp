// IHDM's sampler against the law that follows on a Gaussian, what it begins with, and what a model
// along a path of levels refuses.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "calor/core/error.h"
#include "calor/path/paths.h"
#include "calor/solve/blurred_start.h"
#include "calor/solve/flow_density.h"
#include "calor/solve/gaussian_oracle.h"
#include "calor/solve/grid.h"

namespace calor::solve {
namespace {

SolverOptions ihdm(std::int64_t steps, double delta = 0.025) {
  return {.solver = Solver::ihdm, .steps = steps, .delta = delta};
}

StepNoise noise_of(std::int64_t count, std::int64_t side) {
  return [=](std::int64_t step) {
    std::vector<RandomKey> keys;
    const RandomKey key = random_key(7, RandomUse::test).child(static_cast<std::uint64_t>(step));
    for (std::int64_t i = 0; i < count; ++i) {
      keys.push_back(key.child(static_cast<std::uint64_t>(i)));
    }
    return normal_by_item(keys, {1, side, side}, at::kCPU);
  };
}

// Gaussian coefficients of variance C: the best prediction of the picture one level on is
// A' A C / (A^2 C + S^2) Z.
class LevelOracle {
 public:
  LevelOracle(std::int64_t side, std::int64_t levels, double sigma_max)
      : oracle_(path::ihdm_path({.levels = levels, .sigma_max = sigma_max}), side) {}

  at::Tensor kept(double t) const {
    return space().path->log_a(at::full({1, 1}, t, at::kDouble), space().lambda).exp();
  }
  at::Tensor gain(double t) const {
    const double next = t + 1 / static_cast<double>(space().path->levels());
    const at::Tensor a = kept(t), c = oracle_.variance();
    return kept(std::min(next, 1.0)) * a * c / (a.square() * c + 0.02 * 0.02);
  }
  Denoise best() const {
    return [this](const at::Tensor& z, double t) {
      return space().dct.inverse(gain(t) * space().dct.forward(z));
    };
  }
  const path::PictureSpace& space() const { return oracle_.space(); }
  const at::Tensor& variance() const { return oracle_.variance(); }

 private:
  GaussianOracle oracle_;
};

// The gains of the levels multiply.
TEST(Ihdm, WithoutNoiseEveryFrequencyIsTheProductOfItsGains) {
  constexpr std::int64_t side = 16, levels = 40;
  const LevelOracle oracle(side, levels, 12);
  at::Tensor product = at::ones({side, side}, at::kDouble);
  for (std::int64_t k = levels; k > 0; --k) {
    product = product * oracle.gain(1 - static_cast<double>(k) / levels);
  }
  const at::Tensor start = oracle.space().dct.inverse(at::ones({1, 1, side, side}, at::kDouble));
  const auto made = sample(oracle.space(), oracle.best(), start, uniform_grid(levels),
                           ihdm(levels, 0), {}, noise_of(1, side));
  EXPECT_EQ(made.nfe, levels);
  const at::Tensor found = oracle.space().dct.forward(made.sample)[0][0];
  // Times are spaced as in fp32.
  EXPECT_LE((found - product).abs().max().item<double>(), 1e-4 * product.max().item<double>());
  EXPECT_GT(product.max().item<double>(), 0.5);
}

TEST(Ihdm, HasTheLawOfItsRecursionOnAGaussian) {
  constexpr std::int64_t side = 8, count = 4000, levels = 12;
  const LevelOracle oracle(side, levels, 6);
  const at::Tensor start_variance = oracle.kept(0).square() * oracle.variance();
  at::Tensor variance = start_variance;
  for (std::int64_t k = levels; k > 0; --k) {
    variance = oracle.gain(1 - static_cast<double>(k) / levels).square() * variance;
    if (k > 1) variance = variance + 0.025 * 0.025;
  }
  const StepNoise noise = noise_of(count, side);
  const at::Tensor start = oracle.space().dct.inverse(start_variance.sqrt() * noise(99));
  const auto made =
      sample(oracle.space(), oracle.best(), start, uniform_grid(levels), ihdm(levels), {}, noise);
  const at::Tensor found =
      oracle.space().dct.forward(made.sample).square().mean(at::IntArrayRef{0, 1});
  const at::Tensor ratio = found / variance;
  // A mean of squares of n normals has the relative standard error sqrt(2/n) = .022; five of them
  // for the worst of 64, and four for the mean of all 64.
  const double error = std::sqrt(2.0 / count);
  EXPECT_LE((ratio - 1).abs().max().item<double>(), 5 * error);
  EXPECT_NEAR(ratio.mean().item<double>(), 1, 4 * error / side);
}

// As published for MNIST's size, 100 levels up to 20 pixels: coarse coefficients, which the start
// has, end with the data's variance, and fine ones, which are made of the steps' noise, with the
// more of it the more noise there is. The numbers are those of a program of its own (NumPy).
TEST(Ihdm, FineDetailIsMadeOfTheNoiseOfTheSteps) {
  const LevelOracle oracle(28, 100, 20);
  const auto variance = [&](double delta) {
    at::Tensor v = oracle.kept(0).square() * oracle.variance();
    for (int k = 100; k > 0; --k) {
      v = oracle.gain(1 - k / 100.0).square() * v;
      if (k > 1) v = v + delta * delta;
    }
    return v;
  };
  const at::Tensor share = variance(0.025) / oracle.variance();
  EXPECT_NEAR(share[0][0].item<double>(), 0.99963, 1e-4);
  EXPECT_NEAR(share[0][1].item<double>(), 0.99118, 1e-4);
  EXPECT_NEAR(share[27][27].item<double>(), 0.47605, 1e-4);
  const auto relative_w2 = [&](double delta) {
    const at::Tensor c = oracle.variance();
    return ((variance(delta).sqrt() - c.sqrt()).square().sum() / c.sum()).item<double>();
  };
  EXPECT_NEAR(relative_w2(0.02) / 0.0772953, 1, 1e-3);
  EXPECT_NEAR(relative_w2(0.025) / 0.0191084, 1, 1e-3);
}

TEST(Ihdm, TheLastStepIsTheMeanWithoutNoise) {
  const path::PictureSpace space(path::ihdm_path({.levels = 3}), 4, 4, at::kDouble, at::kCPU);
  const Denoise half = [](const at::Tensor& z, double) { return z / 2; };
  const at::Tensor start = at::ones({2, 1, 4, 4}, at::kDouble);
  const StepNoise noise = noise_of(2, 4);
  const auto made = sample(space, half, start, uniform_grid(3), ihdm(3), {}, noise);
  const at::Tensor expected =
      ((start / 2 + 0.025 * noise(0).to(at::kDouble)) / 2 + 0.025 * noise(1).to(at::kDouble)) / 2;
  EXPECT_LE((made.sample - expected).abs().max().item<double>(), 1e-15);
  EXPECT_THROW(sample(space, half, start, uniform_grid(3), ihdm(3)), Error);
}

constexpr std::int64_t side = 8;

data::ItemSpec spec(std::vector<std::string> names = {"a", "b"}) {
  return {.channels = 1, .height = side, .width = side, .class_names = std::move(names)};
}

flow::ModelOptions model_options() {
  flow::ModelOptions options;
  options.path.kind = path::PathKind::ihdm;
  options.path.levels = 5;
  options.path.sigma_max = 3;
  options.objective.prediction = objective::Quantity::less_blurred;
  options.objective.loss = objective::Quantity::less_blurred;
  options.net = {.width = 16,
                 .depth = 1,
                 .heads = 2,
                 .patch = 4,
                 .bottleneck = 8,
                 .context_tokens = 0,
                 .context_start = 0};
  return options;
}

std::unique_ptr<flow::Flow> small_flow() {
  auto flow = std::make_unique<flow::Flow>(model_options(), spec(), at::kCPU);
  net::Parameters& parameters = flow->stage(0).network().parameters();
  parameters.initialise(random_key(1, RandomUse::test));
  parameters.flatten(at::kCPU);
  const c10::NoGradGuard no_grad;
  // The last layer begins at 0: all weights get something to say.
  const at::Tensor flat = parameters.flat();
  flat.add_(0.1 * at::randn(flat.sizes(), at::detail::createCPUGenerator(2)));
  return flow;
}

// Pictures of even numbers have class 0, of odd ones class 1.
std::shared_ptr<data::ImageDataset> some_pictures(std::int64_t count = 40) {
  const at::Tensor pictures =
      at::randint(0, 256, {count, 1, side, side}, at::detail::createCPUGenerator(3), at::kByte);
  return data::make_tensor_dataset(spec(), pictures, at::arange(count, at::kLong) % 2);
}

TEST(BlurredStart, PicturesAreDrawnByKeyAndClass) {
  const auto set = some_pictures();
  const auto keys = sampling_keys(0, 0, 400);
  const at::Tensor labels = at::arange(400, at::kLong) % 3;  // 2: none
  const auto chosen = starting_pictures(*set, 2, keys, labels);
  std::set<std::int64_t> of_none;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (i % 3 < 2) {
      EXPECT_EQ(chosen[i] % 2, static_cast<std::int64_t>(i % 3));
    } else {
      of_none.insert(chosen[i]);
    }
  }
  // 133 draws among 40 miss one picture with probability (39/40)^133 = .034 each.
  EXPECT_GE(of_none.size(), 30U);
  const auto later =
      starting_pictures(*set, 2, std::span(keys).subspan(100, 7), labels.narrow(0, 100, 7));
  EXPECT_TRUE(std::equal(later.begin(), later.end(), chosen.begin() + 100));
  EXPECT_NE(chosen, starting_pictures(*set, 2, sampling_keys(1, 0, 400), labels));
  // A set with other classes has none.
  EXPECT_GE(std::ranges::count_if(starting_pictures(*set, 5, keys, at::zeros({400}, at::kLong)),
                                  [](std::int64_t i) { return i % 2 == 1; }),
            100);
}

TEST(BlurredStart, IsThePictureAtTheStrongestBlur) {
  const auto flow = small_flow();
  const auto set = some_pictures();
  const auto keys = sampling_keys(0, 0, 6);
  const at::Tensor labels = at::full({6}, 2, at::kLong);
  const Start start = blurred_start(*flow, *set, keys, labels);
  const auto chosen = starting_pictures(*set, 2, keys, labels);
  const spectral::Dct dct(side, side, at::kDouble, at::kCPU);
  const at::Tensor kept = (-spectral::laplacian_eigenvalues(side, side) * 9 / 2).exp();
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const at::Tensor x = data::to_unit_range(set->picture(chosen[i])).to(at::kDouble);
    const at::Tensor blurred = dct.inverse(kept * dct.forward(x.unsqueeze(0)))[0];
    const at::Tensor found = start.noise[static_cast<std::int64_t>(i)].to(at::kDouble);
    EXPECT_LE((found - blurred).abs().max().item<double>(), 1e-5);
  }
}

at::Tensor items_of(const flow::Flow& flow, std::int64_t first, std::int64_t count,
                    std::int64_t batch, std::int64_t seed = 3) {
  GenerateOptions options;
  options.solver = ihdm(5);
  options.batch = batch;
  const flow::Given given{.labels = at::arange(first, first + count, at::kLong) % 2,
                          .condition = {}};
  const Start start =
      blurred_start(flow, *some_pictures(), sampling_keys(seed, first, count), given.labels);
  return generate(flow, start, given, options).items;
}

TEST(Ihdm, AnItemIsAFunctionOfItsKeyAlone) {
  const auto flow = small_flow();
  const at::Tensor whole = items_of(*flow, 0, 20, 20);
  EXPECT_TRUE(at::equal(items_of(*flow, 0, 20, 20), whole));
  // A batch changes the rounding of the network's products, and nothing else.
  for (const std::int64_t batch : {1, 7}) {
    EXPECT_TRUE(at::allclose(items_of(*flow, 0, 20, batch), whole, 0, 1e-4)) << batch;
  }
  EXPECT_TRUE(at::allclose(items_of(*flow, 12, 5, 64), whole.narrow(0, 12, 5), 0, 1e-4));
  EXPECT_FALSE(at::allclose(items_of(*flow, 0, 20, 20, 4), whole, 0, 1e-2));
}

// The error in its three parts as one text.
template <typename Action>
std::string refusal_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_FALSE(error.expected().empty() || error.found().empty() || error.hint().empty());
    return error.what();
  }
  return "no error";
}

void expect_refusal(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(Ihdm, WhatDoesNotApplyIsRefused) {
  const auto flow = small_flow();
  const auto keys = sampling_keys(0, 0, 2);
  const at::Tensor labels = at::zeros({2}, at::kLong);
  const flow::Given given{.labels = labels, .condition = {}};
  const Start start = blurred_start(*flow, *some_pictures(), keys, labels);
  expect_refusal(refusal_of([&] { start_from(*flow, keys); }), "blurred pictures");
  for (const Solver solver : {Solver::spectral_2m, Solver::ancestral, Solver::dopri5}) {
    GenerateOptions options;
    options.solver = ihdm(5);
    options.solver.solver = solver;
    expect_refusal(refusal_of([&] { generate(*flow, start, given, options); }), "sample.solver");
  }
  GenerateOptions fewer;
  fewer.solver = ihdm(4);
  expect_refusal(refusal_of([&] { generate(*flow, start, given, fewer); }), "sample.steps = 4");
  GenerateOptions right;
  right.solver = ihdm(5);
  expect_refusal(refusal_of([&] { generate(*flow, start.noise, given, right); }), "stream");
  expect_refusal(refusal_of([&] { generate_between(*flow, 1, 0, start.noise, given, right); }),
                 "likelihood");
  expect_refusal(refusal_of([&] { flow_log_density(*flow, start.noise.flatten(1), given, {}); }),
                 "likelihood");
  expect_refusal(refusal_of([&] { start_on_the_way(*flow, start.noise, start, 0.5); }), "ihdm");
  path::PathOptions linear;
  linear.kind = path::PathKind::linear;
  expect_refusal(refusal_of([&] { check_solver(*path::make_path(linear, 8, 8), ihdm(5)); }),
                 "linear");
}

TEST(BlurredStart, SetsThatDoNotFitAreRefused) {
  const auto flow = small_flow();
  const auto keys = sampling_keys(0, 0, 2);
  const at::Tensor labels = at::ones({2}, at::kLong);
  const auto large =
      data::make_tensor_dataset({.channels = 1, .height = 9, .width = side, .class_names = {}},
                                at::zeros({3, 1, 9, side}, at::kByte), at::zeros({3}, at::kLong));
  expect_refusal(refusal_of([&] { blurred_start(*flow, *large, keys, labels); }), "9 x 8");
  const auto one_class = data::make_tensor_dataset(spec(), at::zeros({3, 1, side, side}, at::kByte),
                                                   at::zeros({3}, at::kLong));
  expect_refusal(refusal_of([&] { blurred_start(*flow, *one_class, keys, labels); }), "class 1");
}

TEST(Ihdm, PathAndPredictionBelongTogether) {
  flow::ModelOptions options = model_options();
  EXPECT_NO_THROW(flow::check_model(options, spec()));
  data::ItemSpec rows{.channels = 2, .height = 1, .width = 1, .class_names = {}};
  rows.kind = data::ItemKind::rows;
  expect_refusal(refusal_of([&] { flow::check_model(options, rows); }), "rows");
  options.objective.loss = objective::Quantity::x;
  expect_refusal(refusal_of([&] { flow::check_model(options, spec()); }), "less-blurred");
  options = model_options();
  options.path.kind = path::PathKind::heat;
  expect_refusal(refusal_of([&] { flow::check_model(options, spec()); }), "less-blurred");
  // A model file that says so is refused, too.
  expect_refusal(refusal_of([&] { flow::Flow(options, spec(), at::kCPU); }), "less-blurred");
  options = model_options();
  options.stages.gammas = {0.5};
  expect_refusal(refusal_of([&] { flow::check_model(options, spec()); }), "chain");
}

}  // namespace
}  // namespace calor::solve
