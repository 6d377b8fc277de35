// What generation costs, and where it ends inside a stage.
#include "calor/solve/generate.h"

#include <gtest/gtest.h>

#include "calor/core/error.h"
#include "calor/train/roof.h"

namespace calor::solve {
namespace {

constexpr std::int64_t classes = 3;

flow::Flow small_flow(const std::vector<double>& gammas = {}) {
  flow::ModelOptions options;
  options.stages.gammas = gammas;
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
  for (std::size_t n = 0; n < flow.size(); ++n) {
    net::Parameters& weights = flow.stage(n).network().parameters();
    weights.initialise(random_key(0, RandomUse::test));
    weights.flatten(at::kCPU);
    const at::Tensor all = weights.flat().detach();  // the last layer begins with zeros
    all.add_(at::arange(all.numel(), at::kFloat).sin(), 0.1);
  }
  return flow;
}

double operations(const flow::Flow& flow, std::int64_t label,
                  const flow::GuidanceOptions& guidance) {
  GenerateOptions options;
  options.solver.solver = Solver::euler;
  options.solver.steps = 4;
  options.guidance = guidance;
  const flow::Given given{.labels = at::full({4}, label, at::kLong), .condition = {}};
  train::ProductRecorder recorder;
  generate(flow, start_from(flow, sampling_keys(0, 0, 4)), given, options);
  double sum = 0;
  for (const auto& product : recorder.noted()) sum += product.flops;
  return sum;
}

TEST(Generate, PaysForGuidanceOnlyWhereThereIsALabel) {
  const flow::Flow flow = small_flow();
  const double plain = operations(flow, classes, {});
  EXPECT_GT(plain, 0);
  EXPECT_EQ(operations(flow, classes, {.scale = 2}), plain);
  EXPECT_GT(operations(flow, 0, {.scale = 2}), 1.5 * plain);
}

// Two stages of two steps: the second half of the chain's time is all of one stage.
TEST(Generate, GuidesAChainInTheChainsTime) {
  const flow::Flow flow = small_flow({0.3});
  const double plain = operations(flow, 0, {});
  const double all = operations(flow, 0, {.scale = 2});
  EXPECT_NEAR(operations(flow, 0, {.scale = 2, .lo = 0.5}), (plain + all) / 2, 1e-9 * all);
  EXPECT_NEAR(operations(flow, 0, {.scale = 2, .hi = 0.5}), (plain + all) / 2, 1e-9 * all);
}

TEST(Generate, RefusesAnIntervalOfGuidanceThatEndsBeforeItBegins) {
  const flow::Flow flow = small_flow();
  GenerateOptions options;
  options.guidance = {.scale = 2, .lo = 0.9, .hi = 0.1};
  EXPECT_THROW(check_sampling(flow, options), Error);
  options.guidance.hi = 1;
  EXPECT_NO_THROW(check_sampling(flow, options));
}

// At times of the sampler's own grid: the states that the sampler itself has there. A time between
// is between.
TEST(Generate, TheWayIsTheSamplersOwn) {
  const flow::Flow flow = small_flow();
  const auto start = start_from(flow, sampling_keys(0, 0, 5));
  const flow::Given given{.labels = at::arange(5, at::kLong) % classes, .condition = {}};
  for (const Solver solver : {Solver::spectral_2m, Solver::heun, Solver::euler}) {
    GenerateOptions options;
    options.solver.solver = solver;
    options.solver.steps = 6;
    ASSERT_TRUE(has_way(flow, options.solver));
    std::vector<double> times;
    std::vector<at::Tensor> states;
    generate(flow, start, given, options, {},
             [&](std::int64_t, double t, const at::Tensor& z, const at::Tensor&) {
               times.push_back(t);
               states.push_back(z.cpu().clone());
             });
    ASSERT_EQ(times.size(), 6U);
    options.batch = 2;  // batches change nothing
    const auto way = generate_way(flow, {times[2], times[4]}, start.noise, given, options);
    EXPECT_EQ(way.sizes(), (std::vector<std::int64_t>{5, 2, 1, 8, 8}));
    EXPECT_LE((way.select(1, 0) - states[2]).abs().max().item<double>(), 1e-6);
    // heun ends with an Euler step, here as at the data.
    const double tolerance = solver == Solver::heun ? 0.1 : 1e-6;
    EXPECT_LE((way.select(1, 1) - states[4]).abs().max().item<double>(), tolerance);
    const auto between =
        generate_way(flow, {0.5 * (times[4] + times[5])}, start.noise, given, options);
    EXPECT_GT((between.select(1, 0) - states[4]).abs().max().item<double>(), 1e-3);
    EXPECT_GT((between.select(1, 0) - states[5]).abs().max().item<double>(), 1e-3);
  }
  GenerateOptions options;
  for (const Solver solver : {Solver::ancestral, Solver::adams}) {
    options.solver.solver = solver;
    EXPECT_FALSE(has_way(flow, options.solver));
  }
}

}  // namespace
}  // namespace calor::solve
