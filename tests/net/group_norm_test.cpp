// Group normalisation with what follows it, fused, against its reference in float64.
#include "calor/net/kernels/group_norm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

#include "calor/net/group_norm.h"
#include "calor/net/kernels/gpu/launch.h"
#include "tests/support/fused_operator.h"
#include "tests/support/threads.h"

namespace calor::net::kernels {
namespace {

using test::numbers, test::relative, test::Tensors;

struct Shape {
  std::int64_t samples, places, groups, width;
};
// A sample of one number a group is left out: its deviation is 0, and the reference rounds apart.
constexpr Shape shapes[] = {{21, 4, 1, 1}, {21, 4, 8, 5}, {3, 9, 8, 16}, {2, 49, 4, 2}};

enum class Scales { shared, own };

// x; scale and shift, of all samples or of each (then columns of a wider tensor, as blocks hand
// them over); FiLM's numbers, if any.
Tensors inputs_of(const Shape& s, Scales scales, bool with_film) {
  const std::int64_t c = s.groups * s.width, rows = scales == Scales::own ? s.samples : 1;
  Tensors inputs{numbers({s.samples, s.places, c}, 1) * 3 + 2, 1 + numbers({rows, c}, 2),
                 numbers({rows, 2 * c}, 3) * 2};
  if (with_film) inputs.push_back(numbers({s.samples, 2 * c}, 4));
  return inputs;
}

// `f` of inputs_of's tensors. The result is rounded to bf16 where x is.
template <class Function>
test::Operator applied(Function function, const Shape& s, AfterNorm f) {
  return [=](const Tensors& v) {
    const GroupNorm norm{.groups = s.groups,
                         .scale = v[1],
                         .shift = v[2].chunk(2, 1)[1],
                         .f = f,
                         .film = v.size() > 3 ? v[3] : at::Tensor()};
    return function(v[0], norm, v[0].scalar_type());
  };
}

void expect_group_norm(const Shape& s, AfterNorm f) {
  SCOPED_TRACE(testing::Message() << s.places << " places, " << s.groups << " groups of " << s.width
                                  << ", f " << static_cast<int>(f));
  for (const auto scales : {Scales::shared, Scales::own}) {
    for (const bool with_film : {false, true}) {
      test::expect_reference("group_norm", applied(group_norm, s, f),
                             applied(group_norm_reference, s, f), inputs_of(s, scales, with_film),
                             {true, false, false, false});
    }
  }
}

void expect_group_norm() {
  for (const Shape& s : shapes) {
    for (const auto f : {AfterNorm::nothing, AfterNorm::silu, AfterNorm::mish}) {
      expect_group_norm(s, f);
    }
  }
}

TEST(GroupNormKernel, IsTheReference) { expect_group_norm(); }

// The tasks that a GPU runs, by a team of one.
TEST(GroupNormKernel, TasksOfGpus) {
  const gpu::TasksOnProcessor tasks;
  expect_group_norm();
}

// fp32 in, bf16 out, and the other way round: as between a sum that stays fp32 and a product.
TEST(GroupNormKernel, RoundsEitherSide) {
  const Shape s{.samples = 3, .places = 9, .groups = 4, .width = 6};
  const Tensors values = inputs_of(s, Scales::own, false);
  const auto with = [&](auto function, at::ScalarType type) {
    return [=](const Tensors& v) {
      const GroupNorm norm{
          .groups = s.groups, .scale = v[1], .shift = v[2].chunk(2, 1)[1], .f = AfterNorm::silu};
      return function(v[0], norm, type);
    };
  };
  for (const auto in : {at::kFloat, at::kBFloat16}) {
    for (const auto out : {at::kFloat, at::kBFloat16}) {
      const Tensors given{values[0].to(in), values[1], values[2]};
      const Tensors fused = test::run(with(group_norm, out), given);
      const Tensors reference = test::run(with(group_norm_reference, out), given);
      EXPECT_EQ(fused[0].scalar_type(), out);
      EXPECT_EQ(fused[1].scalar_type(), in);
      for (std::size_t i = 0; i < fused.size(); ++i) {
        EXPECT_LE(relative(fused[i], reference[i].to(at::kDouble)), 3.0 / 512) << i;
      }
    }
  }
}

TEST(GroupNormKernel, DoesNotDependOnThreads) {
  for (const Shape& s : shapes) {
    const Tensors given = inputs_of(s, Scales::own, true);
    const auto runs = test::on_threads(
        {1, 3}, [&] { return test::run(applied(group_norm, s, AfterNorm::mish), given); });
    for (std::size_t i = 0; i < runs[0].size(); ++i) EXPECT_TRUE(at::equal(runs[0][i], runs[1][i]));
  }
}

// Far out, Mish and SiLU are 0 or the identity, and nothing overflows.
TEST(GroupNormKernel, HoldsFarOut) {
  for (const auto f : {AfterNorm::silu, AfterNorm::mish}) {
    const GroupNorm norm{.groups = 1,
                         .scale = at::ones({1, 2}),
                         .shift = at::tensor({-90.0F, 90.0F}).unsqueeze(0),
                         .f = f};
    const at::Tensor y = group_norm(numbers({1, 4, 2}, 1), norm, at::kFloat);
    EXPECT_TRUE(at::isfinite(y).all().item<bool>());
    EXPECT_LT(y.select(2, 0).abs().max().item<double>(),
              1e-28);  // 90 of the 1e-30 that SiLU leaves
    EXPECT_GT(y.select(2, 1).min().item<double>(), 80);
  }
}

// Pictures, in whatever way they lie in memory.
TEST(GroupNormKernel, OfPictures) {
  const at::Tensor x = numbers({3, 8, 5, 4}, 1), scale = numbers({3, 8}, 2),
                   shift = numbers({1, 8}, 3);
  const at::Tensor exact = at::silu(at::group_norm(x, 4, {}, {}, 1e-5) * scale.view({3, 8, 1, 1}) +
                                    shift.view({1, 8, 1, 1}))
                               .to(at::kDouble);
  for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    const at::Tensor y = group_norm_silu(x.contiguous(format), 4, scale, shift, at::kFloat);
    EXPECT_LE(relative(y, exact), 1e-6);
    EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
  }
}

}  // namespace
}  // namespace calor::net::kernels
