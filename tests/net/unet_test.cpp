#include "calor/net/unet.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numbers>

#include "calor/core/error.h"
#include "calor/flow/model_file.h"
#include "tests/support/folder.h"
#include "tests/support/golden.h"

namespace calor::net {
namespace {

// Two levels, attention at both, two heads at the finer and three at the coarser one.
const UnetOptions tiny{.channels = 4,
                       .multipliers = {1, 1.5},
                       .blocks = 1,
                       .attention = {1, 2},
                       .head_width = 2,
                       .groups = 2,
                       .embedding = 6,
                       .dropout = 0};
const PictureShape wide{.channels = 3, .height = 4, .width = 6, .classes = 5};
const PictureShape digits{.channels = 1, .height = 28, .width = 28, .classes = 10};

NetworkInput some_input(const PictureShape& shape) {
  const auto generator = at::detail::createCPUGenerator(2);
  return {.z = at::randn({3, shape.channels, shape.height, shape.width}, generator),
          .t = at::tensor({0.1F, 0.5F, 0.9F}),
          .y = at::tensor({std::int64_t{0}, std::int64_t{4}, shape.classes})};
}

// Away from the zero initialisation, so that every part matters.
std::unique_ptr<Network> drawn(const UnetOptions& options, const PictureShape& shape,
                               at::ScalarType type = at::kFloat) {
  auto network = make_unet(options, shape);
  network->parameters().initialise(random_key(0, RandomUse::test));
  std::uint64_t seed = 0;
  for (const auto& [name, tensor] : network->parameters().named()) {
    tensor.add_(at::randn(tensor.sizes(), at::detail::createCPUGenerator(++seed)), 0.2);
  }
  network->parameters().flatten(at::kCPU, type);
  return network;
}

// The network of the header's formulas in LibTorch's own layers, contiguous and in float64.
class Reference {
 public:
  Reference(const Network& network, std::int64_t groups, std::int64_t head_width)
      : groups_(groups), head_width_(head_width) {
    for (const auto& [name, tensor] : network.parameters().named()) {
      weights_[name] = tensor.to(at::kDouble);
    }
  }

  // Of the tiny network.
  at::Tensor operator()(const NetworkInput& input) const {
    const at::Tensor e = embedding(input);
    const at::Tensor h0 = convolution("net.input", input.z.to(at::kDouble));
    const at::Tensor h1 = step("net.down.0", 0, h0, e);
    const at::Tensor h2 = at::conv2d(h1, weight("net.down.0.resample.weight"),
                                     weight("net.down.0.resample.bias"), 2, 1);
    const at::Tensor h3 = step("net.down.1", 0, h2, e);
    at::Tensor h = step("net.middle", 0, h3, e);
    h = block("net.middle.block.1", h, e);
    h = step("net.up.1", 0, at::cat({h, h3}, 1), e);
    h = step("net.up.1", 1, at::cat({h, h2}, 1), e);
    h = convolution("net.up.1.resample", h.repeat_interleave(2, 2).repeat_interleave(2, 3));
    h = step("net.up.0", 0, at::cat({h, h1}, 1), e);
    h = step("net.up.0", 1, at::cat({h, h0}, 1), e);
    return convolution("net.output", at::silu(norm("net.output_norm", h)));
  }

 private:
  at::Tensor weight(const std::string& name) const { return weights_.at(name); }

  at::Tensor convolution(const std::string& name, const at::Tensor& x) const {
    return at::conv2d(x, weight(name + ".weight"), weight(name + ".bias"), 1,
                      weight(name + ".weight").size(2) / 2);
  }
  at::Tensor linear(const std::string& name, const at::Tensor& x) const {
    return at::matmul(x, weight(name + ".weight").t()) + weight(name + ".bias");
  }
  at::Tensor norm(const std::string& name, const at::Tensor& x) const {
    return at::group_norm(x, groups_, weight(name + ".weight"), weight(name + ".bias"), 1e-5);
  }

  at::Tensor embedding(const NetworkInput& input) const {
    const std::int64_t n = input.t.size(0);
    const at::Tensor features = at::empty({n, 64}, at::kDouble);
    for (std::int64_t i = 0; i < n; ++i) {
      for (int k = 0; k < 32; ++k) {
        const double omega = std::numbers::pi / 2 * std::pow(256, k / 31.0);
        const double angle = omega * static_cast<double>(input.t[i].item<float>());
        features[i][k] = std::cos(angle);
        features[i][32 + k] = std::sin(angle);
      }
    }
    const at::Tensor time = linear("net.time.1", at::silu(linear("net.time.0", features)));
    return at::silu(time + weight("net.label.weight").index_select(0, input.y));
  }

  at::Tensor block(const std::string& name, const at::Tensor& x, const at::Tensor& e) const {
    const at::Tensor both = linear(name + ".modulation", e);
    const std::int64_t width = both.size(1) / 2;
    at::Tensor h = convolution(name + ".conv1", at::silu(norm(name + ".norm1", x)));
    h = at::group_norm(h, groups_, {}, {}, 1e-5);
    h = h * (1 + both.narrow(1, 0, width).reshape({-1, width, 1, 1})) +
        both.narrow(1, width, width).reshape({-1, width, 1, 1});
    h = convolution(name + ".conv2", at::silu(h));
    return h + (weights_.contains(name + ".skip.weight") ? convolution(name + ".skip", x) : x);
  }

  // One head of one picture at a time.
  at::Tensor attention(const std::string& name, const at::Tensor& x) const {
    const std::int64_t c = x.size(1);
    const at::Tensor out = x.clone();
    const at::Tensor normed = norm(name + ".norm", x);
    for (std::int64_t i = 0; i < x.size(0); ++i) {
      const at::Tensor qkv = linear(name + ".qkv", normed[i].flatten(1).t());  // [pixels, 3 C]
      std::vector<at::Tensor> heads;
      for (std::int64_t from = 0; from < c; from += head_width_) {
        const at::Tensor q = qkv.narrow(1, from, head_width_);
        const at::Tensor k = qkv.narrow(1, c + from, head_width_);
        const at::Tensor v = qkv.narrow(1, 2 * c + from, head_width_);
        const at::Tensor logits =
            at::matmul(q, k.t()) / std::sqrt(static_cast<double>(head_width_));
        heads.push_back(at::matmul(at::softmax(logits, 1), v));
      }
      out[i] += linear(name + ".proj", at::cat(heads, 1)).t().reshape(x[i].sizes());
    }
    return out;
  }

  at::Tensor step(const std::string& place, int index, const at::Tensor& x,
                  const at::Tensor& e) const {
    const std::string suffix = "." + std::to_string(index);
    return attention(place + ".attention" + suffix, block(place + ".block" + suffix, x, e));
  }

  std::map<std::string, at::Tensor> weights_;
  std::int64_t groups_, head_width_;
};

TEST(Unet, IsTheFormulaOfItsHeader) {
  const c10::NoGradGuard no_grad;
  const NetworkInput input = some_input(wide);
  const auto exact = drawn(tiny, wide, at::kDouble);
  const at::Tensor expected = Reference(*exact, tiny.groups, tiny.head_width)(input);
  EXPECT_GT(expected.abs().max().item<double>(), 0.1);
  test::expect_close(exact->forward(input), expected, 1e-12, "float64");
  // Eleven blocks and attentions of fp32's rounding, 6e-8 each operation.
  const auto rounded = drawn(tiny, wide);
  EXPECT_EQ(rounded->forward(input).scalar_type(), at::kFloat);
  test::expect_close(rounded->forward(input), expected, 1e-4, "fp32");
}

// Counted by hand from the header's text, for widths w, B = 1.
TEST(Unet, ParameterCounts) {
  const UnetOptions small;  // 16, 48 and 80 channels, attention at the coarsest level
  const std::int64_t fine =
      3 * 18 * 16 * 16 + 2 * 9 * 16 * 16 + 3 * (260 * 16) + 5 * 2 * 16 + 2 * 33 * 16;
  const std::int64_t middle =
      3 * 18 * 48 * 48 + 2 * 9 * 48 * 48 + 3 * (260 * 48) + 5 * 2 * 48 + 2 * 97 * 48;
  const std::int64_t coarse = 5 * 18 * 80 * 80 + 2 * 9 * 80 * 80 + 5 * (260 * 80) + 7 * 2 * 80 +
                              2 * 161 * 80 + 4 * (4 * 80 * 80 + 6 * 80);
  const std::int64_t borders = 18 * 16 * 48 + 16 + 48 + 18 * 48 * 80 + 48 + 80;
  const std::int64_t ends = 10 * 16 + 145 + 2 * 16 + (65 + 129 + 11) * 128;
  EXPECT_EQ(make_unet(small, digits)->parameters().count(),
            fine + middle + coarse + borders + ends);
  EXPECT_EQ(make_unet(small, digits)->parameters().count(), 1'281'361);

  const UnetOptions large{.channels = 128,
                          .multipliers = {1, 2, 2, 2},
                          .blocks = 2,
                          .attention = {2},
                          .head_width = 64,
                          .groups = 32,
                          .embedding = 512};
  const PictureShape cifar{.channels = 3, .height = 32, .width = 32, .classes = 10};
  EXPECT_EQ(make_unet(large, cifar)->parameters().count(), 38'548'611);
}

// Central differences in float64 of a loss that depends on every output.
TEST(Unet, GradientsAreThoseOfFiniteDifferences) {
  const auto network = drawn(tiny, wide, at::kDouble);
  network->parameters().allocate_gradient();
  const NetworkInput input = some_input(wide);
  const auto loss = [&] { return network->forward(input).sin().sum(); };
  loss().backward();
  const c10::NoGradGuard no_grad;
  const auto gradients = network->parameters().named(network->parameters().flat_gradient());
  const auto weights = network->parameters().named();
  constexpr double step = 1e-5;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto& [name, weight] = weights[i];
    const at::Tensor entry = weight.flatten()[weight.numel() / 2];
    const double gradient = gradients[i].second.flatten()[weight.numel() / 2].item<double>();
    entry.add_(step);
    const double above = loss().item<double>();
    entry.sub_(2 * step);
    const double below = loss().item<double>();
    entry.add_(step);
    EXPECT_NEAR(gradient, (above - below) / (2 * step), 1e-6 * (1 + std::abs(gradient))) << name;
  }
}

TEST(Unet, BeginsAtZeroAndCanLeaveIt) {
  const UnetOptions options;
  const auto network = make_unet(options, digits);
  network->parameters().initialise(random_key(0, RandomUse::test));
  network->parameters().flatten(at::kCPU);
  network->parameters().allocate_gradient();
  const at::Tensor out = network->forward(some_input(digits));
  EXPECT_EQ(out.sizes(), some_input(digits).z.sizes());
  EXPECT_EQ(out.abs().max().item<float>(), 0);
  (out - 1).square().mean().backward();
  for (const auto& [name, gradient] :
       network->parameters().named(network->parameters().flat_gradient())) {
    EXPECT_EQ(gradient.abs().max().item<float>() > 0, name.starts_with("net.output.")) << name;
  }
  // With an output, what comes before the last convolution of a block does not matter yet.
  const c10::NoGradGuard no_grad;
  const auto set = [&](const std::string& wanted, double value) {
    for (const auto& [name, tensor] : network->parameters().named()) {
      if (name.ends_with(wanted)) tensor.fill_(value);
    }
  };
  set("net.output.weight", 0.1);
  const at::Tensor before = network->forward(some_input(digits));
  EXPECT_GT(before.abs().max().item<float>(), 0);
  set(".conv1.weight", 0.3);
  set(".qkv.weight", 0.3);
  EXPECT_TRUE(at::equal(before, network->forward(some_input(digits))));
  set("down.1.block.0.conv2.bias", 0.3);
  EXPECT_FALSE(at::equal(before, network->forward(some_input(digits))));
}

TEST(Unet, LabelsMatterAndOneMeansNone) {
  const auto network = drawn(tiny, wide);
  NetworkInput input = some_input(wide);
  const at::Tensor a = network->forward(input);
  input.y = at::tensor({std::int64_t{1}, std::int64_t{4}, std::int64_t{5}});
  const at::Tensor b = network->forward(input);
  EXPECT_FALSE(at::allclose(a[0], b[0]));
  EXPECT_TRUE(at::allclose(a[1], b[1]));
  EXPECT_TRUE(at::allclose(a[2], b[2]));
  for (std::int64_t y = 0; y < wide.classes; ++y) {
    input.y = at::full({3}, y, at::kLong);
    EXPECT_FALSE(at::allclose(a[2], network->forward(input)[2])) << y;
  }
}

TEST(Unet, TimeMatters) {
  const auto network = drawn(tiny, wide);
  NetworkInput input = some_input(wide);
  const at::Tensor a = network->forward(input);
  input.t = at::tensor({0.1F, 0.51F, 0.9F});
  const at::Tensor b = network->forward(input);
  EXPECT_TRUE(at::allclose(a[0], b[0]));
  EXPECT_FALSE(at::allclose(a[1], b[1]));
}

TEST(Unet, NeedsNoLabels) {
  PictureShape shape = wide;
  shape.classes = 0;
  const auto network = drawn(tiny, shape);
  NetworkInput input = some_input(shape);
  const at::Tensor a = network->forward(input);
  input.y = at::Tensor();
  EXPECT_TRUE(at::equal(a, network->forward(input)));
}

// Pictures are computed channels last inside; how they come does not matter.
TEST(Unet, MemoryOfPicturesDoesNotMatter) {
  const auto network = drawn(tiny, wide);
  NetworkInput input = some_input(wide);
  const at::Tensor a = network->forward(input);
  EXPECT_TRUE(a.is_contiguous());
  input.z = input.z.contiguous(at::MemoryFormat::ChannelsLast);
  ASSERT_FALSE(input.z.is_contiguous());
  EXPECT_TRUE(at::equal(a, network->forward(input)));
}

// A picture's prediction does not depend on its batch (equal to rounding).
TEST(Unet, ItemsAreIndependent) {
  const auto network = drawn(tiny, wide);
  const NetworkInput all = some_input(wide);
  const NetworkInput one{
      .z = all.z.narrow(0, 1, 1), .t = all.t.narrow(0, 1, 1), .y = all.y.narrow(0, 1, 1)};
  EXPECT_TRUE(at::allclose(network->forward(all)[1], network->forward(one)[0], 1e-4, 1e-5));
}

// bf16 has 8 bits of mantissa: an output of a few layers agrees with fp32 to a few percent, and the
// two are not the same computation.
TEST(Unet, Bf16ProductsAreCloseToFp32) {
  const auto network = drawn(tiny, wide);
  const at::Tensor exact = network->forward(some_input(wide));
  network->set_precision(Precision::bf16);
  const at::Tensor rounded = network->forward(some_input(wide));
  EXPECT_EQ(rounded.scalar_type(), at::kFloat);
  const double error = ((exact - rounded).norm() / exact.norm()).item<double>();
  EXPECT_LE(error, 0.05);
  EXPECT_GT(error, 0);
}

TEST(Unet, DropoutFollowsItsKey) {
  UnetOptions options = tiny;
  options.dropout = 0.3;
  const auto network = drawn(options, wide);
  const auto run = [&](std::uint64_t key) {
    ForwardContext context;
    context.dropout = random_key(key, RandomUse::dropout);
    return network->forward(some_input(wide), context);
  };
  EXPECT_TRUE(at::equal(run(1), run(1)));
  EXPECT_FALSE(at::equal(run(1), run(2)));
  EXPECT_FALSE(at::equal(run(1), network->forward(some_input(wide))));
}

// What was expected names `expected`, what was found names `found`; there is something to do.
template <class Act>
void expect_refusal(const Act& act, const std::string& expected, const std::string& found) {
  try {
    act();
    ADD_FAILURE() << "accepted; should have asked for " << expected;
  } catch (const Error& error) {
    EXPECT_NE(error.expected().find(expected), std::string::npos) << error.what();
    EXPECT_NE(error.found().find(found), std::string::npos) << error.what();
    EXPECT_FALSE(error.hint().empty());
  }
}

TEST(Unet, RefusesOptionsThatDoNotFit) {
  const auto refuse = [](const UnetOptions& options, const PictureShape& shape,
                         const std::string& expected, const std::string& found) {
    expect_refusal([&] { make_unet(options, shape); }, expected, found);
  };
  UnetOptions options = tiny;
  refuse(tiny, {.channels = 3, .height = 5, .width = 6, .classes = 0}, "multiples of 2", "6 x 5");
  refuse(tiny, {.channels = 3, .height = 4, .width = 7, .classes = 0}, "multiples of 2", "7 x 4");
  options.multipliers = {};
  refuse(options, wide, "1 to 8 unet.multipliers", "0");
  options.multipliers = std::vector<double>(9, 1);
  refuse(options, wide, "1 to 8 unet.multipliers", "9");
  options.multipliers = {1, 1.3};
  refuse(options, wide, "whole", "4 times 1.3");
  options = tiny;
  options.groups = 4;
  refuse(options, wide, "unet.groups = 4", "= 6");
  options = tiny;
  options.head_width = 4;
  refuse(options, wide, "unet.head_width = 4", "6 channels at the factor 2");
  // The middle attends wherever there is attention.
  options.attention = {1};
  refuse(options, wide, "unet.head_width = 4", "6 channels at the factor 2");
  options.attention = {};
  EXPECT_NO_THROW(make_unet(options, wide));
  options = tiny;
  options.attention = {2, 1};
  refuse(options, wide, "ascending", "[2, 1]");
  options.attention = {2, 2};
  refuse(options, wide, "ascending", "[2, 2]");
  options.attention = {1, 4};
  refuse(options, wide, "up to 2", "[1, 4]");
  options.attention = {1.5};
  refuse(options, wide, "factors 1, 2, 4", "[1.5]");
}

TEST(Unet, RefusesInputThatDoesNotFit) {
  const auto network = drawn(tiny, wide);
  NetworkInput input = some_input(wide);
  input.z = at::zeros({3, 3, 4, 4});
  expect_refusal([&] { network->forward(input); }, "[N, 3, 4, 6]", "[3, 3, 4, 4]");
  input = some_input(wide);
  input.y = at::Tensor();
  expect_refusal([&] { network->forward(input); }, "a label", "no labels");
  ForwardContext context;
  context.taps = {0};
  expect_refusal([&] { network->forward(some_input(wide), context); }, "tokens", "U-Net");
}

flow::ModelOptions unet_model() {
  flow::ModelOptions options;
  options.kind = NetworkKind::unet;
  options.unet = tiny;
  return options;
}

TEST(Unet, ModelFilesCarryIt) {
  const data::ItemSpec items{
      .channels = 3, .height = 4, .width = 6, .class_names = {"a", "b", "c", "d", "e"}};
  flow::Flow flow(unet_model(), items, at::kCPU);
  flow.stage(0).network().parameters().load(drawn(tiny, wide)->parameters().named(), "test");
  const test::Folder folder;
  flow::save_model(folder.path() / "model.safetensors", flow, {});
  const auto loaded = flow::load_model(folder.path() / "model.safetensors", at::kCPU);
  EXPECT_EQ(loaded.flow->options().unet.multipliers, tiny.multipliers);
  EXPECT_TRUE(at::equal(loaded.flow->stage(0).network().forward(some_input(wide)),
                        drawn(tiny, wide)->forward(some_input(wide))));
}

TEST(Unet, TakesNoConditionVector) {
  data::ItemSpec items{.channels = 3, .height = 4, .width = 6, .class_names = {}};
  EXPECT_NO_THROW(flow::check_model(unet_model(), items));
  items.condition_width = 2;
  expect_refusal([&] { flow::check_model(unet_model(), items); }, "mlp", "unet");
}

}  // namespace
}  // namespace calor::net
