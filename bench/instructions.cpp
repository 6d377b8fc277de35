// How many instructions the hot operators take, counted by Callgrind: a number without a clock, so
// that a slowdown is seen on any machine. bench/instructions.sh runs it and compares.
//
//     valgrind --tool=callgrind --instr-atstart=no build/bench/instructions
//
// Each operator runs once to warm up and once to be counted, on one thread; the counts go to a
// file of Callgrind's for each, with the operator's name as its trigger.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/version.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "calor/core/device.h"
#include "calor/core/random.h"
#include "calor/net/kernels/add_gated.h"
#include "calor/net/kernels/group_norm.h"
#include "calor/net/kernels/norm_modulate.h"
#include "calor/net/kernels/short_attention.h"
#include "calor/net/kernels/swiglu.h"
#include "calor/net/kernels/turned_heads.h"
#include "calor/net/layers.h"
#include "calor/net/mlp.h"
#include "calor/train/optimiser.h"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define CALOR_COUNT(name, body)            \
  CALLGRIND_START_INSTRUMENTATION;         \
  CALLGRIND_ZERO_STATS;                    \
  body();                                  \
  CALLGRIND_DUMP_STATS_AT((name).c_str()); \
  CALLGRIND_STOP_INSTRUMENTATION
#else
#define CALOR_COUNT(name, body) body()
#endif

namespace {

using namespace calor;

struct Operator {
  std::string name;
  std::function<void()> run;
};

at::Generator generator() { return at::detail::createCPUGenerator(1); }

at::Tensor leaf(at::IntArrayRef shape) {
  return at::randn(shape, generator()).requires_grad_(true);
}

// An operator of the image transformer or the policies, forward and backward.
Operator both_ways(std::string name, std::function<at::Tensor()> forward) {
  return {std::move(name), [forward = std::move(forward)] {
            const at::Tensor out = forward();
            out.backward(at::ones_like(out));
          }};
}

// Of JiT: 16 pictures of 53 tokens, width 128, 4 heads.
std::vector<Operator> transformer() {
  constexpr std::int64_t n = 16, tokens = 53, width = 128, heads = 4, head = width / heads;
  const at::Tensor x = leaf({n, tokens, width});
  const at::Tensor branch = leaf({n, tokens, width});
  const at::Tensor shift = leaf({n, width});
  const at::Tensor scale = leaf({n, width});
  const at::Tensor weight = leaf({width});
  const at::Tensor qkv = leaf({n, tokens, 3 * width});
  const at::Tensor own = leaf({head});
  const at::Tensor table = net::rotary_table(4, 7, 7, head);
  const at::Tensor wide = leaf({n, tokens, 4 * width});
  const at::Tensor q = leaf({n, heads, tokens, head});
  const at::Tensor k = leaf({n, heads, tokens, head});
  const at::Tensor v = leaf({n, heads, tokens, head});
  namespace kernels = net::kernels;
  return {
      both_ways("norm_modulate",
                [=] { return kernels::norm_modulate(x, weight, shift, scale, at::kFloat); }),
      both_ways("turned_heads",
                [=] {
                  const auto turned = kernels::turned_heads(qkv, heads, own, own, table);
                  return turned.q + turned.k + turned.v;
                }),
      both_ways("short_attention", [=] { return kernels::short_attention(q, k, v); }),
      both_ways("swiglu", [=] { return kernels::swiglu(wide); }),
      both_ways("add_gated", [=] { return kernels::add_gated(x, scale, branch); }),
  };
}

// Of policies (Mish, FiLM) and of U-Nets for pictures (SiLU).
std::vector<Operator> group_norms() {
  const at::Tensor x = leaf({16, 16, 128});
  const at::Tensor pixels = leaf({16, 196, 48});
  const auto norm_of = [](std::int64_t channels, net::kernels::AfterNorm f) {
    return net::kernels::GroupNorm{
        .groups = 8, .scale = leaf({1, channels}), .shift = leaf({1, channels}), .f = f};
  };
  auto mish = norm_of(128, net::kernels::AfterNorm::mish);
  mish.film = leaf({16, 256});
  const auto silu = norm_of(48, net::kernels::AfterNorm::silu);
  return {
      both_ways("group_norm_mish", [=] { return net::kernels::group_norm(x, mish, at::kFloat); }),
      both_ways("group_norm_silu",
                [=] { return net::kernels::group_norm(pixels, silu, at::kFloat); })};
}

// The perceptron of tables: 1,000 rows of 6 numbers.
std::vector<Operator> perceptron() {
  const std::shared_ptr<net::Network> network =
      net::make_mlp({.width = 128, .layers = 4, .activation = net::Activation::relu},
                    {.channels = 6, .height = 1, .width = 1, .classes = 0});
  network->parameters().initialise(random_key(0, RandomUse::test));
  network->parameters().flatten(at::kCPU);
  network->parameters().allocate_gradient();
  const net::NetworkInput rows{.z = at::randn({1000, 6, 1, 1}, generator()),
                               .t = at::rand({1000}, generator()),
                               .y = at::zeros({1000}, at::kLong)};
  return {
      {"mlp_step", [=] { network->forward(rows).square().mean().backward(); }},
      {"mlp_divergence",
       [=] {
         const c10::NoGradGuard no_grad;
         network->forward_with_divergence(rows);
       }},
  };
}

Operator optimiser() {
  const at::Tensor weights = at::randn({100'000}, generator());
  const at::Tensor gradient = at::randn({100'000}, generator());
  auto state = std::make_shared<train::OptimiserState>(train::OptimiserState::start(weights));
  return {"optimiser_update", [=] {
            at::Tensor flat = weights;
            train::update(flat, gradient, 1, {.lr = 1e-3}, *state);
          }};
}

Operator noise() {
  return {"normal_by_item", [] {
            std::vector<RandomKey> keys;
            for (std::uint64_t i = 0; i < 16; ++i) {
              keys.push_back(random_key(i, RandomUse::test));
            }
            normal_by_item(keys, {1, 28, 28}, at::kCPU);
          }};
}

}  // namespace

int main() {
  prepare_to_compute();
  at::set_num_threads(1);
  std::printf("LibTorch %d.%d.%d\n", TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR, TORCH_VERSION_PATCH);
  std::vector<Operator> all = transformer();
  for (Operator& each : group_norms()) all.push_back(std::move(each));
  for (Operator& each : perceptron()) all.push_back(std::move(each));
  all.push_back(optimiser());
  all.push_back(noise());
  for (const Operator& each : all) {
    each.run();
    CALOR_COUNT(each.name, each.run);
    std::printf("%s\n", each.name.c_str());
  }
  return 0;
}
