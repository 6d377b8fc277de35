// What generation costs, and where it ends inside a stage.
#include "calor/solve/generate.h"

#include <gtest/gtest.h>

#include "calor/train/roof.h"

namespace calor::solve {
namespace {

constexpr std::int64_t classes = 3;

flow::Flow small_flow() {
  flow::ModelOptions options;
  options.net.width = 16;
  options.net.depth = 1;
  options.net.heads = 2;
  options.net.context_start = 0;
  flow::Flow flow(options,
                  {.channels = 1,
                   .height = 8,
                   .width = 8,
                   .class_names = std::vector<std::string>(classes, "class")},
                  at::kCPU);
  net::Parameters& weights = flow.stage(0).network().parameters();
  weights.initialise(random_key(0, RandomUse::test));
  weights.flatten(at::kCPU);
  const at::Tensor all = weights.flat().detach();  // the last layer begins with zeros
  all.add_(at::arange(all.numel(), at::kFloat).sin(), 0.1);
  return flow;
}

double operations(const flow::Flow& flow, std::int64_t label, double scale) {
  GenerateOptions options;
  options.solver.steps = 3;
  options.guidance.scale = scale;
  const flow::Given given{.labels = at::full({4}, label, at::kLong), .condition = {}};
  train::ProductRecorder recorder;
  generate(flow, start_from(flow, sampling_keys(0, 0, 4)), given, options);
  double sum = 0;
  for (const auto& product : recorder.noted()) sum += product.flops;
  return sum;
}

TEST(Generate, PaysForGuidanceOnlyWhereThereIsALabel) {
  const flow::Flow flow = small_flow();
  const double plain = operations(flow, classes, 1);
  EXPECT_GT(plain, 0);
  EXPECT_EQ(operations(flow, classes, 2), plain);
  EXPECT_GT(operations(flow, 0, 2), 1.5 * plain);
}

// To a time of the sampler's grid: the state that the sampler itself has there.
TEST(Generate, WithinAStageTakesTheSamplersOwnSteps) {
  const flow::Flow flow = small_flow();
  const auto start = start_from(flow, sampling_keys(0, 0, 4));
  const flow::Given given{.labels = at::arange(4, at::kLong) % classes, .condition = {}};
  for (const Solver solver : {Solver::spectral_2m, Solver::heun, Solver::euler}) {
    GenerateOptions options;
    options.solver.solver = solver;
    options.solver.steps = 6;
    ASSERT_TRUE(steps_within(flow, options.solver));
    std::vector<double> times;
    std::vector<at::Tensor> states;
    generate(flow, start, given, options, {},
             [&](std::int64_t, double t, const at::Tensor& z, const at::Tensor&) {
               times.push_back(t);
               states.push_back(z.clone());
             });
    ASSERT_EQ(times.size(), 6U);
    const auto within = generate_within(flow, 0, 0, times[4], start.noise, given, options);
    EXPECT_EQ(within.nfe, solver == Solver::heun ? 7 : 4);
    if (solver != Solver::heun) {  // whose last step is Euler's
      EXPECT_TRUE(at::equal(within.items, states[4].cpu()));
    }
    const double between = 0.5 * (times[4] + times[5]);
    EXPECT_EQ(generate_within(flow, 0, 0, between, start.noise, given, options).nfe,
              solver == Solver::heun ? 9 : 5);
  }
  GenerateOptions options;
  for (const Solver solver : {Solver::ancestral, Solver::adams}) {
    options.solver.solver = solver;
    EXPECT_FALSE(steps_within(flow, options.solver));
  }
}

}  // namespace
}  // namespace calor::solve
