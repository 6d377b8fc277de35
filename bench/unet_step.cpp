// The time of one training step of a U-Net on pictures of 28 x 28 pixels, one channel, 10 classes:
// forward, loss, backward, clipping, AdamW and both averages.
//
//     build/bench/unet_step [--precision fp32|bf16] [--batch 128] [--threads 1] [--steps 3]
//                           [unet.channels=32 "unet.multipliers=1 2 3" ...]
//
// Prints wall-clock time and the processor's time, which other programs on the machine disturb
// less; the best of the steps.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "calor/core/device.h"
#include "calor/flow/flow.h"
#include "calor/train/optimiser.h"

namespace {

using namespace calor;
using Clock = std::chrono::steady_clock;

flow::Flow make_flow(const std::vector<std::string>& settings, net::Precision precision) {
  flow::ModelOptions model;
  model.path.kind = path::PathKind::linear;
  model.kind = net::NetworkKind::unet;
  config::Options options;
  model.declare(options);
  for (const auto& setting : settings) options.assign(setting, "command line");
  const data::ItemSpec pictures{.channels = 1,
                                .height = 28,
                                .width = 28,
                                .class_names = std::vector<std::string>(10, "class")};
  flow::Flow flow(model, pictures, at::kCPU);
  net::Network& network = flow.stage(0).network();
  network.set_precision(precision);
  network.parameters().initialise(random_key(0, RandomUse::test));
  network.parameters().flatten(at::kCPU);
  network.parameters().allocate_gradient();
  return flow;
}

struct Example {
  at::Tensor x, noise, t, y;
};

void one_step(flow::Flow& flow, train::OptimiserState& state, const Example& e) {
  net::Parameters& parameters = flow.stage(0).network().parameters();
  parameters.flat_gradient().zero_();
  const auto& objective = flow.stage(0).objective();
  const at::Tensor z = objective.noisy(e.x, e.noise, e.t);
  const at::Tensor prediction = flow.stage(0).network().forward({.z = z, .t = e.t, .y = e.y});
  objective.loss(objective.target(e.x, z, e.noise, e.t), prediction, e.t).mean().backward();
  const double norm = parameters.flat_gradient().norm().item<double>();
  at::Tensor weights = parameters.flat();
  train::update(weights, parameters.flat_gradient(), std::min(1.0, 1 / norm), {.lr = 1e-4}, state);
}

}  // namespace

int main(int argc, char** argv) {
  calor::prepare_to_compute();
  std::string precision = "fp32";
  std::int64_t batch = 128;
  int threads = 1;
  int steps = 3;
  std::vector<std::string> settings;
  CLI::App program("Times one training step of a U-Net.", "unet_step");
  program.add_option("--precision", precision, "fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}));
  program.add_option("--batch", batch, "pictures in a step")->check(CLI::Range(1, 65536));
  program.add_option("--threads", threads, "threads")->check(CLI::Range(1, 1024));
  program.add_option("--steps", steps, "steps to time, after one")->check(CLI::Range(1, 1000));
  program.add_option("settings", settings, "key=value of the network");
  CLI11_PARSE(program, argc, argv);
  at::set_num_threads(threads);
  flow::Flow flow =
      make_flow(settings, precision == "bf16" ? net::Precision::bf16 : net::Precision::fp32);
  const net::Parameters& parameters = flow.stage(0).network().parameters();
  auto state = train::OptimiserState::start(parameters.flat());
  const auto generator = at::detail::createCPUGenerator(0);
  const Example example{.x = at::randn({batch, 1, 28, 28}, generator),
                        .noise = at::randn({batch, 1, 28, 28}, generator),
                        .t = at::rand({batch}, generator),
                        .y = at::arange(batch, at::kLong) % 10};
  one_step(flow, state, example);
  double wall = 1e9;
  double processor = 1e9;
  for (int i = 0; i < steps; ++i) {
    const auto start = Clock::now();
    const std::clock_t used = std::clock();
    one_step(flow, state, example);
    processor = std::min(processor, static_cast<double>(std::clock() - used) / CLOCKS_PER_SEC);
    wall = std::min(wall, std::chrono::duration<double>(Clock::now() - start).count());
  }
  const auto pictures = static_cast<double>(batch);
  std::puts(fmt::format("{} parameters, {}, {} threads, batch {}: {:.3f} s a step, {:.0f} img/s; "
                        "{:.3f} s of processor, {:.0f} img/s",
                        parameters.count(), precision, threads, batch, wall, pictures / wall,
                        processor, pictures / processor)
                .c_str());
  return 0;
}
