// Starts on the way from noise to data: the law there in closed form, and what is run from it.
#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "tests/support/linear_flow.h"

namespace calor::solve {
namespace {

// gammas 0.1, 0.3 and a free stage: at border 1 e^-0.1, at border 2 e^-0.4 of the data is left.
TEST(WarmStart, OfAChainIsAtABorder) {
  const auto teacher = test::linear_teacher();
  const flow::Flow& flow = *teacher.flow;
  const at::Tensor x = at::randn({5, 2, 1, 1}, at::detail::createCPUGenerator(1));
  const Start cold = start_from(flow, sampling_keys(0, 0, 5));
  GenerateOptions options = options_from_notes(teacher.notes, "test");
  const flow::Given given{.labels = at::zeros({5}, at::kLong), .condition = {}};
  for (const auto& [depth, border, time] :
       {std::tuple{0.2, std::size_t{1}, 0.1}, {0.34, std::size_t{2}, 0.4}}) {
    const Start warm = start_on_the_way(flow, x, cold, depth);
    const double kept = std::exp(-time);
    test::expect_close(warm.noise, kept * x + std::sqrt(1 - kept * kept) * cold.noise, 1e-6,
                       "states");
    const Generated made = generate(flow, warm, given, options);
    const at::Tensor map = test::linear_map(0, border - 1).to(at::kFloat);
    test::expect_close(made.items.flatten(1), at::mm(warm.noise.flatten(1), map.t()), 1e-4,
                       "items");
    EXPECT_LT(made.nfe, generate(flow, cold, given, options).nfe);
  }
  const Start none = start_on_the_way(flow, x, cold, 0.9);  // the border beyond is noise
  EXPECT_TRUE(at::equal(none.noise, cold.noise));
  EXPECT_EQ(none.depth, 1);
}

// One stage on the linear path.
flow::ModelOptions linear_options() {
  flow::ModelOptions options;
  options.kind = net::NetworkKind::mlp;
  options.mlp.width = 4;
  options.mlp.layers = 1;
  options.path.kind = path::PathKind::linear;
  return options;
}

// Whose network says 0.
flow::Flow silent(const flow::ModelOptions& options) {
  flow::Flow flow(options, test::points_spec(), at::kCPU);
  flow.stage(0).network().parameters().flatten(at::kCPU);
  flow.stage(0).network().parameters().flat().zero_();
  return flow;
}

// A flow of one stage, at t = 1 - depth of the linear path with noise of the scale 2; the network
// says no velocity, so what is made is what was begun with.
TEST(WarmStart, OfOneStageIsOnItsPath) {
  flow::ModelOptions options = linear_options();
  options.path.noise_scale = 2;
  options.objective.prediction = objective::Quantity::v;
  options.objective.t_eps = 0;
  options.objective.blur_term = objective::BlurTerm::exact;
  const flow::Flow flow = silent(options);
  const at::Tensor x = at::randn({5, 2, 1, 1}, at::detail::createCPUGenerator(1));
  const Start cold = start_from(flow, sampling_keys(0, 0, 5));
  const flow::Given given{.labels = at::zeros({5}, at::kLong), .condition = {}};
  GenerateOptions sampling;
  sampling.solver.solver = Solver::midpoint;
  for (const double depth : {0.3, 0.7, 0.75}) {
    const Start warm = start_on_the_way(flow, x, cold, depth);
    test::expect_close(warm.noise, (1 - depth) * x + depth * cold.noise, 1e-6, "states");
    // The steps are shared: 0.7 of 10 are 7, not 8, although 1 - 0.7 is no number of a computer.
    sampling.solver.steps = 10;
    const std::int64_t nfe = generate(flow, warm, given, sampling).nfe;
    EXPECT_EQ(nfe, 2 * std::llround(std::ceil(10 * depth - 1e-9)));
  }
}

// On a grid of fp32 times no step is as short as their rounding.
TEST(WarmStart, TakesNoStepOfRounding) {
  const flow::Flow flow = silent(linear_options());
  const Start warm = start_on_the_way(flow, at::zeros({1, 2, 1, 1}),
                                      start_from(flow, sampling_keys(0, 0, 1)), 0.7);
  GenerateOptions sampling;
  sampling.solver.solver = Solver::euler;
  sampling.solver.steps = 10;
  const flow::Given given{.labels = at::zeros({1}, at::kLong), .condition = {}};
  EXPECT_EQ(generate(flow, warm, given, sampling).nfe, 7);
}

}  // namespace
}  // namespace calor::solve
