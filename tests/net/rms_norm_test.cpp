#include "calor/net/kernels/rms_norm.h"
#include "tests/support/threads.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace calor::net::kernels {
namespace {

struct Gradients {
  at::Tensor y, dx, dw;
};

Gradients run(at::Tensor (*f)(const at::Tensor&, const at::Tensor&), const at::Tensor& x_values,
              const at::Tensor& w_values, const at::Tensor& g) {
  const at::Tensor x = x_values.clone().set_requires_grad(true);
  const at::Tensor w = w_values.clone().set_requires_grad(true);
  const at::Tensor y = f(x, w);
  (y * g).sum().backward();
  return {y.detach(), x.grad(), w.grad()};
}

double relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b).norm() / b.norm()).item<double>();
}

// The fused kernel in fp32 against the reference in float64, on widths that are no multiple of a
// vector, and on a transposed input.
TEST(RmsNorm, FusedKernelIsTheReference) {
  for (const std::int64_t width : {1, 7, 32, 129}) {
    const auto generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(width));
    const at::Tensor x = at::randn({5, 3, 70, width}, generator).transpose(1, 2);
    const at::Tensor w = at::randn({width}, generator);
    const at::Tensor g = at::randn(x.sizes(), generator);
    const Gradients fused = run(rms_norm, x, w, g);
    const Gradients exact =
        run(rms_norm_reference, x.to(at::kDouble), w.to(at::kDouble), g.to(at::kDouble));
    EXPECT_LE(relative(fused.y, exact.y), 1e-6);
    EXPECT_LE(relative(fused.dw, exact.dw), 1e-5);
    // At width 1 the normalised value is the sign: the derivative is all cancellation.
    if (width > 1) {
      EXPECT_LE(relative(fused.dx, exact.dx), 1e-5);
    }
  }
}

TEST(RmsNorm, DoesNotDependOnThreads) {
  const auto generator = at::detail::createCPUGenerator(1);
  const at::Tensor x = at::randn({1000, 64}, generator);
  const at::Tensor w = at::randn({64}, generator);
  const at::Tensor g = at::randn({1000, 64}, generator);
  const auto runs = test::on_threads({1, 4}, [&] { return run(rms_norm, x, w, g); });
  EXPECT_TRUE(at::equal(runs[0].y, runs[1].y));
  EXPECT_TRUE(at::equal(runs[0].dx, runs[1].dx));
  EXPECT_TRUE(at::equal(runs[0].dw, runs[1].dw));
}

}  // namespace
}  // namespace calor::net::kernels
