#include "calor/net/mlp.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <numbers>

#include "calor/core/error.h"
#include "calor/io/npy.h"
#include "calor/net/kernels/row_pieces.h"
#include "tests/support/golden.h"
#include "tests/support/mlp.h"
#include "tests/support/threads.h"

namespace calor::net {
namespace {

using test::all_kinds;
using test::drawn;
using test::rows_of;
using test::some_rows;

// The plain network in LibTorch's operators.
at::Tensor reference(const Network& network, const MlpOptions& options, const at::Tensor& z,
                     const at::Tensor& t, std::vector<at::Tensor>* leaves = nullptr) {
  const auto named = network.parameters().named();
  at::Tensor h = at::cat({t.unsqueeze(1), z.flatten(1)}, 1);
  for (std::size_t i = 0; i < named.size(); i += 2) {
    at::Tensor w = named[i].second.clone();
    at::Tensor b = named[i + 1].second.clone();
    if (leaves != nullptr) {
      leaves->push_back(w.set_requires_grad(true));
      leaves->push_back(b.set_requires_grad(true));
    }
    h = at::linear(h, w, b);
    if (i + 2 < named.size()) h = kernels::activation_reference(h, options.activation);
  }
  return h.view(z.sizes());
}

// d prediction / d z, [n, d, d], one vector-Jacobian product for each output.
at::Tensor jacobian(Network& network, NetworkInput input) {
  input.z = input.z.clone().set_requires_grad(true);
  const at::Tensor y = network.forward(input).flatten(1);
  std::vector<at::Tensor> rows;
  for (std::int64_t k = 0; k < y.size(1); ++k) {
    rows.push_back(
        torch::autograd::grad({y.select(1, k).sum()}, {input.z}, {}, true)[0].flatten(1));
  }
  return at::stack(rows, 1);
}

class MlpTest : public testing::TestWithParam<Activation> {
 protected:
  MlpOptions options_{.width = 24, .layers = 3, .activation = GetParam()};
};

// 700 rows: several pieces, and several parts of the gradient.
TEST_P(MlpTest, ForwardAgreesWithTheReference) {
  for (const auto& [type, tolerance] :
       {std::pair{at::kDouble, 1e-12}, std::pair{at::kFloat, 5e-6}}) {
    const auto network = drawn(options_, rows_of(3), 0, type);
    const NetworkInput input = some_rows(700, 3, type);
    const at::Tensor expected = reference(*network, options_, input.z, input.t);
    test::expect_close(network->forward(input).detach(), expected, tolerance, "with a graph");
    const c10::NoGradGuard no_grad;
    test::expect_close(network->forward(input), expected, tolerance, "without");
    EXPECT_EQ(network->forward(input).scalar_type(), type);
  }
}

// Both ways for gradients: added to allocated ones by backward(), and returned by grad().
TEST_P(MlpTest, GradientsAgreeWithAutogradOfTheReference) {
  for (const auto& [type, tolerance] :
       {std::pair{at::kDouble, 1e-12}, std::pair{at::kFloat, 1e-5}}) {
    const auto network = drawn(options_, rows_of(3), 0, type);
    NetworkInput input = some_rows(900, 3, type);
    std::vector<at::Tensor> leaves;
    input.z.set_requires_grad(true);
    leaves.push_back(input.z);
    const at::Tensor expected_loss =
        reference(*network, options_, input.z, input.t, &leaves).square().sum();
    const auto expected = torch::autograd::grad({expected_loss}, leaves);

    network->parameters().flat_gradient().fill_(3);
    network->forward(input).square().sum().backward();
    test::expect_close(input.z.grad(), expected[0], tolerance, "z");
    const auto gradients = network->parameters().named(network->parameters().flat_gradient());
    ASSERT_EQ(gradients.size() + 1, expected.size());
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      test::expect_close(gradients[i].second - 3, expected[i + 1], tolerance, gradients[i].first);
    }

    const at::Tensor before = network->parameters().flat_gradient().clone();
    std::vector<at::Tensor> own{input.z};
    for (const auto& [name, tensor] : network->parameters().handles()) own.push_back(tensor);
    const auto returned = torch::autograd::grad({network->forward(input).square().sum()}, own);
    for (std::size_t i = 0; i < returned.size(); ++i) {
      test::expect_close(returned[i], expected[i], tolerance, "returned");
    }
    EXPECT_TRUE(at::equal(before, network->parameters().flat_gradient()));
  }
}

TEST_P(MlpTest, TangentsAndDivergenceAgreeWithVectorJacobianProducts) {
  const std::int64_t d = 3;
  for (const bool residual : {false, true}) {
    for (const std::int64_t layers : {2, 4}) {
      MlpOptions options = options_;
      options.residual = residual;
      options.layers = layers;
      options.time = residual ? TimeInput::fourier : TimeInput::appended;
      const auto network = drawn(options, rows_of(d, 2), 2);
      const NetworkInput input = some_rows(300, d, at::kDouble, 2, 2);
      const at::Tensor full = jacobian(*network, input);
      const at::Tensor y = network->forward(input).detach();

      const Divergence divergence = network->forward_with_divergence(input);
      test::expect_close(divergence.trace, full.diagonal(0, 1, 2).sum(1), 1e-12, "trace");
      test::expect_close(divergence.prediction, y, 1e-12, "prediction");

      const auto generator = at::detail::createCPUGenerator(8);
      const at::Tensor w = at::randn({300, 5, d}, generator, input.z.options());
      const Tangents tangents = network->forward_with_tangents(input, w);
      test::expect_close(tangents.products, at::matmul(w, full.transpose(1, 2)), 1e-12, "J w");
      test::expect_close(tangents.prediction, y, 1e-12, "prediction");
      const Tangents shared = network->forward_with_tangents(input, w[0]);
      test::expect_close(shared.products, at::matmul(w[0], full.transpose(1, 2)), 1e-12, "shared");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, MlpTest, testing::ValuesIn(all_kinds));

// Central differences, step 1e-5 in fp64: error about 1e-10 from both truncation and rounding.
TEST(Mlp, DivergenceAgreesWithFiniteDifferences) {
  const MlpOptions options{.width = 32, .layers = 3, .activation = Activation::tanh};
  const auto network = drawn(options, rows_of(4));
  const c10::NoGradGuard no_grad;
  NetworkInput input = some_rows(50, 4);
  const at::Tensor trace = network->forward_with_divergence(input).trace;
  const double step = 1e-5;
  at::Tensor differences = at::zeros({50}, at::kDouble);
  const at::Tensor z = input.z;
  for (std::int64_t k = 0; k < 4; ++k) {
    at::Tensor shift = at::zeros({4, 1, 1}, at::kDouble);
    shift[k] += step;
    input.z = z + shift;
    const at::Tensor up = network->forward(input).select(1, k).flatten();
    input.z = z - shift;
    differences += (up - network->forward(input).select(1, k).flatten()) / (2 * step);
  }
  test::expect_close(trace, differences, 1e-8, "trace");
}

// One hidden layer, and pictures: [N, C, H, W] is the row of its numbers.
TEST(Mlp, ServesPicturesAndOneLayer) {
  const MlpOptions options{.width = 16, .layers = 1, .activation = Activation::silu};
  const PictureShape shape{.channels = 2, .height = 2, .width = 3, .classes = 0};
  const auto network = drawn(options, shape);
  NetworkInput input = some_rows(9, 12);
  const at::Tensor flat = network->forward(input);
  input.z = input.z.view({9, 2, 2, 3});
  const at::Tensor picture = network->forward(input);
  EXPECT_EQ(picture.sizes(), input.z.sizes());
  EXPECT_TRUE(at::equal(picture.flatten(), flat.flatten()));
  const at::Tensor full = jacobian(*network, input);
  test::expect_close(network->forward_with_divergence(input).trace, full.diagonal(0, 1, 2).sum(1),
                     1e-12, "trace");
}

// Two networks of local flow matching with their velocities and divergences in fp64; both weights
// and biases of the reference go into our names.
TEST(Golden, MlpOfLocalFlowMatching) {
  const auto path = test::golden_path("flow2d_logdensity.npz");
  if (path.empty()) GTEST_SKIP() << "no golden/flow2d_logdensity.npz in a data folder";
  const auto golden = io::read_npz(path);
  const MlpOptions options{.width = 64, .layers = 3, .activation = Activation::softplus20};
  for (const std::string stage : {"stage1_", "stage2_"}) {
    const auto network = make_mlp(options, rows_of(2));
    network->parameters().flatten(at::kCPU, at::kDouble);
    std::vector<std::pair<std::string, at::Tensor>> weights;
    for (const std::string i : {"0", "1", "2", "3"}) {
      weights.emplace_back("net.layers." + i + ".weight", golden.at(stage + "weight" + i));
      weights.emplace_back("net.layers." + i + ".bias", golden.at(stage + "bias" + i));
    }
    network->parameters().load(weights, "golden");
    const NetworkInput input{
        .z = golden.at("x").view({-1, 2, 1, 1}), .t = golden.at("probe_t"), .y = {}};
    const auto expect = [&](const at::Tensor& a, const std::string& name) {
      const at::Tensor b = golden.at(stage + name);
      EXPECT_LE((a.view(b.sizes()) - b).abs().max().item<double>(), 1e-12) << stage << name;
    };
    const Divergence out = network->forward_with_divergence(input);
    expect(out.prediction, "probe_velocity");
    expect(out.trace, "probe_divergence");
    expect(network->forward(input).detach(), "probe_velocity");
  }
}

TEST(Mlp, LabelsAndConditionsMatterAndStartAsTheIdentity) {
  for (const bool residual : {false, true}) {
    const MlpOptions options{.width = 16, .layers = 2, .residual = residual};
    NetworkInput input = some_rows(6, 3, at::kFloat, 4, 2);
    const auto changed = [&](Network& network, auto change) {
      NetworkInput other = input;
      change(other);
      return (network.forward(other) - network.forward(input)).abs().flatten(1).amax(1).detach();
    };
    const auto relabel = [](NetworkInput& other) { other.y = other.y.clone().fill_(4); };
    const auto recondition = [](NetworkInput& other) { other.condition = other.condition + 1; };

    const auto network = drawn(options, rows_of(3, 4), 2, at::kFloat);
    const at::Tensor by_label = changed(*network, relabel);
    EXPECT_EQ(by_label[4].item<float>(), 0);  // already "no label"
    EXPECT_GT(by_label[0].item<float>(), 1e-4F);
    EXPECT_GT(changed(*network, recondition).min().item<float>(), 1e-4F);

    const auto fresh = make_mlp(options, rows_of(3, 4), 2);
    fresh->parameters().initialise(random_key(0, RandomUse::test));
    fresh->parameters().flatten(at::kCPU);
    EXPECT_EQ(changed(*fresh, relabel).max().item<float>(), 0);
    EXPECT_EQ(changed(*fresh, recondition).max().item<float>(), 0);
  }
}

// Conditioned and residual networks: gradients by central differences along a random direction.
TEST(Mlp, ConditionedGradientsAgreeWithFiniteDifferences) {
  for (const bool residual : {false, true}) {
    const MlpOptions options{
        .width = 12, .layers = 4, .activation = Activation::gelu, .residual = residual};
    const auto network = drawn(options, rows_of(3, 2), 2);
    const NetworkInput input = some_rows(40, 3, at::kDouble, 2, 2);
    const auto loss = [&] { return network->forward(input).square().mean(); };
    loss().backward();
    at::Tensor flat = network->parameters().flat();
    const at::Tensor direction =
        at::randn(flat.sizes(), at::detail::createCPUGenerator(4), flat.options());
    const double slope = (network->parameters().flat_gradient() * direction).sum().item<double>();
    const c10::NoGradGuard no_grad;
    const double step = 1e-6;
    flat.add_(direction, step);
    const double up = loss().item<double>();
    flat.add_(direction, -2 * step);
    const double down = loss().item<double>();
    EXPECT_NEAR((up - down) / (2 * step), slope, 1e-7 * std::abs(slope));
  }
}

TEST(Mlp, TimeEntersAppendedOrAsFourierFeatures) {
  MlpOptions options{.width = 8, .layers = 2};
  const auto first_shape = [&] {
    return make_mlp(options, rows_of(3))->parameters().named().front().second.sizes().vec();
  };
  EXPECT_EQ(first_shape(), (std::vector<std::int64_t>{8, 4}));
  options.time = TimeInput::fourier;
  options.fourier_features = 5;
  EXPECT_EQ(first_shape(), (std::vector<std::int64_t>{8, 13}));
  const auto network = drawn(options, rows_of(3));
  NetworkInput input = some_rows(2, 3);
  input.z = input.z.narrow(0, 0, 1).expand({2, 3, 1, 1});
  input.t = at::tensor({0.0, 1.0}, at::kDouble);  // a period of 1 would not tell these apart
  const at::Tensor y = network->forward(input).detach();
  EXPECT_GT((y[0] - y[1]).abs().max().item<double>(), 1e-3);
}

// Rows as sines and cosines, too: values by hand, tangents and trace against autograd.
TEST(Mlp, PositionFeaturesAndTheirTangents) {
  for (const bool residual : {false, true}) {
    const MlpOptions options{.width = 24,
                             .layers = 2,
                             .activation = Activation::silu,
                             .residual = residual,
                             .position_features = 3};
    const auto network = drawn(options, rows_of(2));
    const auto named = network->parameters().named();
    EXPECT_EQ(named.front().second.sizes().vec(), (std::vector<std::int64_t>{24, 1 + 2 * 7}));
    const NetworkInput input = some_rows(40, 2);
    if (!residual) {
      const at::Tensor z = input.z.flatten(1);
      std::vector<at::Tensor> rows{input.t.unsqueeze(1), z};
      for (const bool cosine : {false, true}) {
        for (std::int64_t j = 0; j < 2; ++j) {
          for (int k = 0; k < 3; ++k) {
            const at::Tensor angle =
                z.narrow(1, j, 1) * (std::numbers::pi / 4 * std::exp2(k / 2.0));
            rows.push_back(cosine ? angle.cos() : angle.sin());
          }
        }
      }
      at::Tensor h = at::cat(rows, 1);
      for (std::size_t i = 0; i < named.size(); i += 2) {
        h = at::linear(h, named[i].second, named[i + 1].second);
        if (i + 2 < named.size()) h = at::silu(h);
      }
      EXPECT_LE((network->forward(input).flatten(1) - h).abs().max().item<double>(), 1e-12);
    }
    const at::Tensor exact = jacobian(*network, input).detach();
    const at::Tensor directions = at::tensor({1.0, 0.5, -2.0, 0.3}, at::kDouble).view({2, 2});
    const auto tangents = network->forward_with_tangents(input, directions);
    const at::Tensor expected = at::matmul(directions, exact.transpose(1, 2));
    EXPECT_LE((tangents.products - expected).abs().max().item<double>(), 1e-11);
    const auto own = network->forward_with_tangents(input, directions.expand({40, 2, 2}));
    EXPECT_LE((own.products - expected).abs().max().item<double>(), 1e-11);
    const auto divergence = network->forward_with_divergence(input);
    const at::Tensor trace = exact.diagonal(0, 1, 2).sum(1);
    EXPECT_LE((divergence.trace - trace).abs().max().item<double>(), 1e-11);
  }
}

TEST(Mlp, ParameterCounts) {
  const auto count = [](const MlpOptions& options, std::int64_t d, std::int64_t classes = 0,
                        std::int64_t condition = 0) {
    return make_mlp(options, rows_of(d, classes), condition)->parameters().count();
  };
  EXPECT_EQ(count({.width = 256, .layers = 4}, 6), 8 * 256 + 3 * 257 * 256 + 257 * 6);
  EXPECT_EQ(count({.width = 512, .layers = 4}, 63), 65 * 512 + 3 * 513 * 512 + 513 * 63);
  EXPECT_EQ(count({.width = 32, .layers = 4, .residual = true}, 6, 10, 3),
            8 * 32 + 4 * 33 * 32 + 33 * 6 + 11 * 64 + 4 * 64 + 17 * 64 + 65 * 2 * 32 * 4);
}

TEST(Mlp, DropoutFollowsItsKey) {
  const MlpOptions options{.width = 32, .layers = 2, .dropout = 0.3};
  const auto network = drawn(options, rows_of(3));
  const auto run = [&](std::uint64_t key) {
    ForwardContext context;
    context.dropout = random_key(key, RandomUse::dropout);
    return network->forward(some_rows(20, 3), context).detach();
  };
  EXPECT_TRUE(at::equal(run(1), run(1)));
  EXPECT_FALSE(at::equal(run(1), run(2)));
  EXPECT_FALSE(at::equal(run(1), network->forward(some_rows(20, 3)).detach()));
}

// Bit for bit, forward and backward, with both libraries of products.
class MlpThreads : public testing::TestWithParam<bool> {};

TEST_P(MlpThreads, DoNotChangeResults) {
  const bool residual = GetParam();
  const std::int64_t condition = residual ? 5 : 0;
  const MlpOptions options{
      .width = 96, .layers = residual ? 4 : 3, .activation = Activation::elu, .residual = residual};
  for (const Products products : {Products::standard, Products::onednn}) {
    use(products);
    const auto runs = test::on_threads({1, 2, 3}, [&] {
      const auto network = drawn(options, rows_of(6, condition), condition, at::kFloat);
      const NetworkInput input = some_rows(3001, 6, at::kFloat, condition, condition);
      const at::Tensor y = network->forward(input);
      y.square().sum().backward();
      const Divergence divergence = network->forward_with_divergence(input);
      return std::vector<at::Tensor>{y.detach(), divergence.trace, divergence.prediction,
                                     network->parameters().flat_gradient()};
    });
    for (std::size_t i = 0; i < runs[0].size(); ++i) {
      EXPECT_TRUE(at::equal(runs[0][i], runs[1][i])) << i;
      EXPECT_TRUE(at::equal(runs[0][i], runs[2][i])) << i;
    }
  }
  use(Products::standard);
}

INSTANTIATE_TEST_SUITE_P(PlainAndResidual, MlpThreads, testing::Bool());

TEST(Mlp, PiecesCoverTheRowsInEqualShares) {
  for (const std::int64_t rows : {1, 5, 63, 64, 100, 500, 1000, 30'000}) {
    for (const std::int64_t largest : {4, 11, 256}) {
      std::vector<int> seen(static_cast<std::size_t>(rows));
      kernels::for_row_pieces(rows, largest, [&](std::int64_t begin, std::int64_t count) {
        EXPECT_LE(count, largest);
        for (std::int64_t i = 0; i < count; ++i) ++seen[static_cast<std::size_t>(begin + i)];
      });
      EXPECT_EQ(seen, std::vector<int>(static_cast<std::size_t>(rows), 1));
    }
  }
  EXPECT_EQ(kernels::rows_of_piece(500, 256), 125);
  EXPECT_EQ(kernels::rows_of_piece(600, 256), 75);
  EXPECT_EQ(kernels::rows_of_piece(30'000, 256), 250);
}

// Two graphs alive at once do not share the buffer of activations.
TEST(Mlp, GraphsKeepTheirActivations) {
  const MlpOptions options{.width = 16, .layers = 2, .residual = true};
  const auto network = drawn(options, rows_of(3));
  NetworkInput a = some_rows(50, 3);
  NetworkInput b = a;
  b.z = b.z * 2;
  const auto gradient_of = [&](const at::Tensor& loss) {
    network->parameters().flat_gradient().zero_();
    loss.backward();
    return network->parameters().flat_gradient().clone();
  };
  const at::Tensor expected = gradient_of(network->forward(a).square().sum());
  const at::Tensor first = network->forward(a).square().sum();
  const at::Tensor second = network->forward(b).square().sum();
  EXPECT_TRUE(at::equal(gradient_of(first), expected));
  EXPECT_FALSE(at::equal(gradient_of(second), expected));
}

TEST(Mlp, Bf16ProductsAreCloseToFp32) {
  const MlpOptions options{.width = 64, .layers = 3};
  const auto network = drawn(options, rows_of(6), 0, at::kFloat);
  const NetworkInput input = some_rows(100, 6, at::kFloat);
  const at::Tensor exact = network->forward(input).detach();
  network->set_precision(Precision::bf16);
  const at::Tensor rounded = network->forward(input).detach();
  EXPECT_EQ(rounded.scalar_type(), at::kFloat);
  const double error = ((exact - rounded).norm() / exact.norm()).item<double>();
  EXPECT_LE(error, 0.05);  // 8 bits of mantissa through a few layers
  EXPECT_GT(error, 0);
}

// PyTorch's law: uniform in +-1/sqrt(fan_in), weights and biases. 256 x 257 numbers: the mean
// square is bound^2/3 to about 0.35 %, 1 standard error; 2 % are more than 5.
TEST(Mlp, InitialisationIsThatOfThePublishedNetworks) {
  const auto network = make_mlp({.width = 256, .layers = 2}, rows_of(6));
  network->parameters().initialise(random_key(0, RandomUse::test));
  for (const auto& [name, tensor] : network->parameters().named()) {
    const double bound = name.find(".0.") != std::string::npos ? 1 / std::sqrt(7.0) : 1.0 / 16;
    EXPECT_LE(tensor.abs().max().item<double>(), bound * (1 + 1e-6)) << name;
    EXPECT_GE(tensor.abs().max().item<double>(), bound * 0.5) << name;
    if (tensor.numel() < 65'536) continue;
    EXPECT_NEAR(tensor.square().mean().item<double>() / (bound * bound / 3), 1, 0.02) << name;
  }
}

TEST(Mlp, RefusesWhatDoesNotFit) {
  EXPECT_THROW(make_mlp({.layers = 3, .residual = true}, rows_of(3)), Error);
  const auto network = drawn({.width = 8, .layers = 2}, rows_of(3, 2), 2);
  NetworkInput input = some_rows(4, 3, at::kDouble, 2, 2);
  EXPECT_NO_THROW(network->forward(input));
  NetworkInput wrong = input;
  wrong.condition = at::Tensor();
  EXPECT_THROW(network->forward(wrong), Error);
  wrong = input;
  wrong.y = at::Tensor();
  EXPECT_THROW(network->forward(wrong), Error);
  wrong = input;
  wrong.z = at::zeros({4, 5, 1, 1});
  EXPECT_THROW(network->forward(wrong), Error);
  ForwardContext context;
  context.taps = {0};
  EXPECT_THROW(network->forward(input, context), Error);
}

TEST(Mlp, OptionsAreDeclared) {
  MlpOptions options;
  config::Options declared;
  options.declare(declared);
  for (const char* text : {"mlp.width=362", "mlp.layers=5", "mlp.activation=\"softplus20\"",
                           "mlp.residual=true", "mlp.time=\"fourier\"", "mlp.dropout=0.1"}) {
    declared.assign(text, "test");
  }
  EXPECT_EQ(options.width, 362);
  EXPECT_EQ(options.activation, Activation::softplus20);
  EXPECT_EQ(options.time, TimeInput::fourier);
  EXPECT_TRUE(options.residual);
}

}  // namespace
}  // namespace calor::net
