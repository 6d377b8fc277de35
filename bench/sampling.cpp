// The time of one guided evaluation while sampling pictures: the image transformer P1 (32.5 M
// parameters, 32 x 32 x 3, patch 4), the conditional and the unconditional half in one batch.
//
//     build/bench/sampling [--precision fp32|bf16] [--batch 16] [--steps 8] [--solver spectral-2m]
//
// Prints a line "evaluation SECONDS": the whole of sampling, its solver included, over the number
// of evaluations; and "products SECONDS", an evaluation's products alone.
#include <ATen/ATen.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "bench/picture_step.h"
#include "bench/roof.h"
#include "calor/core/device.h"
#include "calor/core/error.h"
#include "calor/net/precision.h"
#include "calor/solve/generate.h"

namespace {

using namespace calor;

int run(const std::string& precision, std::int64_t batch, std::int64_t steps,
        const std::string& solver) {
  net::use(net::Products::automatic);
  flow::ModelOptions model;
  model.net = net::jit_size("S", 4);
  model.net.context_tokens = 32;
  model.net.context_start = 4;
  const auto flow =
      bench::ready_flow(model, bench::pictures_of(3, 32),
                        precision == "bf16" ? net::Precision::bf16 : net::Precision::fp32);
  solve::GenerateOptions options;
  config::Options declared;
  options.declare(declared);
  declared.assign("sample.solver=" + solver, "command line");
  options.solver.steps = steps;
  options.guidance.scale = 2;
  options.batch = batch;
  const auto start_of = [&] { return solve::start_from(flow, solve::sampling_keys(0, 0, batch)); };
  const at::Tensor labels = at::arange(batch, at::kLong) % 10;
  const auto sample = [&] {
    return solve::generate(flow, start_of(), {.labels = labels, .condition = {}}, options);
  };
  double best = 1e9;
  std::int64_t nfe = 0;
  for (int i = 0; i < 3; ++i) {
    const auto begun = std::chrono::steady_clock::now();
    nfe = sample().nfe;
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begun;
    best = std::min(best, taken.count() / static_cast<double>(nfe));
  }
  std::printf("evaluation %.5f\n", best);
  std::printf("products %.5f\n", bench::products_alone(sample) / static_cast<double>(nfe));
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  calor::prepare_to_compute();
  std::string precision = "fp32";
  std::string solver = "spectral-2m";
  std::int64_t batch = 16;
  std::int64_t steps = 8;
  CLI::App program("Times guided sampling of pictures.", "sampling");
  program.add_option("--precision", precision, "fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  program.add_option("--solver", solver, "as for calor sample")->capture_default_str();
  program.add_option("--batch", batch, "pictures")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  program.add_option("--steps", steps, "of the solver")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  CLI11_PARSE(program, argc, argv);
  return run(precision, batch, steps, solver);
} catch (const calor::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_status();
}
