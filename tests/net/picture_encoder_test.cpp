// What policies make of pictures: places, exactly, and gradients through the whole of it.
#include "calor/net/picture_encoder.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "calor/core/error.h"
#include "calor/net/chunk_transformer.h"
#include "calor/net/chunk_unet.h"

namespace calor::net {
namespace {

const PictureShape chunk{.channels = 2, .height = 1, .width = 8, .classes = 0};
constexpr std::int64_t observed = 3;

// Two pictures of 12 x 16 pixels, two levels, 5 numbers for each picture.
const PictureInput pictures{.shape = {.count = 2, .channels = 3, .height = 12, .width = 16},
                            .encoder = {.widths = {4, 8}, .groups = 2, .points = 6, .features = 5}};

at::Tensor draw(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, at::detail::createCPUGenerator(seed), at::kDouble);
}

at::Tensor draw_pictures(std::int64_t n, std::uint64_t seed) {
  return at::randint(256, {n, 2, 3, 12, 16}, at::detail::createCPUGenerator(seed), at::kByte);
}

NetworkInput three_chunks() {
  return {.z = draw({3, 2, 1, 8}, 1),
          .t = at::tensor({0.2, 0.5, 0.9}, at::kDouble),
          .y = {},
          .condition = draw({3, observed}, 2),
          .pictures = draw_pictures(3, 3)};
}

// Both kinds, in fp64, with every weight moved, those that start as zero too.
std::vector<std::unique_ptr<Network>> networks(std::int64_t numbers = observed) {
  std::vector<std::unique_ptr<Network>> both;
  both.push_back(
      make_chunk_unet({.widths = {8, 16}, .groups = 4, .embedding = 8}, chunk, numbers, pictures));
  both.push_back(
      make_chunk_transformer({.width = 16, .depth = 1, .heads = 2}, chunk, numbers, pictures));
  for (const auto& network : both) {
    Parameters& parameters = network->parameters();
    parameters.initialise(random_key(0, RandomUse::test));
    parameters.flatten(at::kCPU, at::kDouble);
    const c10::NoGradGuard no_grad;
    at::Tensor flat = parameters.flat();
    flat.add_(draw({flat.numel()}, 4), 0.1);
  }
  return both;
}

double apart(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

// One hot pixel is its own place; two equal ones have their middle; a flat map has the centre's.
TEST(SpatialSoftmax, IsTheMeanPlace) {
  at::Tensor maps = at::zeros({1, 3, 4, 5}, at::kDouble);
  maps[0][0][3][1] = 1000;
  maps[0][1][0][0] = 1000;
  maps[0][1][2][4] = 1000;
  const at::Tensor found = spatial_softmax(maps);
  const at::Tensor expected =
      at::tensor({-0.5, 0.0, 0.0, 1.0, -1.0 / 3, 0.0}, at::kDouble).unsqueeze(0);
  EXPECT_LT(apart(found, expected), 1e-12) << found;
  // Weights 1 and e at the two pixels of a column: y = (e - 1) / (e + 1).
  const at::Tensor column = at::tensor({0.0, 1.0}, at::kDouble).view({1, 1, 2, 1});
  EXPECT_LT(
      apart(spatial_softmax(column), at::tensor({0.0, std::tanh(0.5)}, at::kDouble).unsqueeze(0)),
      1e-12);
}

TEST(PictureEncoder, HasTheParametersOfItsFormula) {
  const auto convolution = [](std::int64_t in, std::int64_t out, std::int64_t side) {
    return (side * side * in + 1) * out;
  };
  Parameters parameters;
  const PictureEncoder encoder(parameters, "pictures", pictures);
  EXPECT_EQ(parameters.count(), convolution(3, 4, 5) + 2 * 4 + convolution(4, 8, 3) +
                                    convolution(8, 8, 3) + convolution(4, 8, 1) + 4 * 8 +
                                    convolution(8, 6, 1) + (2 * 6 + 1) * 5);
}

// The numbers are those of the pictures, oldest first, however these lie in memory.
TEST(PictureEncoder, TakesEachPictureByItself) {
  Parameters parameters;
  const PictureEncoder encoder(parameters, "pictures", pictures);
  parameters.initialise(random_key(0, RandomUse::test));
  parameters.flatten(at::kCPU);
  const c10::NoGradGuard no_grad;
  const at::Tensor seen = draw_pictures(4, 1);
  const at::Tensor numbers = encoder(seen, Precision::fp32);
  ASSERT_EQ(numbers.sizes(), (std::vector<std::int64_t>{4, 10}));
  const at::Tensor swapped = encoder(seen.flip(1), Precision::fp32);
  EXPECT_LT(apart(swapped, at::cat({numbers.narrow(1, 5, 5), numbers.narrow(1, 0, 5)}, 1)), 1e-5);
  EXPECT_GT(apart(swapped, numbers), 1e-3);
  const at::Tensor as_saved = seen.permute({0, 1, 3, 4, 2}).contiguous().permute({0, 1, 4, 2, 3});
  EXPECT_TRUE(at::equal(encoder(as_saved, Precision::fp32), numbers));
}

// Once for all evaluations is the same as in each of them.
TEST(PictureEncoder, EncodesAhead) {
  for (const auto& network : networks()) {
    const NetworkInput input = three_chunks();
    const at::Tensor once = network->encode(input.condition, input.pictures);
    EXPECT_EQ(once.sizes(), (std::vector<std::int64_t>{3, observed + 10}));
    EXPECT_TRUE(at::equal(once.narrow(1, 0, observed), input.condition));
    const at::Tensor result = network->forward(input);
    EXPECT_TRUE(at::equal(
        network->forward({.z = input.z, .t = input.t, .y = {}, .condition = once}), result));
    NetworkInput other = input;
    other.pictures = draw_pictures(3, 9);
    EXPECT_GT(apart(network->forward(other), result), 1e-4);
  }
}

// d/de of w . network(p + e q) against central differences, over all parameters at once.
TEST(PictureEncoder, GradientsAgreeWithDifferences) {
  for (const auto& network : networks()) {
    Parameters& parameters = network->parameters();
    parameters.allocate_gradient();
    const NetworkInput input = three_chunks();
    const at::Tensor weights = draw({3, 2, 1, 8}, 5);
    (network->forward(input) * weights).sum().backward();
    for (const auto& [name, gradient] : parameters.named(parameters.flat_gradient())) {
      EXPECT_GT(gradient.abs().max().item<double>(), 0) << name;
    }
    // Of the encoder alone, which is declared first, and of all.
    const std::int64_t all = parameters.count();
    Parameters own;
    const PictureEncoder encoder(own, "pictures", pictures);
    for (const std::int64_t moved : {own.count(), all}) {
      at::Tensor along = at::zeros({all}, at::kDouble);
      along.narrow(0, 0, moved).copy_(draw({moved}, 6));
      const double exact = (parameters.flat_gradient() * along).sum().item<double>();
      const c10::NoGradGuard no_grad;
      at::Tensor flat = parameters.flat();
      const auto value = [&](double e) {
        flat.add_(along, e);
        const double result = (network->forward(input) * weights).sum().item<double>();
        flat.sub_(along, e);
        return result;
      };
      constexpr double e = 1e-6;
      EXPECT_NEAR((value(e) - value(-e)) / (2 * e), exact, 1e-5 * std::abs(exact));
    }
  }
}

TEST(PictureEncoder, PicturesAloneAreACondition) {
  for (const auto& network : networks(0)) {
    NetworkInput input = three_chunks();
    input.condition = at::Tensor();
    const at::Tensor result = network->forward(input);
    input.condition = at::empty({3, 0}, at::kDouble);
    EXPECT_TRUE(at::equal(network->forward(input), result));
  }
}

TEST(PictureEncoder, RefusesWhatDoesNotFit) {
  const auto refused = [](const PictureEncoderOptions& options, std::int64_t side) {
    EXPECT_THROW(
        check_picture_encoder({.shape = {.count = 1, .channels = 3, .height = side, .width = 96},
                               .encoder = options}),
        Error);
  };
  refused({.widths = {}}, 96);
  refused({.widths = {12, 32}}, 96);
  refused({.widths = {16.5}, .groups = 1}, 96);
  refused({}, 15);
  EXPECT_NO_THROW(check_picture_encoder(
      {.shape = {.count = 1, .channels = 3, .height = 16, .width = 96}, .encoder = {}}));
  for (const auto& network : networks()) {
    const NetworkInput good = three_chunks();
    const auto refuses = [&](NetworkInput input, const char* part) {
      try {
        network->forward(input);
        ADD_FAILURE() << part;
      } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
      }
    };
    NetworkInput bad = good;
    bad.pictures = good.pictures.narrow(4, 0, 15);
    refuses(bad, "15");
    bad.pictures = good.pictures.to(at::kFloat);
    refuses(bad, "Float");
    bad.pictures = at::Tensor();
    refuses(bad, "13 numbers");
    EXPECT_THROW(network->encode(good.condition, {}), Error);
    EXPECT_THROW(network->encode(good.condition.narrow(1, 0, 2), good.pictures), Error);
  }
  const auto blind = make_chunk_unet({.widths = {8, 16}, .groups = 4, .embedding = 8}, chunk, 3);
  EXPECT_THROW(blind->encode(at::zeros({1, 3}), draw_pictures(1, 1)), Error);
}

}  // namespace
}  // namespace calor::net
