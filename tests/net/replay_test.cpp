#include "calor/net/replay.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <functional>

#include "calor/net/chunk_transformer.h"
#include "calor/net/chunk_unet.h"
#include "calor/net/kernels/gpu/launch.h"
#include "calor/net/kernels/gpu/recording.h"
#include "calor/net/mlp.h"
#include "calor/net/unet.h"
#include "tests/support/drawn.h"
#include "tests/support/golden.h"
#include "tests/support/mlp.h"

namespace calor::net {
namespace {

// A network of each kind and how its input looks.
struct Case {
  const char* name;
  std::function<std::unique_ptr<Network>()> make;
  PictureShape shape;
  std::int64_t condition = 0;
};

std::vector<Case> cases() {
  const PictureShape rgb{.channels = 3, .height = 16, .width = 16, .classes = 5};
  const PictureShape chunk{.channels = 2, .height = 1, .width = 16, .classes = 0};
  const PictureShape row = test::rows_of(6);
  JitOptions refined = test::golden_jit;
  refined.refine = 4;
  const UnetOptions unet{.channels = 32, .blocks = 1, .groups = 8, .dropout = 0};
  const ChunkUnetOptions chunk_unet{
      .widths = {32, 64}, .kernel = 5, .groups = 8, .embedding = 64, .time_scale = 1};
  return {
      {"jit", [rgb] { return make_jit(test::golden_jit, rgb); }, rgb},
      {"jit with refinement", [rgb, refined] { return make_jit(refined, rgb); }, rgb},
      {"unet", [rgb, unet] { return make_unet(unet, rgb); }, rgb},
      {"chunk unet", [=] { return make_chunk_unet(chunk_unet, chunk, 20); }, chunk, 20},
      {"chunk transformer",
       [chunk] { return make_chunk_transformer({.width = 32, .depth = 2, .heads = 2}, chunk, 20); },
       chunk, 20},
      {"perceptron", [row] { return make_mlp({.width = 32, .layers = 2}, row, 3); }, row, 3},
      {"residual perceptron",
       [row] { return make_mlp({.width = 32, .layers = 2, .residual = true}, row, 3); }, row, 3},
  };
}

std::unique_ptr<Network> drawn(const Case& about, at::Device device) {
  auto network = about.make();
  test::draw_and_move(*network, 0.1);
  network->parameters().flatten(device);
  network->parameters().allocate_gradient();
  return network;
}

NetworkInput some_input(const Case& about, std::int64_t n, std::uint64_t seed, at::Device device) {
  const auto generator = at::detail::createCPUGenerator(seed);
  const PictureShape& s = about.shape;
  NetworkInput input{.z = at::randn({n, s.channels, s.height, s.width}, generator).to(device),
                     .t = at::rand({n}, generator).to(device),
                     .y = (at::arange(n, at::kLong) % (s.classes + 1)).to(device)};
  if (about.condition > 0) {
    input.condition = at::randn({n, about.condition}, generator).to(device);
  }
  return input;
}

at::Tensor asked(Replay& replay, Network& network, const NetworkInput& input,
                 bool only_trains = false) {
  ForwardContext context;
  context.only_trains = only_trains;
  return replay.forward(network, input, context);
}

TEST(Replay, OnAProcessorAsksTheNetwork) {
  const Case about = cases().front();
  const auto network = drawn(about, at::kCPU);
  Replay replay;
  const c10::NoGradGuard no_grad;
  for (std::uint64_t i = 0; i < 3; ++i) {
    const NetworkInput input = some_input(about, 2, i, at::kCPU);
    EXPECT_TRUE(at::equal(asked(replay, *network, input), network->forward(input)));
  }
  EXPECT_EQ(replay.recordings(), 0U);
}

// Of every kind of network, in fp32 and bf16: answers to other numbers, answers that stay as they
// were, weights that change in their place.
void expect_the_network(const at::Device& device) {
  for (const Case& about : cases()) {
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      const auto network = drawn(about, device);
      network->set_precision(precision);
      Replay replay;
      const c10::NoGradGuard no_grad;
      at::Tensor kept, kept_copy;
      for (std::uint64_t i = 0; i < 4; ++i) {
        const NetworkInput input = some_input(about, 3, i, device);
        const at::Tensor said = asked(replay, *network, input);
        test::expect_close(said.cpu(), network->forward(input).cpu(), 1e-6, about.name);
        if (i == 2) {
          kept = said;
          kept_copy = said.clone();
        }
      }
      EXPECT_EQ(replay.recordings(), 1U) << about.name;
      EXPECT_TRUE(at::equal(kept, kept_copy)) << about.name;
      network->parameters().flat().mul_(1.1);
      const NetworkInput input = some_input(about, 3, 9, device);
      test::expect_close(asked(replay, *network, input).cpu(), network->forward(input).cpu(), 1e-6,
                         about.name);
    }
  }
}

void expect_the_networks_gradients(const at::Device& device) {
  for (const Case& about : cases()) {
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      const auto network = drawn(about, device);
      network->set_precision(precision);
      Replay replay;
      at::Tensor sum = network->parameters().flat_gradient();
      for (std::uint64_t i = 0; i < 4; ++i) {
        const NetworkInput input = some_input(about, 3, i, device);
        // Of two micro-batches: gradients are added up.
        const auto gradient = [&](const std::function<at::Tensor()>& say) {
          sum.zero_();
          for (int part = 0; part < 2; ++part) say().square().sum().backward();
          return sum.cpu().clone();
        };
        const at::Tensor expected = gradient([&] { return network->forward(input); });
        const at::Tensor own = gradient([&] { return asked(replay, *network, input, true); });
        test::expect_close(own, expected, 1e-5, about.name);
        const c10::NoGradGuard no_grad;
        network->parameters().flat().mul_(0.98);
      }
      EXPECT_EQ(replay.recordings(), 1U) << about.name;
    }
  }
}

void expect_a_refusal_of_late_backward_passes(const at::Device& device) {
  const Case about = cases().front();
  const auto network = drawn(about, device);
  Replay replay;
  const auto say = [&](std::int64_t n) {
    return asked(replay, *network, some_input(about, n, 0, device), true);
  };
  say(3);
  const at::Tensor first = say(3);
  const at::Tensor second = say(3);
  EXPECT_THROW(first.sum().backward(), std::exception);
  EXPECT_NO_THROW(second.sum().backward());
  // A pass lives until its backward pass, whatever other sizes come in between.
  const at::Tensor third = say(3);
  for (std::int64_t n = 4; n < 12; ++n) say(n);
  EXPECT_NO_THROW(third.sum().backward());
}

void expect_a_few_sizes(const at::Device& device) {
  const Case about = cases().front();
  const auto network = drawn(about, device);
  Replay replay;
  for (const bool with_gradients : {true, false}) {
    const c10::AutoGradMode mode(with_gradients);
    for (std::int64_t round = 0; round < 3; ++round) {
      for (std::int64_t n = 1; n <= 3; ++n) {
        const NetworkInput input = some_input(about, n, 7, device);
        const at::Tensor said = asked(replay, *network, input);
        EXPECT_EQ(said.requires_grad(), with_gradients);
        test::expect_close(said.detach().cpu(), network->forward(input).detach().cpu(), 1e-6, "n");
      }
    }
    EXPECT_EQ(replay.recordings(), with_gradients ? 0U : 3U);
  }
  const c10::NoGradGuard no_grad;
  for (std::int64_t n = 4; n <= 12; ++n) {
    for (int i = 0; i < 2; ++i) asked(replay, *network, some_input(about, n, 7, device));
  }
  EXPECT_LE(replay.recordings(), 4U);
}

// Everything but the CUDA graph itself.
TEST(Replay, SaysTheSameAsTheNetwork) {
  const kernels::gpu::TasksOnProcessor tasks;
  expect_the_network(at::kCPU);
}
TEST(Replay, TrainingAddsTheSameGradients) {
  const kernels::gpu::TasksOnProcessor tasks;
  expect_the_networks_gradients(at::kCPU);
}
TEST(Replay, RefusesALateBackwardPass) {
  const kernels::gpu::TasksOnProcessor tasks;
  expect_a_refusal_of_late_backward_passes(at::kCPU);
}
TEST(Replay, KeepsAFewSizes) {
  const kernels::gpu::TasksOnProcessor tasks;
  expect_a_few_sizes(at::kCPU);
}

// What needs dropout, taps or gradients of its input is no matter for a recording.
TEST(Replay, LeavesOtherPassesAlone) {
  const kernels::gpu::TasksOnProcessor tasks;
  const Case about = cases().front();
  const auto network = drawn(about, at::kCPU);
  Replay replay;
  for (int i = 0; i < 3; ++i) {
    NetworkInput input = some_input(about, 2, 1, at::kCPU);
    ForwardContext tapped;
    tapped.only_trains = true;
    tapped.taps = {0};
    replay.forward(*network, input, tapped);
    EXPECT_EQ(tapped.tokens.size(), 1U);
    ForwardContext dropping;
    dropping.only_trains = true;
    dropping.dropout = random_key(1, RandomUse::test);
    replay.forward(*network, input, dropping);
    input.z.set_requires_grad(true);
    asked(replay, *network, input, true).sum().backward();
    EXPECT_TRUE(input.z.grad().defined());
  }
  EXPECT_EQ(replay.recordings(), 0U);
}

// For machines with a GPU.
bool no_gpu() { return !kernels::gpu::has_kernels || !at::hasCUDA(); }
const at::Device gpu{at::kCUDA, 0};

// Convolutions may round their factors to TF32 there, by LibTorch's own settings.
TEST(OnGpu, NetworksSayTheSameAsOnAProcessor) {
  if (no_gpu()) GTEST_SKIP() << "no GPU, or no kernels for one";
  for (const Case& about : cases()) {
    const auto run = [&](at::Device device) {
      const auto network = drawn(about, device);
      const at::Tensor said = network->forward(some_input(about, 3, 1, device));
      (said * at::arange(said.numel(), said.options()).sin().view(said.sizes())).sum().backward();
      return std::pair{said.detach().cpu(), network->parameters().flat_gradient().cpu()};
    };
    const auto [expected, gradient] = run(at::kCPU);
    const auto [said, own_gradient] = run(gpu);
    test::expect_close(said, expected, 2e-3, about.name);
    test::expect_close(own_gradient, gradient, 5e-3, about.name);
  }
}

TEST(OnGpu, Replays) {
  if (no_gpu()) GTEST_SKIP() << "no GPU, or no kernels for one";
  // What waits for the GPU cannot be recorded; what comes after it can.
  const auto waiting = [] { at::ones({1}, at::TensorOptions(gpu)).item<float>(); };
  waiting();
  EXPECT_EQ(kernels::gpu::record(gpu, waiting), nullptr);
  expect_the_network(gpu);
  expect_the_networks_gradients(gpu);
  expect_a_refusal_of_late_backward_passes(gpu);
  expect_a_few_sizes(gpu);
}

}  // namespace
}  // namespace calor::net
