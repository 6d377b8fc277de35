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

#include "bench/picture_step.h"
#include "calor/core/device.h"

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
  const data::ItemSpec pictures_28 = bench::pictures_of(1, 28);
  flow::Flow flow = make_flow(settings, pictures_28,
                              precision == "bf16" ? net::Precision::bf16 : net::Precision::fp32);
  const net::Parameters& parameters = flow.stage(0).network().parameters();
  auto state = train::OptimiserState::start(parameters.flat());
  const bench::Example example = bench::random_example(batch, pictures_28);
  bench::one_step(flow, state, example);
  double wall = 1e9;
  double processor = 1e9;
  for (int i = 0; i < steps; ++i) {
    const auto start = Clock::now();
    const std::clock_t used = std::clock();
    bench::one_step(flow, state, example);
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
