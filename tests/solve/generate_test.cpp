// What generation costs.
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

}  // namespace
}  // namespace calor::solve
