#include "calor/net/kernels/activation.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>

#include "calor/net/kernels/gpu/launch.h"

namespace calor::net {
namespace {

constexpr Activation all_kinds[] = {Activation::relu, Activation::elu,  Activation::softplus20,
                                    Activation::silu, Activation::gelu, Activation::tanh};

// Dense around 0, where the functions bend, and out to where exponentials leave fp32.
at::Tensor arguments(at::ScalarType type) {
  return at::cat({at::linspace(-3, 3, 6001, at::kDouble), at::linspace(-120, 120, 997, at::kDouble),
                  at::logspace(-8, 0, 301, 10, at::kDouble),
                  -at::logspace(-8, 0, 301, 10, at::kDouble)})
      .to(type)
      .reshape({-1, 400});
}

double worst(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b).abs() / b.abs().clamp_min(1)).max().item<double>();
}

class ActivationTest : public testing::TestWithParam<Activation> {};

// fp64 to rounding; fp32 to the error of GELU's erfc, 1.5e-7, and of rounding.
void expect_value_and_slope(Activation kind) {
  for (const auto& [type, tolerance] :
       {std::pair{at::kDouble, 1e-14}, std::pair{at::kFloat, 5e-7}}) {
    const at::Tensor a = arguments(type);
    const at::Tensor exact = a.to(at::kDouble);
    const at::Tensor value = kernels::activation_reference(exact, kind);
    const at::Tensor slope = kernels::activation_slope_reference(exact, kind);
    at::Tensor y = a.clone();
    const at::Tensor s = at::empty_like(a);
    kernels::activate(y, {}, s, kind);
    EXPECT_LE(worst(y, value), tolerance);
    EXPECT_LE(worst(s, slope), tolerance);
    y = a - 0.25;
    kernels::activate(y, at::full({400}, 0.25, a.options()), {}, kind);
    EXPECT_LE(worst(y, value), 10 * tolerance) << "with a bias: a - 0.25 + 0.25 is rounded";
  }
}

TEST_P(ActivationTest, ValueAndSlopeAgreeWithTheReference) { expect_value_and_slope(GetParam()); }
TEST_P(ActivationTest, ValueAndSlopeAgreeAsTasksOfGpus) {
  const kernels::gpu::TasksOnProcessor tasks;
  expect_value_and_slope(GetParam());
}

TEST_P(ActivationTest, GradientAgreesWithAutogradOfTheReference) {
  for (const auto& [type, tolerance] :
       {std::pair{at::kDouble, 1e-13}, std::pair{at::kFloat, 2e-6}}) {
    const at::Tensor g =
        at::randn({19, 400}, at::detail::createCPUGenerator(1), at::TensorOptions(type));
    const auto gradient = [&](const at::Tensor& from, const auto& function) {
      const at::Tensor x = from.detach().clone().set_requires_grad(true);
      return torch::autograd::grad({function(x, GetParam())}, {x}, {g.to(x.scalar_type())})[0];
    };
    const at::Tensor a = arguments(type);
    const at::Tensor expected = gradient(a.to(at::kDouble), kernels::activation_reference);
    EXPECT_LE(worst(gradient(a, kernels::activation), expected), tolerance);
  }
}

TEST_P(ActivationTest, BackwardKernelAndItsColumnSums) {
  const at::Tensor a = arguments(at::kDouble);
  const at::Tensor g = at::randn(a.sizes(), at::detail::createCPUGenerator(2), a.options());
  at::Tensor y = a.clone();
  const at::Tensor slope =
      kernels::slope_follows_from_value(GetParam()) ? at::Tensor() : at::empty_like(a);
  kernels::activate(y, {}, slope, GetParam());
  const at::Tensor out = g.clone();
  const at::Tensor sums = at::ones({400}, a.options());
  kernels::multiply_by_slope(out, y, slope, sums, GetParam());
  const at::Tensor expected = g * kernels::activation_slope_reference(a, GetParam());
  EXPECT_LE(worst(out, expected), 1e-13);
  EXPECT_LE(worst(sums, 1 + expected.sum(0)), 1e-13);
}

TEST_P(ActivationTest, NotANumberStaysOne) {
  const at::Tensor a = at::full({1, 37}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(kernels::activation(a, GetParam()).isnan().all().item<bool>());
}

INSTANTIATE_TEST_SUITE_P(All, ActivationTest, testing::ValuesIn(all_kinds));

// ln(1 + exp(20 a))/20 keeps its tail where the usual implementation is linear or zero.
TEST(Activation, Softplus20HasNoCutOff) {
  const at::Tensor a = at::tensor({1.5, -1.5, 100.0, -100.0}, at::kDouble);
  const at::Tensor y = kernels::activation(a, Activation::softplus20);
  EXPECT_NEAR(y[0].item<double>() - 1.5, std::exp(-30.0) / 20, 1e-16);
  EXPECT_NEAR(y[1].item<double>(), std::exp(-30.0) / 20, 1e-25);
  EXPECT_EQ(y[2].item<double>(), 100);
  EXPECT_EQ(y[3].item<double>(), std::exp(-2000.0));
}

void expect_tangent_kernels() {
  const auto generator = at::detail::createCPUGenerator(3);
  for (const auto type : {at::kFloat, at::kDouble}) {
    const double tolerance = type == at::kFloat ? 1e-5 : 1e-13;
    const at::Tensor slope = at::randn({5, 37}, generator, at::TensorOptions(type));
    const at::Tensor weight = at::randn({3, 37}, generator, at::TensorOptions(type));
    for (const bool shared : {false, true}) {
      at::Tensor tangents = at::randn({5, 3, 37}, generator, at::TensorOptions(type));
      if (shared) tangents = tangents[0];
      const at::Tensor expected = (slope.unsqueeze(1) * tangents).to(at::kDouble);
      const at::Tensor out = at::empty({5, 3, 37}, slope.options());
      kernels::scale_tangents(slope, tangents, out);
      EXPECT_LE(worst(out, expected), tolerance);
      const at::Tensor trace = at::empty({5}, slope.options());
      kernels::contract_tangents(slope, tangents, weight, trace);
      EXPECT_LE(worst(trace, (expected * weight).sum(at::IntArrayRef{1, 2})), tolerance);
    }
  }
}

TEST(Activation, TangentKernels) { expect_tangent_kernels(); }

// The tasks that a GPU runs, by a team of one.
TEST(Activation, TangentTasksOfGpus) {
  const kernels::gpu::TasksOnProcessor tasks;
  expect_tangent_kernels();
}

}  // namespace
}  // namespace calor::net
