// The time of one training step of a U-Net: forward, loss, backward, clipping, AdamW and both
// averages. Two sizes:
//     small  the defaults, 1.3 M parameters: 28 x 28 pixels, one channel, batch 128
//     cifar  7.0 M: 32 x 32 x 3, channels 64 128 128, two blocks a level, batch 64
//
//     build/bench/unet_step [--size small|cifar] [--precision fp32|bf16] [--batch N] [--threads N]
//                           [--steps 3] [--check FILE] [unet.channels=32 ...]
//
// Prints one line "step SECONDS" a step, so that a peer can be run in turn (bench/table.sh), and at
// the end the processor's time, which other programs on the machine disturb less, and "products
// SECONDS", the products and convolutions of a step alone. --check writes
// weights, inputs and results for the peer to compare (bench/peers/unet_step.py).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "bench/check_file.h"
#include "bench/choices.h"
#include "bench/picture_step.h"
#include "bench/roof.h"
#include "calor/core/device.h"
#include "calor/core/error.h"

namespace {

using namespace calor;
using Clock = std::chrono::steady_clock;

flow::Flow make_flow(const std::vector<std::string>& settings, const data::ItemSpec& pictures,
                     net::Precision precision) {
  flow::ModelOptions model;
  model.path.kind = path::PathKind::linear;
  model.kind = net::NetworkKind::unet;
  config::Options options;
  model.declare(options);
  for (const auto& setting : settings) options.assign(setting, "command line");
  return bench::ready_flow(model, pictures, precision);
}

struct Size {
  const char* name;
  std::int64_t channels, side, batch;
  std::vector<std::string> settings;
};

std::vector<Size> sizes() {
  return {{.name = "small", .channels = 1, .side = 28, .batch = 128, .settings = {}},
          {.name = "cifar",
           .channels = 3,
           .side = 32,
           .batch = 64,
           .settings = {"unet.channels=64", "unet.multipliers=1 2 2", "unet.blocks=2",
                        "unet.attention=2", "unet.head_width=64", "unet.embedding=256"}}};
}

// The velocity's plain squared error at z = t x + (1 - t) noise, as the peer takes it. Weights are
// moved from where they begin, since a U-Net begins by predicting 0.
void write_check(flow::Flow& flow, const bench::Example& e, const std::string& path) {
  net::Network& network = flow.stage(0).network();
  net::Parameters& parameters = network.parameters();
  at::Tensor flat = parameters.flat();
  flat += 0.02 * at::randn(flat.sizes(), at::detail::createCPUGenerator(3));
  const at::Tensor z = at::lerp(e.noise, e.x, e.t.view({-1, 1, 1, 1}));
  parameters.flat_gradient().zero_();
  const at::Tensor prediction = network.forward({.z = z, .t = e.t, .y = e.y});
  const at::Tensor loss = at::mse_loss(prediction, e.x - e.noise);
  loss.backward();
  io::TensorFile file = bench::weights_and_gradients(parameters);
  file.tensors.emplace_back("x", e.x);
  file.tensors.emplace_back("noise", e.noise);
  file.tensors.emplace_back("z", z);
  file.tensors.emplace_back("t", e.t);
  file.tensors.emplace_back("y", e.y);
  file.tensors.emplace_back("prediction", prediction.detach());
  file.tensors.emplace_back("loss", loss.detach().view({1}));
  io::write_safetensors(path, file);
}

}  // namespace

int main(int argc, char** argv) try {
  calor::prepare_to_compute();
  std::string precision = "fp32", size_name = "small", check;
  std::int64_t batch = 0;
  int threads = 0;
  int steps = 3;
  std::vector<std::string> settings;
  CLI::App program("Times one training step of a U-Net.", "unet_step");
  program.add_option("--size", size_name, "small or cifar")
      ->check(CLI::IsMember({"small", "cifar"}))
      ->capture_default_str();
  program.add_option("--precision", precision, "fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  program.add_option("--batch", batch, "pictures in a step (default: the size's)")
      ->check(CLI::Range(1, 65536));
  program.add_option("--threads", threads, "threads (default: all)")->check(CLI::Range(1, 1024));
  program.add_option("--steps", steps, "steps to time, after one")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  program.add_option("--check", check, "write what the peer compares, and time nothing");
  program.add_option("settings", settings, "key=value of the network, after the size's");
  CLI11_PARSE(program, argc, argv);
  if (threads > 0) at::set_num_threads(threads);
  net::use(net::Products::automatic);
  const auto all = sizes();
  const Size& size =
      *std::ranges::find_if(all, [&](const Size& each) { return size_name == each.name; });
  settings.insert(settings.begin(), size.settings.begin(), size.settings.end());
  const data::ItemSpec pictures = bench::pictures_of(size.channels, size.side);
  flow::Flow flow = make_flow(settings, pictures, bench::precision_of(precision));
  if (!check.empty()) {
    write_check(flow, bench::random_example(4, pictures), check);
    return 0;
  }
  auto state = train::OptimiserState::start(flow.stage(0).network().parameters().flat());
  const bench::Example example = bench::random_example(batch > 0 ? batch : size.batch, pictures);
  bench::one_step(flow, state, example);
  double processor = 1e9;
  for (int i = 0; i < steps; ++i) {
    const auto start = Clock::now();
    const std::clock_t used = std::clock();
    bench::one_step(flow, state, example);
    processor = std::min(processor, static_cast<double>(std::clock() - used) / CLOCKS_PER_SEC);
    const std::chrono::duration<double> wall = Clock::now() - start;
    std::printf("step %.4f\n", wall.count());
    std::fflush(stdout);
  }
  std::puts(fmt::format("parameters {}, {}, batch {}: {:.3f} s of processor a step",
                        flow.stage(0).network().parameters().count(), precision, example.x.size(0),
                        processor)
                .c_str());
  std::printf("products %.5f\n",
              bench::products_alone([&] { bench::one_step(flow, state, example); }));
  return 0;
} catch (const calor::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_status();
}
