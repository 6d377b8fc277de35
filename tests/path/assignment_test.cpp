#include "calor/path/assignment.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "calor/core/error.h"
#include "calor/core/random.h"
#include "calor/io/npy.h"
#include "calor/path/coupling.h"
#include "tests/support/golden.h"

namespace calor::path {
namespace {

at::Tensor normal(std::uint64_t seed, at::IntArrayRef shape) {
  at::Tensor out = at::empty(shape, at::kDouble);
  fill_normal(random_key(seed, RandomUse::test),
              std::span(out.data_ptr<double>(), static_cast<std::size_t>(out.numel())));
  return out;
}

at::Tensor squared_distances(const at::Tensor& x, const at::Tensor& y) {
  return (x.unsqueeze(1) - y.unsqueeze(0)).square().sum(2);
}

double total(const at::Tensor& cost, const std::vector<std::int64_t>& assignment) {
  double sum = 0;
  for (std::size_t i = 0; i < assignment.size(); ++i) {
    sum += cost[static_cast<std::int64_t>(i)][assignment[i]].item<double>();
  }
  return sum;
}

// The least total over all permutations.
double brute_force(const at::Tensor& cost) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(cost.size(0)));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  double least = INFINITY;
  const at::Tensor values = cost.contiguous();
  const auto entry = values.accessor<double, 2>();
  do {
    double sum = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      sum += entry[static_cast<std::int64_t>(i)][order[i]];
    }
    least = std::min(least, sum);
  } while (std::next_permutation(order.begin(), order.end()));
  return least;
}

TEST(Assignment, GoldenProblems) {
  const auto file = test::golden_path("assignment.npz");
  if (file.empty()) GTEST_SKIP() << "no golden/assignment.npz in a data folder";
  const auto golden = io::read_npz(file);
  for (std::int64_t problem = 0; problem < 5; ++problem) {
    const at::Tensor cost = squared_distances(golden.at("x")[problem], golden.at("y")[problem]);
    EXPECT_LE((cost - golden.at("cost")[problem]).abs().max().item<double>(), 1e-12);
    const auto assignment = optimal_assignment(cost);
    EXPECT_TRUE(at::tensor(assignment).equal(golden.at("assignment")[problem])) << problem;
    const auto expected = golden.at("total_cost")[problem].item<double>();
    EXPECT_NEAR(total(cost, assignment) / expected, 1, 1e-9);
  }
}

TEST(Assignment, IsTheBestOfAllPermutations) {
  for (std::int64_t n = 1; n <= 7; ++n) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      // Costs of either sign, and of sizes from 1e-30 to 1e30: what counts is their ratio.
      const at::Tensor cost = normal(100 * static_cast<std::uint64_t>(n) + seed, {n, n}) *
                              std::pow(10.0, 6 * static_cast<double>(seed) - 30);
      const auto scale = cost.abs().max().item<double>();
      EXPECT_NEAR(total(cost, optimal_assignment(cost)) / scale, brute_force(cost) / scale, 1e-12);
    }
  }
}

// In one dimension, sorting is optimal for a convex cost.
TEST(Assignment, SortsPointsOnALine) {
  const at::Tensor x = normal(1, {300, 1});
  const at::Tensor y = normal(2, {300, 1}) * 2 + 1;
  const at::Tensor partner = at::tensor(optimal_assignment(squared_distances(x, y)));
  const at::Tensor of_sorted =
      y.flatten().index_select(0, partner).index_select(0, x.flatten().argsort());
  EXPECT_TRUE(of_sorted.equal(std::get<0>(y.flatten().sort())));
}

// All costs equal, or zero, is a problem of ties only; the answer is a permutation all the same.
TEST(Assignment, TiesGiveAPermutation) {
  for (const double value : {0.0, 3.0}) {
    const auto assignment = optimal_assignment(at::full({50, 50}, value, at::kDouble));
    const at::Tensor sorted = std::get<0>(at::tensor(assignment).sort());
    EXPECT_TRUE(sorted.equal(at::arange(50)));
  }
  EXPECT_TRUE(optimal_assignment(at::empty({0, 0}, at::kDouble)).empty());
}

TEST(Assignment, RefusesWhatItCannotAssign) {
  EXPECT_THROW(optimal_assignment(at::zeros({3, 4}, at::kDouble)), Error);
  EXPECT_THROW(optimal_assignment(at::zeros({3}, at::kDouble)), Error);
  EXPECT_THROW(optimal_assignment(at::zeros({3, 3}, at::kLong)), Error);
  for (const double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    at::Tensor cost = at::ones({3, 3}, at::kDouble);
    cost[1][2] = bad;
    EXPECT_THROW(optimal_assignment(cost), Error);
  }
}

double transport(const at::Tensor& x, const at::Tensor& noise) {
  return (x - noise).to(at::kDouble).square().sum().item<double>();
}

TEST(Coupling, LeastWithinBlocks) {
  const at::Tensor x = normal(3, {17, 2, 3}).to(at::kFloat);
  const at::Tensor noise = normal(4, {17, 2, 3}).to(at::kFloat);
  const at::Tensor coupled = couple_noise(x, noise, 6);
  EXPECT_EQ(coupled.scalar_type(), at::kFloat);
  EXPECT_EQ(coupled.sizes(), noise.sizes());
  double best = 0;
  for (const std::int64_t start : {0, 6, 12}) {
    const std::int64_t end = std::min<std::int64_t>(17, start + 6);
    best += brute_force(squared_distances(x.slice(0, start, end).flatten(1).to(at::kDouble),
                                          noise.slice(0, start, end).flatten(1).to(at::kDouble)));
    // The same rows, in another order.
    const auto sorted_norms = [&](const at::Tensor& part) {
      return std::get<0>(part.slice(0, start, end).flatten(1).square().sum(1).sort());
    };
    EXPECT_TRUE(sorted_norms(coupled).equal(sorted_norms(noise)));
  }
  EXPECT_NEAR(transport(x, coupled) / best, 1, 1e-6);
  EXPECT_TRUE(couple_noise(x, noise, 6).equal(coupled));
  EXPECT_TRUE(couple_noise(x, noise, 1).equal(noise));
  EXPECT_LT(transport(x, couple_noise(x, noise, 256)), transport(x, coupled));
}

// For x = noise permuted, the coupling finds the permutation: no transport is left.
TEST(Coupling, UndoesAPermutation) {
  const at::Tensor x = normal(5, {64, 4});
  const at::Tensor shuffled =
      x.index_select(0, at::tensor(random_permutation(random_key(1, RandomUse::test), 64)));
  EXPECT_TRUE(couple_noise(x, shuffled).equal(x));
  EXPECT_THROW(couple_noise(x, shuffled.slice(0, 0, 63)), Error);
  EXPECT_THROW(couple_noise(x, shuffled, 0), Error);
}

TEST(Coupling, OptionsAreDeclared) {
  CouplingOptions coupling;
  config::Options options;
  coupling.declare(options);
  options.assign("path.coupling=optimal-transport", "test");
  options.assign("path.coupling_block=64", "test");
  EXPECT_EQ(coupling.coupling, Coupling::optimal_transport);
  EXPECT_EQ(coupling.block, 64);
  EXPECT_THROW(options.assign("path.coupling_block=1", "test"), Error);
}

}  // namespace
}  // namespace calor::path
