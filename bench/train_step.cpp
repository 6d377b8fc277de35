// The time of one training step of an image transformer, and what its matrix products would take
// alone. Two configurations:
//     p1   32.5 M parameters: depth 12, width 384, 6 heads, 32 x 32 x 3, patch 4, batch 64
//     b16  JiT-B/16, 131.3 M: depth 12, width 768, 12 heads, 256 x 256 x 3, patch 16, batch 128
//
//     build/bench/train_step [--model p1|b16] [--precision fp32|bf16] [--products standard|onednn]
//                            [--device cpu|cuda] [--steps 3] [--kernels 0]
//
// Prints one line "step SECONDS" a step, so that a peer can be run in turn (bench/table.sh), and at
// the end "products SECONDS", the products of a step alone; with --kernels, a line "kernel SECONDS
// TIMES NAME" for those in which a GPU spends most of a step.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>

#include "bench/choices.h"
#include "bench/picture_step.h"
#include "bench/roof.h"
#include "calor/core/device.h"
#include "calor/core/error.h"
#include "calor/train/kernel_clock.h"

namespace {

using namespace calor;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void print_kernels(const std::vector<train::OperatorTime>& times, std::size_t most) {
  double all = 0;
  for (const auto& time : times) all += time.seconds;
  std::printf("kernels %.5f\n", all);
  for (std::size_t i = 0; i < std::min(most, times.size()); ++i) {
    std::printf("kernel %.5f %ld %s\n", times[i].seconds, static_cast<long>(times[i].count),
                times[i].name.substr(0, 150).c_str());
  }
}

// Waits for what was given to a GPU, if any: reading a number does.
void finish(const at::Tensor& last) { last.view(-1)[0].item<double>(); }

struct Arguments {
  std::string model = "p1", precision = "fp32", products = "auto", device = "cpu";
  int steps = 3;
  std::size_t kernels = 0;
};

// The fastest of the steps, in seconds.
double time_steps(int steps, const std::function<void()>& step) {
  double best = 1e9;
  for (int i = 0; i <= steps; ++i) {
    const auto start = Clock::now();
    step();
    const double seconds = seconds_since(start);
    if (i == 0) continue;
    best = std::min(best, seconds);
    std::printf("step %.4f\n", seconds);
    std::fflush(stdout);
  }
  return best;
}

int run(const Arguments& a) {
  const net::Products products = net::resolve(bench::products_of(a.products));
  net::use(products);
  const at::Device device = parse_device(a.device);
  const bench::PictureModel& model = bench::picture_model(a.model);
  const data::ItemSpec pictures = bench::pictures_of(3, model.side);
  flow::ModelOptions options = bench::options_of(model);
  options.path.kind = path::PathKind::linear;
  flow::Flow flow = bench::ready_flow(options, pictures, bench::precision_of(a.precision), device);
  const at::Tensor weights = flow.stage(0).network().parameters().flat();
  auto state = train::OptimiserState::start(weights);
  const bench::Example example = bench::random_example(model.batch, pictures, device);
  const auto step = [&] {
    bench::one_step(flow, state, example);
    finish(weights);
  };
  const double best = time_steps(a.steps, step);
  std::printf(
      "parameters %ld, %s, products by %s: best step %.4f s\n",
      static_cast<long>(flow.stage(0).network().parameters().count()), a.precision.c_str(),
      device.is_cpu() && products == net::Products::onednn ? "oneDNN" : "the default library",
      best);
  if (a.kernels > 0) {
    train::KernelClock clock;
    step();
    print_kernels(clock.times(), a.kernels);
  }
  std::printf("products %.5f\n", bench::products_alone(step));
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  calor::prepare_to_compute();
  Arguments a;
  CLI::App program("Times one training step of an image transformer.", "train_step");
  program.add_option("--model", a.model, "p1 or b16")
      ->check(CLI::IsMember({"p1", "b16"}))
      ->capture_default_str();
  program.add_option("--device", a.device, "cpu, cuda or cuda:N")->capture_default_str();
  program.add_option("--precision", a.precision, "fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  program.add_option("--products", a.products, "auto, standard or onednn")
      ->check(CLI::IsMember({"auto", "standard", "onednn"}))
      ->capture_default_str();
  program.add_option("--steps", a.steps, "steps to time, after one to warm up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  program.add_option("--kernels", a.kernels, "of a GPU, to list")->capture_default_str();
  CLI11_PARSE(program, argc, argv);
  return run(a);
} catch (const calor::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_status();
}
