// Policies in a loop: what a controller does with its observations, and that episodes are functions
// of their seeds.
#include "calor/policy/controller.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <type_traits>

#include "calor/core/error.h"
#include "calor/policy/rollout.h"

namespace calor::policy {
namespace {

data::RangeScaler unit_range(std::int64_t width) {
  return data::RangeScaler::fit(at::tensor({-1.0, 1.0}).unsqueeze(1).repeat({1, width}));
}

// An untrained network for the task with two ways: chunks of 8 actions of 2 numbers from 2
// observations of 2, of which 4 are executed.
std::shared_ptr<Policy> untrained() {
  flow::ModelOptions options;
  options.path.kind = path::PathKind::linear;
  options.kind = net::NetworkKind::chunk_unet;
  options.chunk = {.widths = {8, 16}, .groups = 4, .embedding = 8};
  options.objective.prediction = objective::Quantity::v;
  const data::ItemSpec items{.channels = 2,
                             .height = 1,
                             .width = 8,
                             .class_names = {},
                             .kind = data::ItemKind::rows,
                             .condition_width = 4};
  auto policy = std::make_shared<Policy>();
  policy->flow = std::make_unique<flow::Flow>(options, items, at::kCPU);
  net::Parameters& parameters = policy->flow->stage(0).network().parameters();
  parameters.initialise(random_key(0, RandomUse::test));
  parameters.flatten(at::kCPU);
  policy->codec.options.history = 2;
  policy->codec.options.chunk = 8;
  policy->codec.options.execute = 4;
  policy->codec.actions = unit_range(2);
  policy->codec.observations = unit_range(2);
  policy->sampling.solver.solver = solve::Solver::euler;
  policy->sampling.solver.steps = 2;
  return policy;
}

std::vector<double> copy(const Action& action) {
  return {action.values.begin(), action.values.end()};
}

TEST(Controller, CarriesOutItsPlanThenDecidesAgain) {
  Controller controller(untrained());
  controller.reset(3);
  EXPECT_EQ(controller.act().status, ActionStatus::not_observed);
  for (std::int64_t step = 0; step < 9; ++step) {
    controller.observe(std::vector<double>{0.1 * static_cast<double>(step), -0.5});
    const Action action = controller.act();
    ASSERT_EQ(action.status, ActionStatus::decided) << controller.error();
    EXPECT_EQ(controller.decisions().size(), static_cast<std::size_t>(step / 4 + 1));
    // The first executed action is that of the newest observation's step.
    const at::Tensor planned = controller.plan()[1 + step % 4];
    EXPECT_EQ(copy(action)[0], planned[0].item<double>());
    EXPECT_EQ(copy(action)[1], planned[1].item<double>());
  }
  EXPECT_EQ(controller.decisions().front().nfe, 2);
}

TEST(Controller, IsAFunctionOfSeedAndObservations) {
  const auto policy = untrained();
  const auto first = [&](std::uint64_t seed, std::vector<double> before, double x) {
    Controller controller(policy);
    controller.reset(seed);
    if (!before.empty()) controller.observe(before);
    controller.observe(std::vector<double>{x, 0});
    return copy(controller.act());
  };
  EXPECT_EQ(first(1, {}, 0.2), first(1, {}, 0.2));
  EXPECT_NE(first(1, {}, 0.2), first(2, {}, 0.2));
  EXPECT_NE(first(1, {}, 0.2), first(1, {}, 0.3));
  // The first observation stands for those before it.
  EXPECT_EQ(first(1, {}, 0.2), first(1, {0.2, 0}, 0.2));
  EXPECT_NE(first(1, {}, 0.2), first(1, {0.1, 0}, 0.2));
}

// A sampler that draws noise on its way draws that of the decision: another at each, the same again
// for the same seed.
TEST(Controller, StepsOfASamplerWithNoiseAreOfTheDecision) {
  const auto policy = untrained();
  policy->sampling.solver.solver = solve::Solver::ancestral;
  policy->sampling.solver.steps = 5;
  policy->sampling.solver.clip_data = true;
  const auto plans = [&](std::uint64_t seed) {
    Controller controller(policy);
    controller.reset(seed);
    std::vector<at::Tensor> made;
    for (int step = 0; step < 8; ++step) {
      controller.observe(std::vector<double>{0.3, 0.1});
      EXPECT_EQ(controller.act().status, ActionStatus::decided) << controller.error();
      if (step % 4 == 0) made.push_back(controller.plan());
    }
    EXPECT_EQ(controller.decisions().back().nfe, 5);
    return at::stack(made);
  };
  const at::Tensor first = plans(1);
  EXPECT_TRUE(at::equal(first, plans(1)));
  EXPECT_FALSE(at::equal(first, plans(2)));
  EXPECT_FALSE(at::equal(first[0], first[1]));
  EXPECT_LE(first.abs().max().item<double>(), 1);
}

TEST(Controller, ReportsBadObservationsAndHoldsTheLastAction) {
  Controller controller(untrained());
  controller.reset(0);
  controller.observe(std::vector<double>{NAN, 0});
  EXPECT_EQ(controller.act().status, ActionStatus::bad_observation);
  EXPECT_TRUE(controller.act().values.empty());
  controller.observe(std::vector<double>{0, 0});
  const auto good = copy(controller.act());
  for (const std::vector<double>& bad :
       {std::vector<double>{0, INFINITY}, std::vector<double>{0}, std::vector<double>{0, 0, 0}}) {
    controller.observe(bad);
    const Action held = controller.act();
    EXPECT_EQ(held.status, ActionStatus::bad_observation);
    EXPECT_EQ(copy(held), good);
  }
  controller.observe(std::vector<double>{0, 0});
  EXPECT_EQ(controller.act().status, ActionStatus::decided);
}

TEST(Controller, StopsAfterABadObservationWhereAsked) {
  Controller controller(untrained(), {.on_bad_observation = BadObservation::stop});
  controller.reset(0);
  EXPECT_EQ(controller.act().status, ActionStatus::not_observed);
  controller.observe(std::vector<double>{0, 0});
  EXPECT_EQ(controller.act().status, ActionStatus::decided);
  controller.observe(std::vector<double>{NAN, 0});
  EXPECT_EQ(controller.act().status, ActionStatus::bad_observation);
  controller.observe(std::vector<double>{0, 0});
  EXPECT_EQ(controller.act().status, ActionStatus::stopped);
  EXPECT_TRUE(controller.act().values.empty());
  controller.reset(0);
  controller.observe(std::vector<double>{0, 0});
  EXPECT_EQ(controller.act().status, ActionStatus::decided);
}

TEST(Controller, TakesAsManyStepsAsFitItsBudget) {
  const auto policy = untrained();
  policy->sampling.solver.steps = 4;
  Controller patient(policy);
  const Budget all = patient.fit_to_budget(1e6, 2);
  EXPECT_EQ(all.nfe, 4);
  EXPECT_EQ(all.steps, 4);
  EXPECT_GT(all.worst_ms, 0);
  patient.observe(std::vector<double>{0, 0});
  EXPECT_FALSE(patient.act().late);
  EXPECT_EQ(patient.decisions().front().nfe, 4);

  Controller hasty(policy);
  EXPECT_THROW(hasty.fit_to_budget(1e-6, 1), Error);  // nothing takes a nanosecond
  // 4,000 steps take far longer than twice what 4 may take at most, whatever the machine does.
  policy->sampling.solver.steps = 4000;
  Controller many(policy);
  const Budget some = many.fit_to_budget(2 * all.worst_ms + 5, 1);
  EXPECT_LT(some.steps, 4000);
  EXPECT_GE(some.steps, 1);
  EXPECT_LE(some.worst_ms, 2 * all.worst_ms + 5);
  EXPECT_EQ(many.sampling().solver.steps, some.steps);
  many.observe(std::vector<double>{0, 0});
  many.act();
  EXPECT_EQ(many.decisions().front().nfe, some.nfe);
  policy->sampling.solver.steps = 4;
  Controller late(policy, {.budget_ms = 1e-6});
  late.observe(std::vector<double>{0, 0});
  EXPECT_TRUE(late.act().late);
  EXPECT_FALSE(late.act().late);  // an action of the plan that is there

  policy->sampling.solver.solver = solve::Solver::dopri5;
  Controller adaptive(policy);
  EXPECT_THROW(adaptive.fit_to_budget(1e6, 1), Error);
}

// The plans of two decisions in a row, by a network that says no velocity, so that a plan is what
// it began with.
std::array<at::Tensor, 2> two_plans(const ControlOptions& options) {
  const auto policy = untrained();
  policy->sampling.solver.steps = 8;
  policy->flow->stage(0).network().parameters().flat().zero_();
  Controller controller(policy, options);
  controller.reset(5);
  std::array<at::Tensor, 2> plans;
  for (std::int64_t step = 0; step < 5; ++step) {
    controller.observe(std::vector<double>{0, 0});
    EXPECT_EQ(controller.act().status, ActionStatus::decided) << controller.error();
    plans.at(static_cast<std::size_t>(step / 4)) = controller.plan();
  }
  EXPECT_EQ(controller.decisions().back().nfe,
            options.warm_start == WarmStart::plan ? 6 : 8);  // three quarters of the way
  return plans;
}

TEST(Controller, CanBeginWithWhatTheDecisionBeforeHad) {
  const auto cold = two_plans({});
  const auto noise = two_plans({.warm_start = WarmStart::noise});
  const auto plan = two_plans({.warm_start = WarmStart::plan, .warm_depth = 0.75});
  EXPECT_TRUE(at::equal(noise[0], cold[0]));
  EXPECT_TRUE(at::equal(plan[0], cold[0]));
  // Four actions are executed: the other four come first, the last four are new.
  EXPECT_TRUE(at::allclose(noise[1].narrow(0, 0, 4), cold[0].narrow(0, 4, 4), 0, 1e-6));
  EXPECT_TRUE(at::allclose(noise[1].narrow(0, 4, 4), cold[1].narrow(0, 4, 4), 0, 1e-6));
  // The plan before, its last action held, at t = 1/4 of the linear path.
  const at::Tensor moved =
      at::cat({cold[0].narrow(0, 4, 4), cold[0].narrow(0, 7, 1).expand({4, 2})});
  EXPECT_TRUE(at::allclose(plan[1], 0.25 * moved + 0.75 * cold[1], 0, 1e-5));
}

TEST(Controller, RefusesADescriptionThatDoesNotFit) {
  static_assert(!std::is_copy_constructible_v<Controller>);  // two would share what they observe
  const auto refused = [](const std::function<void(data::PolicyCodec&)>& change) {
    const auto policy = untrained();
    change(policy->codec);
    EXPECT_THROW(Controller{policy}, Error);
  };
  refused([](auto& codec) { codec.options.history = 0; });
  refused([](auto& codec) { codec.options.history = -1; });
  refused([](auto& codec) { codec.options.execute = 0; });
  refused([](auto& codec) { codec.options.execute = 8; });  // one beyond the chunk
  refused([](auto& codec) { codec.actions = unit_range(3); });
  refused([](auto& codec) { codec.observations = unit_range(1); });
}

TEST(Rollout, DoesNotDependOnTheNumberOfWorkers) {
  const auto policy = untrained();
  RolloutOptions options{
      .environment = "two-ways", .episodes = 5, .seed = 11, .max_steps = 12, .filmed = 1};
  const auto one = roll_out(policy, options);
  options.workers = 3;
  const auto three = roll_out(policy, options);
  ASSERT_EQ(one.size(), 5U);
  ASSERT_EQ(three.size(), 5U);
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].seed, 11 + i);
    EXPECT_EQ(one[i].best_reward, three[i].best_reward);
    EXPECT_EQ(one[i].steps, three[i].steps);
    EXPECT_EQ(one[i].decisions.size(), three[i].decisions.size());
    EXPECT_EQ(one[i].error, "");
  }
  ASSERT_EQ(one[0].frames.size(), static_cast<std::size_t>(one[0].steps + 1));
  EXPECT_TRUE(at::equal(one[0].frames.back(), three[0].frames.back()));
  EXPECT_TRUE(one[1].frames.empty());
}

TEST(Rollout, FindsTheEnvironmentThatFits) {
  EXPECT_EQ(environment_for(*untrained(), ""), "two-ways");
  EXPECT_EQ(roll_out(untrained(), {.episodes = 2, .max_steps = 3}).size(), 2U);
  EXPECT_THROW(environment_for(*untrained(), "keypoints"), Error);
}

TEST(Rollout, RefusesAnotherTask) {
  EXPECT_THROW(roll_out(untrained(), {.environment = "pusht"}), Error);
  EXPECT_THROW(roll_out(untrained(), {.environment = "two-way"}), Error);
}

// Wilson's interval by hand: 8 of 10 is .490 to .943, none of 10 is 0 to .278.
TEST(Rollout, SharesHaveWilsonsInterval) {
  const Share most = success_share(8, 10);
  EXPECT_NEAR(most.value, 0.8, 1e-12);
  EXPECT_NEAR(most.low, 0.4902, 1e-4);
  EXPECT_NEAR(most.high, 0.9433, 1e-4);
  const Share none = success_share(0, 10);
  EXPECT_NEAR(none.low, 0, 1e-12);
  EXPECT_NEAR(none.high, 0.2775, 1e-4);
}

}  // namespace
}  // namespace calor::policy
