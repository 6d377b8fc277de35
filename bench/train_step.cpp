// The time of one training step of configuration P1 (an image transformer of 32.6 M parameters:
// depth 12, width 384, 6 heads, 32 x 32 x 3, patch 4, 32 class tokens, batch 64) and the share of
// it that its matrix products would take alone.
//
//     build/bench/train_step [--precision fp32|bf16] [--products standard|onednn] [--steps 3]
//
// Prints one line "step SECONDS" a step, so that a peer can be run in turn (bench/compare_step.sh).
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "bench/picture_step.h"
#include "calor/core/device.h"
#include "calor/net/precision.h"

namespace {

using namespace calor;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t batch = 64;
constexpr std::int64_t tokens = 64;
constexpr std::int64_t context = 32;
constexpr std::int64_t context_start = 4;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

flow::Flow make_flow(const data::ItemSpec& pictures, net::Precision precision) {
  flow::ModelOptions options;
  options.path.kind = path::PathKind::linear;
  options.net = net::jit_size("S", 4);
  options.net.context_tokens = context;
  options.net.context_start = context_start;
  return bench::ready_flow(options, pictures, precision);
}

// The step's large products alone, forward and the two of backward, at the same sizes and type.
double products_alone(net::Precision precision) {
  const at::ScalarType type = precision == net::Precision::bf16 ? at::kBFloat16 : at::kFloat;
  constexpr std::int64_t width = 384;
  struct Shape {
    std::int64_t in, out;
  };
  const Shape shapes[] = {{width, 3 * width}, {width, width}, {width, 2048}, {1024, width}};
  double total = 0;
  for (const auto& [in, out] : shapes) {
    for (const bool with_context : {false, true}) {
      const std::int64_t rows = batch * (tokens + (with_context ? context : 0));
      const at::Tensor x = at::ones({rows, in}, type);
      const at::Tensor w = at::ones({out, in}, type);
      const at::Tensor g = at::ones({rows, out}, type);
      double best = 1e9;
      for (int i = 0; i < 5; ++i) {
        const auto start = Clock::now();
        at::linear(x, w);
        at::mm(g, w);
        at::mm(g.t(), x);
        best = std::min(best, seconds_since(start));
      }
      total += best * static_cast<double>(with_context ? 12 - context_start : context_start);
    }
  }
  return total;
}

}  // namespace

int main(int argc, char** argv) {
  calor::prepare_to_compute();
  std::string precision_name = "fp32";
  std::string products_name = "auto";
  int steps = 3;
  CLI::App program("Times one training step of the image transformer P1.", "train_step");
  program.add_option("--precision", precision_name, "fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  program.add_option("--products", products_name, "auto, standard or onednn")
      ->check(CLI::IsMember({"auto", "standard", "onednn"}))
      ->capture_default_str();
  program.add_option("--steps", steps, "steps to time, after one to warm up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  CLI11_PARSE(program, argc, argv);
  const net::Precision precision =
      precision_name == "bf16" ? net::Precision::bf16 : net::Precision::fp32;
  net::Products products = products_name == "onednn"     ? net::Products::onednn
                           : products_name == "standard" ? net::Products::standard
                                                         : net::resolve(net::Products::automatic);
  net::use(products);
  const data::ItemSpec pictures = bench::pictures_of(3, 32);
  flow::Flow flow = make_flow(pictures, precision);
  auto state = train::OptimiserState::start(flow.stage(0).network().parameters().flat());
  const bench::Example example = bench::random_example(batch, pictures);
  double best = 1e9;
  for (int i = 0; i <= steps; ++i) {
    const auto start = Clock::now();
    bench::one_step(flow, state, example);
    const double seconds = seconds_since(start);
    if (i == 0) continue;
    best = std::min(best, seconds);
    std::printf("step %.4f\n", seconds);
    std::fflush(stdout);
  }
  const double products_time = products_alone(precision);
  std::printf(
      "parameters %ld, %s, products by %s: best step %.3f s, matrix products alone %.3f s (%.0f "
      "%%)\n",
      static_cast<long>(flow.stage(0).network().parameters().count()), precision_name.c_str(),
      products == net::Products::onednn ? "oneDNN" : "the default library", best, products_time,
      100 * products_time / best);
  return 0;
}
