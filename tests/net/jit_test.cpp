#include "calor/net/jit.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "calor/core/error.h"
#include "tests/support/drawn.h"
#include "tests/support/golden.h"

namespace calor::net {
namespace {

const JitOptions& small = test::golden_jit;
const PictureShape rgb16{.channels = 3, .height = 16, .width = 16, .classes = 5};

void expect_forward_and_gradients(const io::TensorFile& golden, const io::TensorFile& weights,
                                  const JitOptions& options) {
  const auto network = make_jit(options, rgb16);
  network->parameters().load(weights.tensors, "golden");
  network->parameters().flatten(at::kCPU);
  network->parameters().allocate_gradient();
  ForwardContext context;
  context.taps = {0, 1, 2, 3};
  const at::Tensor output =
      network->forward({.z = golden.at("z"), .t = golden.at("t"), .y = golden.at("y")}, context);
  test::expect_close(output.detach(), golden.at("output"), 1e-5, "output");
  for (std::size_t i = 0; i < 4; ++i) {
    // Taps leave the context tokens out; they come first in the reference.
    const at::Tensor expected = golden.at("block." + std::to_string(i) + ".out").slice(1, -16);
    test::expect_close(context.tokens.at(i).detach(), expected, 1e-5, "block " + std::to_string(i));
  }
  output.square().mean().backward();
  const auto gradients = network->parameters().named(network->parameters().flat_gradient());
  for (const char* name : {"net.blocks.0.attn.qkv.weight", "net.x_embedder.proj1.weight",
                           "net.final_layer.linear.weight"}) {
    for (const auto& [key, gradient] : gradients) {
      if (key == name) {
        test::expect_close(gradient, golden.at(std::string("grad.") + name), 1e-5, name);
      }
    }
  }
}

TEST(Golden, Jit) {
  CALOR_GOLDEN(golden, "jit_small.safetensors");
  CALOR_GOLDEN(weights, "jit_small_weights.safetensors");
  expect_forward_and_gradients(golden, weights, small);
}

TEST(Golden, JitWithoutContextTokens) {
  CALOR_GOLDEN(golden, "jit_small_noctx.safetensors");
  CALOR_GOLDEN(weights, "jit_small_noctx_weights.safetensors");
  JitOptions options = small;
  options.context_tokens = 0;
  options.context_start = 0;
  expect_forward_and_gradients(golden, weights, options);
}

TEST(Jit, PublishedParameterCounts) {
  // Patch 16 is for pictures of 256 px, patch 32 for 512 px: the same number of tokens.
  const auto millions = [&](const char* size, std::int64_t patch) {
    const PictureShape imagenet{
        .channels = 3, .height = 16 * patch, .width = 16 * patch, .classes = 1000};
    const auto network = make_jit(jit_size(size, patch), imagenet);
    return static_cast<double>(network->parameters().count_with_fixed()) / 1e6;
  };
  EXPECT_NEAR(millions("B", 16), 131.3, 0.05);
  EXPECT_NEAR(millions("B", 32), 133.4, 0.05);
  EXPECT_NEAR(millions("L", 16), 459.1, 0.05);
  EXPECT_NEAR(millions("L", 32), 461.8, 0.05);
  EXPECT_NEAR(millions("H", 16), 952.8, 0.05);
  EXPECT_NEAR(millions("H", 32), 956.4, 0.05);
  EXPECT_EQ(make_jit(small, rgb16)->parameters().count_with_fixed(), 334'848);
}

NetworkInput some_input(const PictureShape& shape) {
  const auto generator = at::detail::createCPUGenerator(2);
  return {.z = at::randn({3, shape.channels, shape.height, shape.width}, generator),
          .t = at::tensor({0.1F, 0.5F, 0.9F}),
          .y = at::tensor({std::int64_t{0}, std::int64_t{4}, shape.classes})};
}

std::unique_ptr<Network> drawn(const JitOptions& options, const PictureShape& shape) {
  auto network = make_jit(options, shape);
  test::draw_and_move(*network, 0.05);
  network->parameters().flatten(at::kCPU);
  return network;
}

// bf16 has 8 bits of mantissa: an output of a few layers agrees with fp32 to a few percent, and the
// two are not the same computation.
TEST(Jit, Bf16ProductsAreCloseToFp32) {
  const auto network = drawn(small, rgb16);
  const at::Tensor exact = network->forward(some_input(rgb16));
  network->set_precision(Precision::bf16);
  const at::Tensor rounded = network->forward(some_input(rgb16));
  EXPECT_EQ(rounded.scalar_type(), at::kFloat);
  const double error = ((exact - rounded).norm() / exact.norm()).item<double>();
  EXPECT_LE(error, 0.05);
  EXPECT_GT(error, 0);
}

// Rectangles, one channel, the refinement, and labels that matter.
TEST(Jit, ServesRectanglesAndRefinement) {
  JitOptions options = small;
  options.refine = 8;
  const PictureShape shape{.channels = 1, .height = 8, .width = 12, .classes = 5};
  const auto network = drawn(options, shape);
  NetworkInput input = some_input(shape);
  const at::Tensor a = network->forward(input);
  EXPECT_EQ(a.sizes(), input.z.sizes());
  input.y = at::tensor({std::int64_t{1}, std::int64_t{4}, std::int64_t{5}});
  const at::Tensor b = network->forward(input);
  EXPECT_FALSE(at::allclose(a[0], b[0]));
  EXPECT_TRUE(at::allclose(a[1], b[1]));
}

// A picture's prediction does not depend on its batch (equal to rounding).
TEST(Jit, ItemsAreIndependent) {
  const auto network = drawn(small, rgb16);
  const NetworkInput all = some_input(rgb16);
  const NetworkInput one{
      .z = all.z.narrow(0, 1, 1), .t = all.t.narrow(0, 1, 1), .y = all.y.narrow(0, 1, 1)};
  EXPECT_TRUE(at::allclose(network->forward(all)[1], network->forward(one)[0], 1e-4, 1e-5));
}

// Bit for bit, wherever in memory the intermediate results happen to lie.
TEST(Jit, GradientsDoNotDependOnAddresses) {
  const auto network = drawn(small, rgb16);
  network->parameters().allocate_gradient();
  at::Tensor first;
  for (std::int64_t round = 0; round < 12; ++round) {
    std::vector<at::Tensor> holes;  // the allocator hands their places out next
    for (std::int64_t k = 1; k < 40; ++k) holes.push_back(at::zeros({k * 37 + round * 11}));
    holes.clear();
    network->parameters().flat_gradient().zero_();
    network->forward(some_input(rgb16)).square().mean().backward();
    const at::Tensor gradient = network->parameters().flat_gradient().clone();
    if (round == 0) first = gradient;
    ASSERT_TRUE(at::equal(gradient, first)) << "round " << round;
  }
}

TEST(Jit, DropoutFollowsItsKey) {
  JitOptions options = small;
  options.dropout = 0.3;
  const auto network = drawn(options, rgb16);
  const auto run = [&](std::uint64_t key) {
    ForwardContext context;
    context.dropout = random_key(key, RandomUse::dropout);
    return network->forward(some_input(rgb16), context);
  };
  EXPECT_TRUE(at::equal(run(1), run(1)));
  EXPECT_FALSE(at::equal(run(1), run(2)));
  EXPECT_FALSE(at::equal(run(1), network->forward(some_input(rgb16))));
}

TEST(Jit, RefusesOptionsThatDoNotFit) {
  JitOptions options = small;
  options.patch = 5;
  EXPECT_THROW(make_jit(options, rgb16), Error);
  options = small;
  options.heads = 3;
  EXPECT_THROW(make_jit(options, rgb16), Error);
  options = small;
  options.context_start = 4;
  EXPECT_THROW(make_jit(options, rgb16), Error);
  EXPECT_THROW(jit_size("XL", 16), Error);
}

TEST(Parameters, InitialisationIsDeterministicAndNamed) {
  const auto first = make_jit(small, rgb16);
  const auto second = make_jit(small, rgb16);
  first->parameters().initialise(random_key(1, RandomUse::test));
  second->parameters().initialise(random_key(1, RandomUse::test));
  second->parameters().flatten(at::kCPU);
  const auto a = first->parameters().named();
  const auto b = second->parameters().named();
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(at::equal(a[i].second, b[i].second)) << a[i].first;
  // Xavier-uniform of [192, 64]: bound sqrt(6/256).
  for (const auto& [name, tensor] : a) {
    if (name != "net.blocks.0.attn.qkv.weight") continue;
    const double bound = std::sqrt(6.0 / 256);
    EXPECT_LE(tensor.abs().max().item<double>(), bound);
    EXPECT_NEAR(tensor.std().item<double>(), bound / std::sqrt(3.0), 0.01 * bound);
  }
}

TEST(Parameters, LoadRefusesWhatDoesNotFit) {
  const auto network = make_jit(small, rgb16);
  network->parameters().initialise(random_key(1, RandomUse::test));
  auto weights = network->parameters().named();
  auto missing = weights;
  missing.pop_back();
  EXPECT_THROW(network->parameters().load(missing, "file"), Error);
  auto extra = weights;
  extra.emplace_back("net.unknown", at::zeros({1}));
  EXPECT_THROW(network->parameters().load(extra, "file"), Error);
  auto other = weights;
  other.back().second = at::zeros({7});
  EXPECT_THROW(network->parameters().load(other, "file"), Error);
}

}  // namespace
}  // namespace calor::net
