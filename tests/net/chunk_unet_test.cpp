#include "calor/net/chunk_unet.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "calor/core/error.h"
#include "tests/support/golden.h"

namespace calor::net {
namespace {

const PictureShape pusht{.channels = 2, .height = 1, .width = 16, .classes = 0};

// The network of the reference file.
const ChunkUnetOptions reference{
    .widths = {32, 64, 128}, .kernel = 5, .groups = 8, .embedding = 64, .time_scale = 1};

using Named = std::vector<std::pair<std::string, at::Tensor>>;

// The tensors of the file that are weights: those with the network's names.
Named weights_of(const io::TensorFile& file, const Network& network) {
  Named weights;
  for (const auto& [name, tensor] : network.parameters().named()) {
    weights.emplace_back(name, file.at(name));
  }
  return weights;
}

// [N, T, A] as in the file to chunks [N, A, 1, T].
at::Tensor as_chunks(const at::Tensor& x) { return x.transpose(1, 2).unsqueeze(2).contiguous(); }

TEST(ChunkUnet, AgreesWithTheReference) {
  CALOR_GOLDEN(golden, "conditional_unet1d.safetensors");
  const auto network = make_chunk_unet(reference, pusht, 20);
  EXPECT_EQ(network->parameters().count(), 1'144'162);
  network->parameters().load(weights_of(golden, *network), "golden");
  network->parameters().flatten(at::kCPU);
  network->parameters().allocate_gradient();
  const at::Tensor z = as_chunks(golden.at("input.sample")).set_requires_grad(true);
  const at::Tensor given = golden.at("input.global_cond").clone().set_requires_grad(true);
  const auto output = [&](const at::Tensor& t) {
    return network->forward({.z = z, .t = t.to(at::kFloat), .y = {}, .condition = given});
  };
  const at::Tensor y = output(golden.at("input.timestep"));
  test::expect_close(y, as_chunks(golden.at("output")), 1e-5, "output");
  test::expect_close(output(golden.at("input.timestep_float")),
                     as_chunks(golden.at("output_float_timestep")), 1e-5, "fractions");
  test::expect_close(output(at::full({3}, 3.0)), as_chunks(golden.at("output_scalar_timestep")),
                     1e-5, "one step for all");

  const at::Tensor loss = at::mse_loss(y, as_chunks(golden.at("target")));
  test::expect_close(loss.reshape({1}), golden.at("loss"), 1e-5, "loss");
  loss.backward();
  test::expect_close(z.grad(), as_chunks(golden.at("grad.sample")), 1e-4, "gradient of z");
  test::expect_close(given.grad(), golden.at("grad.global_cond"), 1e-4, "of the condition");
  // The file's norms are in the published order of the tensors, which is ours.
  const at::Tensor norms = golden.at("grad.param_norms");
  std::int64_t i = 0;
  for (const auto& [name, gradient] :
       network->parameters().named(network->parameters().flat_gradient())) {
    const double expected = norms[i++].item<double>();
    EXPECT_NEAR(gradient.norm().item<double>(), expected, 1e-4 * std::max(expected, 1e-3)) << name;
  }
  EXPECT_EQ(i, norms.numel());
}

TEST(ChunkUnet, HasThePublishedSize) {
  const ChunkUnetOptions published{.widths = {256, 512, 1024}, .embedding = 256};
  // Two observations of 18 key point coordinates and the agent's place.
  const auto network = make_chunk_unet(published, pusht, 2 * 20);
  EXPECT_NEAR(static_cast<double>(network->parameters().count()) / 1e6, 65.78, 0.005);
}

// A step of the chunk far from the end is moved by what happens at the other end only through the
// coarse levels, and the same chunk gives the same prediction whatever lies beside it in the batch.
TEST(ChunkUnet, TreatsChunksSeparately) {
  const auto network = make_chunk_unet(reference, pusht, 0);
  network->parameters().initialise(random_key(0, RandomUse::test));
  network->parameters().flatten(at::kCPU, at::kDouble);
  const at::Tensor z = at::randn({3, 2, 1, 16}, at::detail::createCPUGenerator(1), at::kDouble);
  const at::Tensor t = at::tensor({0.2, 0.5, 0.9}, at::kDouble);
  const auto forward = [&](const at::Tensor& own, const at::Tensor& times) {
    return network->forward({.z = own, .t = times, .y = {}});
  };
  const at::Tensor all = forward(z, t);
  const at::Tensor alone = forward(z.narrow(0, 1, 1), t.narrow(0, 1, 1));
  EXPECT_LT((all.narrow(0, 1, 1) - alone).abs().max().item<double>(), 1e-12);
  EXPECT_GT((all - forward(z, t + 0.05)).abs().max().item<double>(), 1e-4);  // it sees the time
}

TEST(ChunkUnet, PackedGivesTheSameBits) {
  const auto network = make_chunk_unet(reference, pusht, 4);
  network->parameters().initialise(random_key(0, RandomUse::test));
  network->parameters().flatten(at::kCPU);
  const auto generator = at::detail::createCPUGenerator(1);
  const at::Tensor z = at::randn({3, 2, 1, 16}, generator), c = at::randn({3, 4}, generator);
  const auto forward = [&] {
    return network->forward({.z = z, .t = at::full({3}, 0.3), .y = {}, .condition = c}).detach();
  };
  network->set_precision(Precision::bf16);
  const at::Tensor rounded = forward();
  network->pack_weights();
  EXPECT_TRUE(at::equal(forward(), rounded));
  network->set_precision(Precision::fp32);
  network->pack_weights();
  const at::Tensor exact = forward();
  EXPECT_FALSE(at::equal(exact, rounded));
  test::expect_close(rounded, exact, 0.05, "bf16");
}

TEST(ChunkUnet, RefusesWhatDoesNotFit) {
  const auto refused = [](const ChunkUnetOptions& options, const PictureShape& shape) {
    EXPECT_THROW(make_chunk_unet(options, shape, 4), Error);
  };
  refused({.widths = {64}}, pusht);
  refused({.widths = {60, 128}}, pusht);
  refused({.kernel = 4}, pusht);
  refused({.embedding = 7}, pusht);
  refused({}, {.channels = 2, .height = 1, .width = 18});
  refused({}, {.channels = 2, .height = 2, .width = 16});
  const auto network = make_chunk_unet({}, pusht, 4);
  EXPECT_THROW(network->forward({.z = at::zeros({1, 3, 1, 16}), .t = at::zeros({1}), .y = {}}),
               Error);
  EXPECT_THROW(network->forward({.z = at::zeros({1, 2, 1, 16}),
                                 .t = at::zeros({1}),
                                 .y = {},
                                 .condition = at::zeros({1, 5})}),
               Error);
}

}  // namespace
}  // namespace calor::net
