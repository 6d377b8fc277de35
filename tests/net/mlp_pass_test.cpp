// The fused training pass of residual and conditioned perceptrons against autograd of the same
// network in LibTorch's operators.
#include "calor/net/kernels/mlp_pass.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include <map>
#include <numbers>

#include "tests/support/golden.h"
#include "tests/support/mlp.h"

namespace calor::net {
namespace {

// A network of the test, its rows and what else it takes.
struct Setting {
  MlpOptions options;
  std::int64_t dimensions = 3, rows = 700, classes = 0, condition = 0;

  std::string name() const {
    return fmt::format("{} width {}, {} layers, d {}, {} rows, {} classes, condition {}",
                       options.residual ? "residual" : "plain", options.width, options.layers,
                       dimensions, rows, classes, condition);
  }
};

// 1 row; 255 and 257, about one piece; 601 in two parts that end within a piece; 1999 in eight.
std::vector<Setting> settings(Activation kind) {
  const MlpOptions plain{.width = 24, .layers = 3, .activation = kind};
  const MlpOptions residual{.width = 24, .layers = 4, .activation = kind, .residual = true};
  MlpOptions odd = residual;
  odd.width = 17;
  odd.embedding = 7;
  odd.time = TimeInput::fourier;
  odd.fourier_features = 3;
  MlpOptions shallow = residual;
  shallow.layers = 2;
  shallow.width = 33;
  return {{plain, 3, 601, 2, 0},   {plain, 4, 257, 0, 3},  {residual, 3, 601, 0, 0},
          {residual, 1, 1, 3, 2},  {odd, 5, 255, 2, 0},    {odd, 9, 1999, 0, 1},
          {shallow, 2, 257, 1, 5}, {shallow, 6, 500, 0, 0}};
}

// The network's tensors by name.
using Named = std::map<std::string, at::Tensor>;

at::Tensor linear(const Named& w, const std::string& name, const at::Tensor& x) {
  return at::linear(x, w.at(name + ".weight"), w.at(name + ".bias"));
}

at::Tensor fourier(const at::Tensor& t, std::int64_t count) {
  std::vector<at::Tensor> parts;
  for (const bool cosine : {false, true}) {
    for (std::int64_t k = 0; k < count; ++k) {
      const at::Tensor angle = t * (std::numbers::pi * std::pow(2, static_cast<double>(k) / 2));
      parts.push_back(cosine ? angle.cos() : angle.sin());
    }
  }
  return at::stack(parts, 1);
}

// mlp.h's formulas, operator by operator.
at::Tensor reference(const Named& w, const Setting& setting, const NetworkInput& input) {
  const MlpOptions& options = setting.options;
  const std::int64_t n = setting.rows;
  at::Tensor e = at::zeros({n, options.embedding}, input.z.options());
  if (setting.classes > 0) e = e + w.at("net.label.weight").index({input.y});
  if (setting.condition > 0) e = e + linear(w, "net.condition", input.condition);
  if (options.residual) e = e + linear(w, "net.time", fourier(input.t, options.fourier_features));
  const at::Tensor film =
      linear(w, "net.film", at::silu(e)).view({n, options.layers, 2, options.width});
  const auto f = [&](const at::Tensor& a) {
    return kernels::activation_reference(a, options.activation);
  };
  const auto modulated = [&](const at::Tensor& a, std::int64_t i) {
    const at::Tensor own = film.select(1, i);
    return f(a * (1 + own.select(1, 0)) + own.select(1, 1));
  };
  const at::Tensor time = options.time == TimeInput::fourier
                              ? fourier(input.t, options.fourier_features)
                              : input.t.unsqueeze(1);
  at::Tensor h = at::cat({time, input.z.flatten(1)}, 1);
  if (!options.residual) {
    for (std::int64_t i = 0; i < options.layers; ++i) {
      h = modulated(linear(w, fmt::format("net.layers.{}", i), h), i);
    }
    return linear(w, fmt::format("net.layers.{}", options.layers), h).view(input.z.sizes());
  }
  h = linear(w, "net.input", h);
  for (std::int64_t i = 0; i < options.layers / 2; ++i) {
    const std::string block = fmt::format("net.blocks.{}.", i);
    const at::Tensor u = linear(w, block + "0", modulated(h, 2 * i));
    h = h + linear(w, block + "1", modulated(u, 2 * i + 1));
  }
  return linear(w, "net.output", f(h)).view(input.z.sizes());
}

// A loss whose gradient differs from row to row and output to output.
at::Tensor loss_of(const at::Tensor& y) {
  return (y.square() * at::linspace(0.5, 1.5, y.numel(), y.options()).view(y.sizes())).sum();
}

// A network and rows whose z and condition want gradients, and what autograd of the reference says.
struct Compared {
  std::unique_ptr<Network> network;
  NetworkInput input;
  at::Tensor expected_output;
  Named expected;  // gradients, with "z" and "condition"

  Compared(const Setting& setting, at::ScalarType type)
      : network(test::drawn(setting.options, test::rows_of(setting.dimensions, setting.classes),
                            setting.condition, type)),
        input(test::some_rows(setting.rows, setting.dimensions, type, setting.classes,
                              setting.condition)) {
    input.z.set_requires_grad(true);
    if (setting.condition > 0) input.condition.set_requires_grad(true);
    Named leaves;
    for (const auto& [name, tensor] : network->parameters().named()) {
      leaves[name] = tensor.detach().clone().set_requires_grad(true);
    }
    const at::Tensor y = reference(leaves, setting, input);
    expected_output = y.detach();
    leaves["z"] = input.z;
    if (setting.condition > 0) leaves["condition"] = input.condition;
    std::vector<at::Tensor> inputs;
    for (const auto& [name, leaf] : leaves) inputs.push_back(leaf);
    const auto gradients = torch::autograd::grad({loss_of(y)}, inputs);
    std::size_t i = 0;
    for (const auto& [name, leaf] : leaves) expected[name] = gradients[i++];
  }
};

class MlpPassTest : public testing::TestWithParam<Activation> {};

// fp64 sums of at most 2000 rows agree to far better than 1e-11. In fp32 each gradient passes
// through up to six layers and sums of up to 2000 rows, about 100 roundings of 6e-8 where their
// signs are random; GELU and the polynomial exponentials add 2e-7 a layer.
constexpr std::pair<at::ScalarType, double> tolerances[] = {{at::kDouble, 1e-11},
                                                            {at::kFloat, 1e-5}};

TEST_P(MlpPassTest, GradientsAgreeWithAutogradOfTheReference) {
  for (const Setting& setting : settings(GetParam())) {
    for (const auto& [type, tolerance] : tolerances) {
      const Compared compared(setting, type);
      Parameters& parameters = compared.network->parameters();
      const at::Tensor y = compared.network->forward(compared.input);
      test::expect_close(y.detach(), compared.expected_output, tolerance, setting.name());
      parameters.flat_gradient().fill_(3);  // backward() adds to what is there
      loss_of(y).backward();
      for (const auto& [name, gradient] : parameters.named(parameters.flat_gradient())) {
        // Around 3 the last bits of fp32 are those of numbers of size 3 or more.
        const at::Tensor expected = compared.expected.at(name) + 3;
        test::expect_close(gradient, expected, tolerance, setting.name() + ": " + name);
      }
      test::expect_close(compared.input.z.grad(), compared.expected.at("z"), tolerance, "z");
      if (setting.condition == 0) continue;
      test::expect_close(compared.input.condition.grad(), compared.expected.at("condition"),
                         tolerance, setting.name() + ": condition");
    }
  }
}

// grad() returns gradients and leaves the allocated ones alone; of the inputs alone it is the same.
TEST_P(MlpPassTest, GradientsAreReturned) {
  for (const Setting& setting : settings(GetParam())) {
    const Compared compared(setting, at::kDouble);
    Parameters& parameters = compared.network->parameters();
    std::vector<at::Tensor> own{compared.input.z};
    std::vector<std::string> names{"z"};
    for (const auto& [name, tensor] : parameters.handles()) {
      own.push_back(tensor);
      names.push_back(name);
    }
    const at::Tensor loss = loss_of(compared.network->forward(compared.input));
    const auto all = torch::autograd::grad({loss}, own, {}, /*retain_graph=*/true);
    for (std::size_t i = 0; i < all.size(); ++i) {
      test::expect_close(all[i], compared.expected.at(names[i]), 1e-11,
                         setting.name() + ": " + names[i]);
    }
    const auto of_rows = torch::autograd::grad({loss}, {compared.input.z});
    EXPECT_TRUE(at::equal(of_rows[0], all[0])) << setting.name();
    EXPECT_EQ(parameters.flat_gradient().abs().max().item<double>(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(All, MlpPassTest, testing::ValuesIn(test::all_kinds));

// What the tests above compare is the fused pass: the composed one has many nodes.
TEST(MlpPass, ServesEveryVariantOnTheProcessor) {
  for (const bool residual : {false, true}) {
    const auto network = test::drawn({.width = 8, .layers = 2, .residual = residual},
                                     test::rows_of(3, 2), 2, at::kFloat);
    const at::Tensor y = network->forward(test::some_rows(5, 3, at::kFloat, 2, 2));
    const auto before = torch::autograd::Edge(y.grad_fn()->next_edge(0));
    EXPECT_NE(before.function->name().find("MlpPass"), std::string::npos)
        << before.function->name();
  }
}

}  // namespace
}  // namespace calor::net
