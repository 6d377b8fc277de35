#include "calor/solve/stage_field.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/flow/flow.h"
#include "calor/solve/log_density.h"
#include "tests/support/threads.h"

namespace calor::solve {
namespace {

data::ItemSpec rows_of(std::int64_t d) {
  data::ItemSpec spec{.channels = d, .height = 1, .width = 1, .class_names = {}};
  spec.kind = data::ItemKind::rows;
  return spec;
}

flow::Flow random_flow(const flow::ModelOptions& options, std::int64_t d) {
  flow::Flow flow(options, rows_of(d), at::kCPU);
  for (std::size_t n = 0; n < flow.size(); ++n) {
    flow.stage(n).network().parameters().initialise(random_key(n, RandomUse::test));
    flow.stage(n).network().parameters().flatten(at::kCPU);
  }
  return flow;
}

flow::ModelOptions options_for(objective::Quantity prediction, bool chain) {
  flow::ModelOptions options;
  options.kind = net::NetworkKind::mlp;
  options.mlp.width = 24;
  options.mlp.layers = 2;
  options.mlp.activation = net::Activation::silu;
  options.path.kind = path::PathKind::linear;
  options.objective.prediction = prediction;
  options.objective.blur_term = objective::BlurTerm::exact;
  options.objective.t_eps = 0;
  if (chain) options.stages.gammas = {0.4};
  return options;
}

// Tangents of the network, and the path's coefficients, give the divergence that autograd gives of
// the whole velocity: for a network that predicts v and one that predicts the clean item, in a
// chain (fed s, saying dx/ds) and in a flow of one stage (fed t, saying dz/dt). fp32.
TEST(StageField, TangentsAreTheJacobianOfTheVelocity) {
  constexpr std::int64_t d = 5;
  const auto generator = at::detail::createCPUGenerator(1);
  const at::Tensor x = at::randn({40, d}, generator);
  const at::Tensor s = at::rand({40}, generator) * 0.9 + 0.05;
  const at::Tensor w = at::randn({40, 3, d}, generator);
  const flow::Given given{.labels = at::zeros({40}, at::kLong), .condition = {}};
  for (const auto prediction : {objective::Quantity::v, objective::Quantity::x}) {
    for (const bool chain : {false, true}) {
      const flow::Flow flow = random_flow(options_for(prediction, chain), d);
      for (std::size_t n = 0; n < flow.size(); ++n) {
        const StageField field(flow.stage(n), {d, 1, 1}, given, 1e-3);
        const auto [velocity, divergence] = field.with_divergence(s, x);
        const auto [reference, trace] = field.VelocityField::with_divergence(s, x);
        EXPECT_LE((velocity - reference).abs().max().item<double>(), 1e-4);
        EXPECT_LE((divergence - trace).abs().max().item<double>(), 1e-3);
        // w' J w is the same for J and its transpose.
        const auto mine = field.with_products(s, x, w);
        const auto theirs = field.VelocityField::with_products(s, x, w);
        const at::Tensor quadratic = (mine.products * w).sum(2);
        at::Tensor expected = (theirs.products * w).sum(2);
        if (mine.trace_scale.defined()) {
          const at::Tensor shift = mine.trace_shift / static_cast<double>(d);
          expected =
              (expected - shift.unsqueeze(1) * w.square().sum(2)) / mine.trace_scale.unsqueeze(1);
        }
        EXPECT_LE((quadratic - expected).abs().max().item<double>(), 1e-3);
      }
    }
  }
}

// A network that predicts v of a chain says dx/ds itself.
TEST(StageField, AChainsNetworkIsTheFieldItself) {
  const flow::Flow flow = random_flow(options_for(objective::Quantity::v, true), 3);
  const at::Tensor x = at::randn({7, 3}, at::detail::createCPUGenerator(2));
  const at::Tensor s = at::full({7}, 0.25F);
  const flow::Given given{.labels = at::zeros({7}, at::kLong), .condition = {}};
  const StageField field(flow.stage(1), {3, 1, 1}, given, 0);
  auto& network = const_cast<flow::Flow&>(flow).stage(1).network();
  const at::Tensor said = network.forward({.z = x.view({7, 3, 1, 1}), .t = s, .y = given.labels});
  EXPECT_LE((field.velocity(s, x) - said.view({7, 3})).abs().max().item<double>(), 1e-6);
  EXPECT_EQ(field.s_min(), 0);
}

// With step sizes of their own rows arrive one after another, and those that are left keep what
// they are given: each one's density is the one it has alone, though the rows beside it have other
// conditions and need other steps. fp64, tolerances of 1e-8: equal to the rounding of a product
// whose rows are cut in another way.
TEST(StageField, RowsKeepTheirConditions) {
  data::ItemSpec spec = rows_of(3);
  spec.condition_width = 2;
  flow::Flow flow(options_for(objective::Quantity::v, false), spec, at::kCPU);
  net::Parameters& parameters = flow.stage(0).network().parameters();
  parameters.initialise(random_key(5, RandomUse::test));
  parameters.flatten(at::kCPU, at::kDouble);
  const auto generator = at::detail::createCPUGenerator(3);
  parameters.flat().add_(0.1 * at::randn(parameters.flat().sizes(), generator));
  const at::Tensor x =
      at::randn({6, 3}, generator, at::kDouble) * at::tensor({.1, 1., 4., 2., .5, 3.}).view({6, 1});
  const flow::Given given{.labels = at::zeros({6}, at::kLong),
                          .condition = 3 * at::randn({6, 2}, generator)};
  const LogDensityOptions options{
      .transport = {.ode = {.rtol = 1e-8, .atol = 1e-8, .per_row = true}}};
  const auto density_of = [&](const at::Tensor& points, const flow::Given& own) {
    const StageField field(flow.stage(0), {3, 1, 1}, own, 0);
    const VelocityField* const stages[] = {&field};
    return log_density(stages, points, options).log_density;
  };
  const at::Tensor together = density_of(x, given);
  for (std::int64_t i = 0; i < 6; ++i) {
    const at::Tensor alone = density_of(x.narrow(0, i, 1), given.narrow(i, 1));
    EXPECT_NEAR(together[i].item<double>(), alone.item<double>(), 1e-10) << i;
  }
  // The conditions matter: with another row's the density is another.
  const at::Tensor other = density_of(x.narrow(0, 0, 1), given.narrow(1, 1));
  EXPECT_GT(std::abs(together[0].item<double>() - other.item<double>()), 1e-3);
}

// Networks of pictures see many rows a few at a time. Which rows lie beside a row changes its
// rounding only, and the number of threads nothing. 70 rows: two slices and a piece.
TEST(StageField, OfManyPicturesDoesNotDependOnThreads) {
  flow::ModelOptions options;
  options.path.kind = path::PathKind::heat;
  options.net.width = 32;
  options.net.depth = 2;
  options.net.heads = 2;
  options.net.patch = 4;
  options.net.bottleneck = 8;
  const data::ItemSpec pictures{
      .channels = 1, .height = 8, .width = 8, .class_names = {"one", "other"}};
  flow::Flow flow(options, pictures, at::kCPU);
  flow.stage(0).network().parameters().initialise(random_key(0, RandomUse::test));
  flow.stage(0).network().parameters().flatten(at::kCPU);
  const auto generator = at::detail::createCPUGenerator(1);
  flow.stage(0).network().parameters().flat().add_(
      0.05 * at::randn(flow.stage(0).network().parameters().flat().sizes(), generator));
  const at::Tensor x = at::randn({70, 64}, generator);
  const at::Tensor s = at::rand({70}, generator) * 0.9 + 0.05;
  const flow::Given given{.labels = at::arange(70, at::kLong) % 2, .condition = {}};
  const StageField field(flow.stage(0), {1, 8, 8}, given, 1e-3);
  const at::Tensor whole = field.velocity(s, x).detach();
  const auto runs = test::on_threads({1, 2, 3}, [&] {
    const c10::NoGradGuard no_grad;
    return field.velocity(s, x);
  });
  EXPECT_FALSE(runs[0].requires_grad());
  EXPECT_TRUE(at::equal(runs[0], runs[1]));
  EXPECT_TRUE(at::equal(runs[0], runs[2]));
  EXPECT_LE((runs[0] - whole).norm().item<double>(), 1e-5 * whole.norm().item<double>());
  EXPECT_GT(whole.select(0, 1).sub(whole.select(0, 2)).abs().max().item<double>(), 1e-3);
}

}  // namespace
}  // namespace calor::solve
