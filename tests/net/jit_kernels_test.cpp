// Each fused operator of the image transformer against its reference in float64, forward and
// backward, in each type that it stores.
#include <ATen/ATen.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <vector>

#include "calor/net/kernels/add_gated.h"
#include "calor/net/kernels/gpu/launch.h"
#include "calor/net/kernels/gpu/trusted.h"
#include "calor/net/kernels/norm_modulate.h"
#include "calor/net/kernels/rounded_linear.h"
#include "calor/net/kernels/short_attention.h"
#include "calor/net/kernels/swiglu.h"
#include "calor/net/kernels/turned_heads.h"
#include "calor/net/layers.h"
#include "tests/support/fused_operator.h"
#include "tests/support/threads.h"

namespace calor::net::kernels {
namespace {

using test::numbers, test::relative, test::run, test::Tensors, test::expect_reference;

void expect_norm_modulate() {
  for (const std::int64_t width : {2, 31, 96}) {
    // Shift and scale are columns of a wider tensor, as the block hands them over.
    const Tensors values{numbers({5, 9, width}, 1), numbers({width}, 2),
                         numbers({5, 3 * width}, 3)};
    const auto with = [&](auto f, at::ScalarType type) {
      return [=](const Tensors& v) {
        const auto parts = v[2].chunk(3, 1);
        const bool is_double = v[0].scalar_type() == at::kDouble;
        return f(v[0], v[1], parts[0], parts[2], is_double ? at::kDouble : type);
      };
    };
    expect_reference("norm_modulate", with(norm_modulate, at::kFloat),
                     with(norm_modulate_reference, at::kFloat), values, {false, false, false});
    // Rounded results: the gradient that comes back is rounded, too.
    const Tensors fused = run(with(norm_modulate, at::kBFloat16), values);
    const Tensors reference = run(with(norm_modulate_reference, at::kBFloat16), values);
    EXPECT_EQ(fused[0].scalar_type(), at::kBFloat16);
    for (std::size_t i = 0; i < fused.size(); ++i) {
      EXPECT_LE(relative(fused[i], reference[i].to(at::kDouble)), 3.0 / 512) << i;
    }
  }
}

void expect_add_gated() {
  for (const std::int64_t width : {1, 33, 64}) {
    const auto with = [](auto f) {
      return [=](const Tensors& v) { return f(v[0], v[1].chunk(2, 1)[1], v[2]); };
    };
    expect_reference(
        "add_gated", with(add_gated), with(add_gated_reference),
        {numbers({4, 7, width}, 1), numbers({4, 2 * width}, 2), numbers({4, 7, width}, 3)},
        {false, false, true});
  }
}

void expect_swiglu() {
  for (const std::int64_t width : {1, 37, 128}) {
    expect_reference(
        "swiglu", [](const Tensors& v) { return swiglu(v[0]); },
        [](const Tensors& v) { return swiglu_reference(v[0]); },
        {numbers({3, 50, 2 * width}, 1) * 3}, {true});
  }
}

void expect_turned_heads() {
  constexpr std::int64_t heads = 3;
  for (const std::int64_t width : {4, 12, 32}) {
    const at::Tensor table = rotary_table(2, 2, 3, width);
    const auto with = [&](auto f) {
      return [=](const Tensors& v) {
        const Heads h = f(v[0], heads, v[1], v[2], table);
        const at::ScalarType type = h.q.scalar_type();
        return at::cat({h.q, 2 * h.k, 3 * h.v.to(type)});
      };
    };
    expect_reference(
        "turned_heads", with(turned_heads), with(turned_heads_reference),
        {numbers({4, 8, 3 * heads * width}, 1), numbers({width}, 2), numbers({width}, 3)},
        {true, false, false});
  }
}

TEST(JitKernels, NormModulate) { expect_norm_modulate(); }
TEST(JitKernels, AddGated) { expect_add_gated(); }
TEST(JitKernels, Swiglu) { expect_swiglu(); }
TEST(JitKernels, TurnedHeads) { expect_turned_heads(); }

// The tasks that a GPU runs, by a team of one: all but how a warp adds and how kernels start.
TEST(JitKernels, TasksOfGpus) {
  const gpu::TasksOnProcessor tasks;
  expect_norm_modulate();
  expect_add_gated();
  expect_swiglu();
  expect_turned_heads();
  EXPECT_LE(gpu::largest_disagreement(at::kCPU).error, 1e-6);
  // Asked for the first time within a pass that builds no graph.
  const c10::NoGradGuard no_grad;
  const at::AutoDispatchBelowADInplaceOrView no_graph;
  EXPECT_LE(gpu::largest_disagreement(at::kCPU).error, 1e-6);
}

TEST(JitKernels, OnTheGpu) {
  if (!gpu::has_kernels || !at::hasCUDA()) GTEST_SKIP() << "no GPU, or no kernels for one";
  EXPECT_LE(gpu::largest_disagreement(at::Device(at::kCUDA, 0)).error, 1e-5);
  EXPECT_TRUE(gpu::trusted(at::Device(at::kCUDA, 0)));
}

TEST(JitKernels, ShortAttention) {
  for (const std::int64_t length : {2, 5, 53}) {
    const std::vector<std::int64_t> sizes{2, 3, length, 8};
    // Large logits: the softmax must not overflow.
    expect_reference(
        "short_attention", [](const Tensors& v) { return short_attention(v[0], v[1], v[2]); },
        [](const Tensors& v) { return short_attention_reference(v[0], v[1], v[2]); },
        {numbers(sizes, 1) * 4, numbers(sizes, 2) * 4, numbers(sizes, 3)}, {false, false, true});
  }
}

TEST(JitKernels, RoundedLinear) {
  const at::Tensor x = numbers({4, 5, 24}, 1).to(at::kBFloat16);
  const at::Tensor weight = numbers({16, 24}, 2), bias = numbers({16}, 3);
  const auto with = [](auto f) { return [=](const Tensors& v) { return f(v[0], v[1], v[2]); }; };
  const Tensors fused = run(with(rounded_linear), {x, weight, bias});
  const Tensors reference = run(with(rounded_linear_reference), {x, weight, bias});
  for (std::size_t i = 0; i < fused.size(); ++i) {
    EXPECT_LE(relative(fused[i], reference[i].to(at::kDouble)), 3.0 / 512) << i;
    EXPECT_EQ(fused[i].scalar_type(), reference[i].scalar_type()) << i;
  }
  // Nothing is computed for what needs no gradient.
  const at::Tensor input = x.clone().set_requires_grad(true);
  rounded_linear(input, weight, at::Tensor()).sum().backward();
  EXPECT_TRUE(input.grad().defined());
}

TEST(JitKernels, DoNotDependOnThreads) {
  const at::Tensor x = numbers({64, 20, 48}, 1);
  const auto results = test::on_threads({1, 4}, [&] {
    return run(
        [](const Tensors& v) {
          const at::Tensor normal =
              norm_modulate(v[0], v[1], v[2].chunk(2, 1)[0], v[2].chunk(2, 1)[1], at::kFloat);
          return add_gated(v[0], v[2].chunk(2, 1)[1], at::cat({swiglu(normal), swiglu(normal)}, 2));
        },
        {x, numbers({48}, 2), numbers({64, 96}, 3)});
  });
  for (std::size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_TRUE(at::equal(results[0][i], results[1][i])) << i;
  }
}

}  // namespace
}  // namespace calor::net::kernels
