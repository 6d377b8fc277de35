#include "calor/net/chunk_transformer.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "calor/core/error.h"
#include "tests/support/threads.h"

namespace calor::net {
namespace {

const PictureShape chunk{.channels = 2, .height = 1, .width = 6, .classes = 0};
const ChunkTransformerOptions small{.width = 16, .depth = 2, .heads = 2};
constexpr std::int64_t observed = 5;

at::Tensor draw(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, at::detail::createCPUGenerator(seed), at::kDouble);
}

NetworkInput three_chunks() {
  return {.z = draw({3, 2, 1, 6}, 1),
          .t = at::tensor({0.2, 0.5, 0.9}, at::kDouble),
          .y = {},
          .condition = draw({3, observed}, 2)};
}

// In fp64, as drawn before training.
std::unique_ptr<Network> drawn() {
  auto network = make_chunk_transformer(small, chunk, observed);
  network->parameters().initialise(random_key(0, RandomUse::test));
  network->parameters().flatten(at::kCPU, at::kDouble);
  return network;
}

// The same with every weight moved, those that start as zero too.
std::unique_ptr<Network> moved() {
  auto network = drawn();
  const c10::NoGradGuard no_grad;
  at::Tensor flat = network->parameters().flat();
  flat.add_(draw({flat.numel()}, 3), 0.2);
  return network;
}

double apart(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(ChunkTransformer, HasTheParametersOfItsFormula) {
  const auto count = [](std::int64_t a, std::int64_t t, std::int64_t c, std::int64_t d,
                        std::int64_t blocks) {
    return (a + 1) * d + t * d + 2 * (d + 1) * d + (c > 0 ? (c + d + 2) * d : 0) +
           blocks * (18 * d * d + 15 * d) + 2 * (d + 1) * d + (d + 1) * a;
  };
  const auto made = [](const ChunkTransformerOptions& options, std::int64_t condition) {
    return make_chunk_transformer(options, chunk, condition)->parameters().count();
  };
  EXPECT_EQ(made(small, observed), count(2, 6, observed, 16, 2));
  EXPECT_EQ(made(small, 0), count(2, 6, 0, 16, 2));
  EXPECT_EQ(made({.width = 256, .depth = 8, .heads = 4}, 40), count(2, 6, 40, 256, 8));
}

// All gates and the last layer are zero at first.
TEST(ChunkTransformer, StartsAsZero) {
  EXPECT_EQ(drawn()->forward(three_chunks()).abs().max().item<double>(), 0);
}

TEST(ChunkTransformer, EveryActionSeesEveryOther) {
  const auto network = moved();
  const NetworkInput input = three_chunks();
  const at::Tensor before = network->forward(input);
  for (std::int64_t k = 0; k < 6; ++k) {
    NetworkInput other = input;
    other.z = input.z.clone();
    other.z.select(3, k).add_(0.5);
    const at::Tensor change = (network->forward(other) - before).abs();
    EXPECT_GT(change.amax(1).min().item<double>(), 1e-5) << "action " << k;
  }
}

TEST(ChunkTransformer, PermutesWithItsActionsWithoutPositions) {
  const auto network = moved();
  const NetworkInput input = three_chunks();
  const at::Tensor order = at::tensor({4, 0, 5, 2, 1, 3}, at::kLong);
  NetworkInput permuted = input;
  permuted.z = input.z.index_select(3, order);
  const auto difference = [&] {
    return apart(network->forward(permuted), network->forward(input).index_select(3, order));
  };
  EXPECT_GT(difference(), 1e-3);  // positions tell the actions apart
  const c10::NoGradGuard no_grad;
  for (const auto& [name, tensor] : network->parameters().handles()) {
    if (name == "positions") at::Tensor(tensor).zero_();
  }
  EXPECT_LT(difference(), 1e-12);
}

TEST(ChunkTransformer, TreatsChunksSeparatelyAndSeesTimeAndObservation) {
  const auto network = moved();
  const NetworkInput input = three_chunks();
  const at::Tensor all = network->forward(input);
  const at::Tensor alone = network->forward({.z = input.z.narrow(0, 1, 1),
                                             .t = input.t.narrow(0, 1, 1),
                                             .y = {},
                                             .condition = input.condition.narrow(0, 1, 1)});
  EXPECT_LT(apart(all.narrow(0, 1, 1), alone), 1e-12);
  NetworkInput other = input;
  other.t = input.t + 0.05;
  EXPECT_GT(apart(network->forward(other), all), 1e-4);
  other = input;
  other.condition = input.condition + 0.05;
  EXPECT_GT(apart(network->forward(other), all), 1e-4);
}

// d/de of w . network(p + e q) against central differences, for all parameters, the chunk and the
// observation at once.
TEST(ChunkTransformer, GradientsAgreeWithDifferences) {
  const auto network = moved();
  Parameters& parameters = network->parameters();
  parameters.allocate_gradient();
  NetworkInput input = three_chunks();
  input.z.set_requires_grad(true);
  input.condition.set_requires_grad(true);
  const at::Tensor weights = draw({3, 2, 1, 6}, 4);
  (network->forward(input) * weights).sum().backward();
  const at::Tensor along = draw({parameters.count()}, 5);
  const at::Tensor along_z = draw({3, 2, 1, 6}, 6), along_c = draw({3, observed}, 7);
  const double exact = ((parameters.flat_gradient() * along).sum() +
                        (input.z.grad() * along_z).sum() + (input.condition.grad() * along_c).sum())
                           .item<double>();
  const c10::NoGradGuard no_grad;
  at::Tensor flat = parameters.flat();
  const auto value = [&](double e) {
    flat.add_(along, e);
    const at::Tensor y = network->forward({.z = input.z + e * along_z,
                                           .t = input.t,
                                           .y = {},
                                           .condition = input.condition + e * along_c});
    flat.sub_(along, e);
    return (y * weights).sum().item<double>();
  };
  constexpr double e = 1e-5;
  EXPECT_NEAR((value(e) - value(-e)) / (2 * e), exact, 1e-6 * std::abs(exact));
}

TEST(ChunkTransformer, IsTheSameOnAnyNumberOfThreadsAndInParts) {
  auto network = make_chunk_transformer({}, {.channels = 2, .height = 1, .width = 16}, observed);
  network->parameters().initialise(random_key(0, RandomUse::test));
  network->parameters().flatten(at::kCPU);
  const c10::NoGradGuard no_grad;
  at::Tensor flat = network->parameters().flat();
  flat.add_(draw({flat.numel()}, 3).to(at::kFloat), 0.05);
  const NetworkInput input{.z = draw({8, 2, 1, 16}, 1).to(at::kFloat),
                           .t = at::linspace(0, 1, 8),
                           .y = {},
                           .condition = draw({8, observed}, 2).to(at::kFloat)};
  const auto results = test::on_threads({1, 2}, [&] { return network->forward(input); });
  EXPECT_LT(apart(results[0], results[1]), 1e-5);
  const auto half = [&](std::int64_t first) {
    return network->forward({.z = input.z.narrow(0, first, 4),
                             .t = input.t.narrow(0, first, 4),
                             .y = {},
                             .condition = input.condition.narrow(0, first, 4)});
  };
  EXPECT_LT(apart(results[0], at::cat({half(0), half(4)})), 1e-5);
}

TEST(ChunkTransformer, RefusesWhatDoesNotFit) {
  const auto refused = [](const ChunkTransformerOptions& options, const PictureShape& shape) {
    EXPECT_THROW(make_chunk_transformer(options, shape, 4), Error);
  };
  refused({.width = 30, .heads = 4}, chunk);
  refused({.width = 15, .heads = 3}, chunk);
  refused({.width = 2, .heads = 1}, chunk);
  refused({}, {.channels = 2, .height = 2, .width = 16});
  const auto network = drawn();
  const at::Tensor t = at::zeros({1}, at::kDouble), z = at::zeros({1, 2, 1, 6}, at::kDouble);
  EXPECT_THROW(network->forward({.z = z, .t = t, .y = {}}), Error);
  EXPECT_THROW(
      network->forward({.z = z, .t = t, .y = {}, .condition = at::zeros({1, 4}, at::kDouble)}),
      Error);
  EXPECT_THROW(network->forward({.z = at::zeros({1, 2, 1, 7}, at::kDouble),
                                 .t = t,
                                 .y = {},
                                 .condition = at::zeros({1, observed}, at::kDouble)}),
               Error);
}

}  // namespace
}  // namespace calor::net
