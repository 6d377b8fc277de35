// The matrix products and fused loops of networks of action chunks against LibTorch's operators.
#include "calor/net/step_convolution.h"
#include "calor/net/kernels/step_windows.h"
#include "tests/support/golden.h"
#include "tests/support/threads.h"

#include <functional>
#include <vector>

namespace calor::net {
namespace {

using Tensors = std::vector<at::Tensor>;

at::Generator generator(std::uint64_t seed) { return at::detail::createCPUGenerator(seed); }

// f of the tensors, and the gradients of its product with a fixed random tensor; undefined inputs
// stay so.
Tensors value_and_gradients(const std::function<at::Tensor(const Tensors&)>& f,
                            const Tensors& inputs) {
  Tensors leaves;
  for (const at::Tensor& x : inputs) {
    leaves.push_back(x.defined() ? x.detach().clone().set_requires_grad(true) : x);
  }
  const at::Tensor y = f(leaves);
  (y * at::randn(y.sizes(), generator(99), at::kDouble).to(y.scalar_type())).sum().backward();
  Tensors out{y.detach()};
  for (const at::Tensor& x : leaves) {
    if (x.defined()) out.push_back(x.grad());
  }
  return out;
}

void expect_all_close(const Tensors& a, const Tensors& b, double tolerance,
                      const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    test::expect_close(a[i], b[i], tolerance, what + ", tensor " + std::to_string(i));
  }
}

Tensors to_type(Tensors tensors, at::ScalarType type) {
  for (at::Tensor& x : tensors) {
    if (x.defined()) x = x.to(type);
  }
  return tensors;
}

struct Shape {
  std::int64_t steps, in, out, kernel, stride;
};

class Convolutions : public ::testing::TestWithParam<Shape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, Convolutions,
                         ::testing::Values(Shape{16, 2, 8, 5, 1}, Shape{8, 24, 16, 3, 2},
                                           Shape{4, 17, 9, 1, 1}, Shape{2, 3, 5, 5, 1},
                                           Shape{5, 7, 3, 3, 2}));

TEST_P(Convolutions, AreLibTorchs) {
  const Shape& s = GetParam();
  const Tensors inputs{at::randn({6, s.steps, s.in}, generator(1), at::kDouble)};
  Parameters parameters;
  const StepConvolution layer(parameters, "c", {s.out, s.in, s.kernel}, s.out);
  parameters.initialise(random_key(0, RandomUse::test));
  for (const auto& [type, tolerance] : {std::pair{at::kDouble, 1e-12}, {at::kFloat, 2e-6}}) {
    parameters.flatten(at::kCPU, type);
    const auto weights = parameters.named();
    const at::Tensor w = weights[0].second, b = weights[1].second;
    const auto ours = [&](const Tensors& x) { return layer(x[0], Precision::fp32, s.stride); };
    const auto theirs = [&](const Tensors& x) {
      return at::conv1d(x[0].transpose(1, 2), w, b, s.stride, s.kernel / 2).transpose(1, 2);
    };
    expect_all_close(value_and_gradients(ours, to_type(inputs, type)),
                     value_and_gradients(theirs, to_type(inputs, type)), tolerance, "convolution");
  }
}

TEST(StepConvolution, OfTheWeightsHasTheirGradient) {
  Parameters parameters;
  const StepConvolution layer(parameters, "c", {6, 4, 5}, 6);
  const StepConvolution doubling(parameters, "d", {4, 3, 4}, 3);
  parameters.initialise(random_key(0, RandomUse::test));
  parameters.flatten(at::kCPU);
  parameters.allocate_gradient();
  const at::Tensor x = at::randn({3, 8, 4}, generator(2));
  const auto gradients = [&](const at::Tensor& y, const at::Tensor& z) {
    parameters.flat_gradient().zero_();
    (y.square().sum() + z.square().sum()).backward();
    return parameters.flat_gradient().clone();
  };
  const auto named = parameters.handles();
  const at::Tensor ours =
      gradients(layer(x, Precision::fp32), doubling.transposed(x, Precision::fp32));
  const at::Tensor turned = x.transpose(1, 2);
  const at::Tensor theirs =
      gradients(at::conv1d(turned, named[0].second, named[1].second, 1, 2),
                at::conv_transpose1d(turned, named[2].second, named[3].second, 2, 1));
  test::expect_close(ours, theirs, 2e-6, "gradient of the weights");
}

TEST(StepConvolution, TransposedIsLibTorchs) {
  Parameters parameters;
  const StepConvolution layer(parameters, "c", {7, 5, 4}, 5);
  parameters.initialise(random_key(0, RandomUse::test));
  parameters.flatten(at::kCPU, at::kDouble);
  const auto weights = parameters.named();
  const Tensors inputs{at::randn({3, 4, 7}, generator(1), at::kDouble)};
  const auto ours = [&](const Tensors& x) { return layer.transposed(x[0], Precision::fp32); };
  const auto theirs = [&](const Tensors& x) {
    return at::conv_transpose1d(x[0].transpose(1, 2), weights[0].second, weights[1].second, 2, 1)
        .transpose(1, 2);
  };
  expect_all_close(value_and_gradients(ours, inputs), value_and_gradients(theirs, inputs), 1e-12,
                   "doubling");
}

// bf16 products of numbers that are bf16 already are exact but for the rounding of the result.
TEST(StepConvolution, RoundsOnlyWhatGoesIntoProducts) {
  Parameters parameters;
  const StepConvolution layer(parameters, "c", {16, 12, 5}, 16);
  parameters.initialise(random_key(0, RandomUse::test));
  parameters.flatten(at::kCPU);
  parameters.flat().copy_(parameters.flat().to(at::kBFloat16));
  const at::Tensor x = at::randn({4, 8, 12}, generator(1)).to(at::kBFloat16).to(at::kFloat);
  const at::Tensor exact = layer(x, Precision::fp32), rounded = layer(x, Precision::bf16);
  EXPECT_EQ(rounded.scalar_type(), at::kFloat);
  test::expect_close(rounded, exact, 4e-3, "bf16");  // half of 2^-7, the spacing at the largest
}

TEST(StepConvolution, PackedGivesTheSameBits) {
  const at::Tensor x = at::randn({3, 8, 4}, generator(2));
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    Parameters parameters;
    StepConvolution layer(parameters, "c", {6, 4, 5}, 6), doubling(parameters, "d", {4, 3, 4}, 3);
    parameters.initialise(random_key(0, RandomUse::test));
    parameters.flatten(at::kCPU);
    const at::Tensor before = layer(x, precision), wider = doubling.transposed(x, precision);
    layer.pack(precision, false);
    doubling.pack(precision, true);
    EXPECT_TRUE(at::equal(layer(x, precision), before));
    EXPECT_TRUE(at::equal(doubling.transposed(x, precision), wider));
  }
}

TEST(StepWindows, RoundAsLibTorchDoes) {
  at::Tensor x = at::randn({5, 6, 33}, generator(3));
  x[0][0].narrow(0, 0, 4).copy_(at::tensor({1.00390625F, 1.01171875F, NAN, INFINITY}));  // ties
  const kernels::Windows windows{.kernel = 3, .stride = 1, .padding = 1};
  const at::Tensor ours = kernels::step_windows(x, windows, at::kBFloat16);
  const at::Tensor theirs = kernels::step_windows_reference(x, windows, at::kBFloat16);
  EXPECT_TRUE(at::allclose(ours, theirs, 0, 0, /*equal_nan=*/true));
}

TEST(StepWindows, AddingIsTheAdjoint) {
  for (const kernels::Windows& windows :
       {kernels::Windows{5, 1, 2}, kernels::Windows{4, 2, 1}, kernels::Windows{3, 2, 1}}) {
    const at::Tensor x = at::randn({3, 8, 5}, generator(1), at::kDouble);
    const at::Tensor seen = kernels::step_windows(x, windows, at::kDouble);
    const at::Tensor y = at::randn(seen.sizes(), generator(2), at::kDouble);
    const at::Tensor back = kernels::add_step_windows(y, 8, windows);
    const double difference = ((seen * y).sum() - (x * back).sum()).item<double>();
    EXPECT_NEAR(difference, 0, 1e-12 * static_cast<double>(y.numel()));
    test::expect_close(back, kernels::add_step_windows_reference(y, 8, windows), 1e-14, "sums");
  }
}

}  // namespace
}  // namespace calor::net
