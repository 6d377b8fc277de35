#include "calor/objective/objective.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "calor/net/jit.h"
#include "calor/path/paths.h"
#include "calor/path/stage_path.h"
#include "tests/support/golden.h"

namespace calor::objective {
namespace {

struct Example {
  at::Tensor x, noise, guess, t;

  explicit Example(at::ScalarType type, std::int64_t side = 12) {
    const auto generator = at::detail::createCPUGenerator(11);
    const auto draw = [&] {
      return at::randn({5, 2, side, side}, generator, at::TensorOptions(at::kDouble)).to(type);
    };
    x = draw();
    noise = draw();
    guess = x + 0.5 * draw();
    t = at::tensor({0.1, 0.37, 0.5, 0.8, 0.97}, at::kDouble).to(type);
  }
};

Objective make(ObjectiveOptions options, std::unique_ptr<path::SpectralPath> path,
               at::ScalarType type, std::int64_t side = 12) {
  const path::TrainingTimes times({}, 1);
  return {options, path::PictureSpace(std::move(path), side, side, type, at::kCPU), times};
}

ObjectiveOptions with(Quantity prediction, Quantity loss, BlurTerm blur_term = BlurTerm::exact) {
  ObjectiveOptions options;
  options.prediction = prediction;
  options.loss = loss;
  options.blur_term = blur_term;
  return options;
}

// The long form: both velocities in pixels, squared difference.
void expect_loss_is_the_long_form(at::ScalarType type, double tolerance) {
  for (const BlurTerm blur_term : {BlurTerm::paper, BlurTerm::exact}) {
    const Objective objective =
        make(with(Quantity::x, Quantity::v, blur_term), path::heat_path("heat", 0.5), type);
    const Example e(type);
    const at::Tensor z = objective.noisy(e.x, e.noise, e.t);
    const at::Tensor difference =
        objective.velocity(e.x, z, e.t) - objective.velocity(e.guess, z, e.t);
    const at::Tensor expected = difference.square().mean({1, 2, 3});
    const at::Tensor loss = objective.loss(objective.target(e.x, z, e.noise, e.t), e.guess, e.t);
    EXPECT_LE(((loss - expected).abs() / expected).max().item<double>(), tolerance);
  }
}

TEST(Objective, OneTransformLossIsTheLongForm) {
  expect_loss_is_the_long_form(at::kDouble, 1e-12);
  expect_loss_is_the_long_form(at::kFloat, 1e-5);
}

// Converting the true target of any prediction gives back the clean picture where nothing is
// clipped.
TEST(Objective, ConversionsInvertTargets) {
  std::vector<std::function<std::unique_ptr<path::SpectralPath>()>> paths{
      [] { return path::heat_path("linear", 0); }, [] { return path::heat_path("heat", 0.02); },
      [] { return path::trigonometric_path(); },
      [] { return path::variance_preserving_path(0.1, 20); }};
  const Example e(at::kDouble);
  const at::Tensor t = at::tensor({0.6, 0.7, 0.75, 0.8, 0.9}, at::kDouble);
  for (const auto& path : paths) {
    for (const Quantity prediction : {Quantity::x, Quantity::v, Quantity::eps}) {
      const Objective objective = make(with(prediction, Quantity::v), path(), at::kDouble);
      const at::Tensor z = objective.noisy(e.x, e.noise, t);
      const at::Tensor clean = objective.clean(objective.target(e.x, z, e.noise, t), z, t);
      EXPECT_TRUE(at::allclose(clean, e.x, 0, 1e-10)) << objective.space().path->name();
    }
  }
}

// The weight's definition: the loss of a prediction equals the squared difference of the loss
// quantity computed through the clean pictures.
TEST(Objective, WeightsConnectPredictionAndLoss) {
  const Example e(at::kDouble);
  const at::Tensor t = at::tensor({0.6, 0.7, 0.75, 0.8, 0.9}, at::kDouble);
  for (const double a : {0.0, 0.02}) {
    for (const Quantity prediction : {Quantity::x, Quantity::v, Quantity::eps}) {
      for (const Quantity quantity : {Quantity::x, Quantity::v, Quantity::eps}) {
        const Objective objective =
            make(with(prediction, quantity), path::heat_path("heat", a), at::kDouble);
        const at::Tensor z = objective.noisy(e.x, e.noise, t);
        const at::Tensor target = objective.target(e.x, z, e.noise, t);
        const at::Tensor guess = target + 0.3 * e.guess;
        const at::Tensor x = objective.clean(guess, z, t);
        // The loss quantity of a clean picture: itself, its velocity, or the noise that explains z.
        const auto quantity_of = [&](const at::Tensor& clean) {
          if (quantity == Quantity::x) return clean;
          if (quantity == Quantity::v) return objective.velocity(clean, z, t);
          const at::Tensor time = t.reshape({-1, 1, 1, 1});
          const auto& space = objective.space();
          const at::Tensor signal =
              space.multiply(space.path->log_a(time, space.lambda).exp(), clean);
          return (z - signal) / space.path->log_s(time, space.lambda).exp();
        };
        const at::Tensor expected = (quantity_of(e.x) - quantity_of(x)).square().mean({1, 2, 3});
        const at::Tensor loss = objective.loss(target, guess, t);
        EXPECT_TRUE(at::allclose(loss, expected, 1e-9))
            << "a " << a << " prediction " << static_cast<int>(prediction) << " loss "
            << static_cast<int>(quantity);
      }
    }
  }
}

// Along an OU step S' is sqrt(gamma/(2 s)) near the data, whose square has no finite mean. By u, s
// = u^2, it is 4 s gamma^2 e^(-4 gamma s)/(1 - e^(-2 gamma s)), which falls from 2 gamma.
TEST(Objective, VelocitiesByTheRootOfTimeHaveAFiniteMean) {
  constexpr double gamma = 0.3;
  path::TimeOptions law;
  law.law = path::TimeLaw::square;
  ObjectiveOptions options = with(Quantity::v, Quantity::v);
  options.t_eps = 0;
  const path::StageStep step{.free = false, .gamma = gamma, .start = 0};
  const Objective objective(
      options,
      path::PictureSpace(path::stage_path(path::InnerPath::ou, step), 1, 1, at::kDouble, at::kCPU),
      path::TrainingTimes(law, 1));
  const at::Tensor t = 1 - at::logspace(-7, 0, 50, 10, at::kDouble);
  const at::Tensor slope =
      objective.space().path->slopes(t, at::zeros({1}, at::kDouble)).s.square();
  const at::Tensor weighed = slope * objective.weight(t).flatten();
  EXPECT_NEAR(weighed[0].item<double>(), 2 * gamma, 1e-6);
  EXPECT_LE(weighed.max().item<double>(), 2 * gamma * (1 + 1e-6));
  EXPECT_GT(slope[0].item<double>(), 1e6);
}

// The blur term is one of paths that blur; at the data a velocity has no denominator.
TEST(Objective, PredictsThePathsOwnVelocity) {
  const auto made = [](double a, BlurTerm blur_term) {
    ObjectiveOptions options = with(Quantity::v, Quantity::v, blur_term);
    options.t_eps = 0;
    return make(options, path::heat_path(a > 0 ? "heat" : "linear", a), at::kDouble);
  };
  EXPECT_TRUE(made(0, BlurTerm::paper).predicts_exact_velocity());
  EXPECT_TRUE(made(0.5, BlurTerm::exact).predicts_exact_velocity());
  EXPECT_FALSE(made(0.5, BlurTerm::paper).predicts_exact_velocity());
  const Example e(at::kDouble);
  const at::Tensor end = at::ones({5}, at::kDouble);
  for (const double a : {0.0, 0.5}) {
    const Objective objective = made(a, BlurTerm::exact);
    const at::Tensor clean = objective.clean(objective.target(e.x, e.x, e.noise, end), e.x, end);
    EXPECT_LE((clean - e.x).abs().max().item<double>(), 1e-4);  // 1e-6 of the velocity
  }
}

// At balance 1 every frequency has the same mean weight; the mean over all frequencies is kept.
TEST(Objective, BalanceEvensOutTheMeanWeight) {
  path::TimeOptions time_options;
  time_options.mixture = 0.5;
  const path::TrainingTimes times(time_options, 10.9);
  const auto mean_weight = [&](double balance) {
    ObjectiveOptions options = with(Quantity::x, Quantity::v);
    options.balance = balance;
    const Objective objective(
        options, path::PictureSpace(path::heat_path("heat", 0.5), 8, 8, at::kDouble, at::kCPU),
        times);
    const auto q = times.quadrature();
    return (objective.weight(q.t) * q.probability.reshape({-1, 1, 1, 1}))
        .sum(at::IntArrayRef{0, 1});
  };
  const at::Tensor none = mean_weight(0);
  const at::Tensor half = mean_weight(0.5);
  const at::Tensor full = mean_weight(1);
  EXPECT_NEAR((full.max() / full.min()).item<double>(), 1, 1e-9);
  EXPECT_NEAR((full.mean() / none.mean()).item<double>(), 1, 1e-9);
  EXPECT_TRUE(at::allclose(half / half.mean(), none.sqrt() / none.sqrt().mean(), 1e-9));
}

// On a path of levels: the picture one level on, in units of the noise.
TEST(Objective, TheLessBlurredPictureIsOneLevelOn) {
  const path::Levels levels{.levels = 10, .sigma_max = 6};
  const Objective objective = make(with(Quantity::less_blurred, Quantity::less_blurred),
                                   path::ihdm_path(levels), at::kDouble);
  Example e(at::kDouble);
  e.t = at::tensor({0.0, 0.2, 0.5, 0.8, 0.9}, at::kDouble);
  const path::PictureSpace& space = objective.space();
  const auto blurred = [&](const at::Tensor& t) {
    return space.dct.inverse(space.path->log_a(t.view({-1, 1, 1, 1}), space.lambda).exp() *
                             space.dct.forward(e.x));
  };
  const at::Tensor z = objective.noisy(e.x, e.noise, e.t);
  EXPECT_LE((z - blurred(e.t) - 0.02 * e.noise).abs().max().item<double>(), 1e-13);
  const at::Tensor next = blurred(e.t + 0.1);
  EXPECT_TRUE(at::allclose(next[4], e.x[4], 0, 1e-12));  // the last level is the picture
  const at::Tensor target = objective.target(e.x, z, e.noise, e.t);
  EXPECT_LE((target - (next - z) / 0.02).abs().max().item<double>(), 1e-10);
  EXPECT_LE((objective.clean(target, z, e.t) - next).abs().max().item<double>(), 1e-12);
  const at::Tensor loss = objective.loss(target, e.guess, e.t);
  const at::Tensor expected = (target - e.guess).square().mean({1, 2, 3});
  EXPECT_LE(((loss - expected) / expected).abs().max().item<double>(), 1e-13);
}

TEST(Objective, LayerSimilarityIsACosineWithoutGradientIntoTheLaterBlock) {
  const auto generator = at::detail::createCPUGenerator(4);
  const at::Tensor early = at::randn({2, 5, 8}, generator).set_requires_grad(true);
  const at::Tensor late = at::randn({2, 5, 8}, generator).set_requires_grad(true);
  const at::Tensor similarity = layer_similarity(early, late);
  const at::Tensor expected =
      ((early * late).sum(-1) / (early.norm(2, -1) * late.norm(2, -1))).mean();
  EXPECT_NEAR(similarity.item<double>(), expected.item<double>(), 1e-6);
  similarity.backward();
  EXPECT_TRUE(early.grad().defined());
  EXPECT_FALSE(late.grad().defined());
}

TEST(Golden, HdfmLoss) {
  CALOR_GOLDEN(golden, "hdfm_small.safetensors");
  CALOR_GOLDEN(weights, "jit_small_weights.safetensors");
  const Objective objective = make(with(Quantity::x, Quantity::v, BlurTerm::paper),
                                   path::heat_path("heat", 0.5), at::kFloat, 16);
  const at::Tensor x = golden.at("loss.x");
  const at::Tensor noise = golden.at("loss.noise");
  const at::Tensor t = golden.at("loss.t");
  const at::Tensor z = objective.noisy(x, noise, t);
  test::expect_close(z, golden.at("loss.z_t"), 1e-5, "z_t");
  test::expect_close(objective.velocity(x, z, t), golden.at("loss.v_target"), 1e-5, "v_target");
  const auto network =
      net::make_jit(test::golden_jit, {.channels = 3, .height = 16, .width = 16, .classes = 5});
  network->parameters().load(weights.tensors, "golden");
  const at::Tensor prediction = network->forward({.z = z, .t = t, .y = golden.at("loss.y")});
  test::expect_close(prediction, golden.at("loss.x_pred"), 1e-5, "x_pred");
  test::expect_close(objective.velocity(prediction, z, t), golden.at("loss.v_pred"), 1e-5,
                     "v_pred");
  const at::Tensor loss = objective.loss(objective.target(x, z, noise, t), prediction, t);
  const at::Tensor expected = golden.at("loss.loss_per_sample");
  EXPECT_LE(((loss - expected).abs() / expected).max().item<double>(), 1e-5);
  EXPECT_NEAR(loss.mean().item<double>() / golden.at("loss.loss").item<double>(), 1, 1e-5);
}

}  // namespace
}  // namespace calor::objective
