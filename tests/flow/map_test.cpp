// A student's maps: one evaluation between any two times, and a whole map as several of them.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "calor/flow/flow.h"
#include "tests/support/linear_flow.h"

namespace calor::flow {
namespace {

at::Tensor states(std::int64_t n, const data::ItemSpec& items, std::uint64_t seed = 5) {
  return at::randn({n, items.channels, items.height, items.width},
                   at::detail::createCPUGenerator(seed));
}

Given nothing(std::int64_t n) { return {.labels = at::zeros({n}, at::kLong), .condition = {}}; }

double farthest(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

ModelOptions one_stage(objective::Quantity prediction, std::int64_t evaluations) {
  ModelOptions model = test::linear_config(1).model;
  model.stages.gammas = {};
  model.stages.maps = true;
  model.stages.evaluations = evaluations;
  model.path.kind = path::PathKind::linear;
  model.objective.prediction = prediction;
  return model;
}

at::Tensor between(const Stage& stage, const at::Tensor& z, const at::Tensor& from,
                   const at::Tensor& to) {
  const c10::NoGradGuard no_grad;
  net::ForwardContext context;
  return stage.map_between(z, from, to, nothing(z.size(0)), context);
}

// A velocity c + M z: Euler's step. A clean item c + M z: (S_u/S_t) z + (A_u - A_t S_u/S_t) x^ on
// the straight path, A = t and S = 1 - t.
TEST(StudentMap, StepsAreThoseOfEulerAndOfTheStraightPath) {
  const at::Tensor matrix = at::tensor({0.5F, 0.1F, -0.2F, 0.8F}).view({2, 2});
  const at::Tensor shift = at::tensor({0.3F, -0.4F});
  const at::Tensor from = at::tensor({0.0F, 0.25F, 0.5F});
  const at::Tensor to = at::tensor({0.5F, 0.75F, 1.0F});
  const at::Tensor t = from.view({3, 1}), u = to.view({3, 1});
  for (const auto prediction : {objective::Quantity::v, objective::Quantity::x}) {
    Flow flow(one_stage(prediction, 1), test::points_spec(), at::kCPU);
    test::say_linear(flow.stage(0), matrix, shift);
    const at::Tensor z = states(3, flow.items());
    const at::Tensor x = z.flatten(1);
    const at::Tensor said = at::mm(x, matrix.t()) + shift;
    const at::Tensor kept = (1 - u) / (1 - t);
    const at::Tensor wanted = prediction == objective::Quantity::v
                                  ? x + (u - t) * said
                                  : kept * x + (u - t * kept) * said;
    EXPECT_LE(farthest(between(flow.stage(0), z, from, to).flatten(1), wanted), 1e-6);
  }
}

// Exactly the state itself, whatever the network says, on a path with a blur, too.
TEST(StudentMap, NoWayChangesNothing) {
  const at::Tensor times = at::tensor({0.0F, 0.3F, 1.0F});
  for (const auto prediction : {objective::Quantity::v, objective::Quantity::x}) {
    Flow flow(one_stage(prediction, 1), test::points_spec(), at::kCPU);
    test::say_linear(flow.stage(0), 3 * at::eye(2), at::ones({2}));
    const at::Tensor z = states(3, flow.items());
    EXPECT_TRUE(between(flow.stage(0), z, times, times).equal(z));
  }
  ModelOptions model = one_stage(objective::Quantity::x, 1);
  model.path.kind = path::PathKind::heat;
  data::ItemSpec pictures{.channels = 1, .height = 4, .width = 4, .class_names = {}};
  Flow flow(model, pictures, at::kCPU);
  flow.stage(0).network().parameters().initialise(random_key(1, RandomUse::test));
  const at::Tensor z = states(3, pictures);
  EXPECT_LE(farthest(between(flow.stage(0), z, times, times), z), 1e-5);  // there and back by DCT
}

TEST(StudentMap, IsItsEvaluationsOneAfterAnother) {
  for (const auto prediction : {objective::Quantity::v, objective::Quantity::x}) {
    Flow flow(one_stage(prediction, 4), test::points_spec(), at::kCPU);
    test::say_linear(flow.stage(0), 0.5 * at::eye(2), at::ones({2}));
    const Stage& stage = flow.stage(0);
    EXPECT_EQ(stage.evaluations(), 4);
    const at::Tensor start = states(6, flow.items());
    at::Tensor z = start;
    for (std::size_t k = 0; k < 4; ++k) {
      z = between(stage, z, at::full({6}, stage.map_times()[k], at::kFloat),
                  at::full({6}, stage.map_times()[k + 1], at::kFloat));
    }
    const c10::NoGradGuard no_grad;
    EXPECT_TRUE(stage.map(start, nothing(6)).equal(z));
    const auto made = solve::generate(flow, start, nothing(6), {});
    EXPECT_EQ(made.nfe, 4);
    EXPECT_TRUE(made.items.equal(z));
  }
}

}  // namespace
}  // namespace calor::flow
