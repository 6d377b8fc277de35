// The time of one guided evaluation while sampling pictures by an image transformer (train_step.cpp
// says which), the conditional and the unconditional half in one batch.
//
//     build/bench/sampling [--model p1|b16] [--precision fp32|bf16] [--device cpu|cuda]
//                          [--batch 16] [--steps 8] [--solver spectral-2m]
//
// Prints a line "evaluation SECONDS": the whole of sampling, its solver included, over the number
// of evaluations; and "products SECONDS", an evaluation's products alone.
#include <ATen/ATen.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "bench/choices.h"
#include "bench/picture_step.h"
#include "bench/roof.h"
#include "calor/core/device.h"
#include "calor/core/error.h"
#include "calor/solve/generate.h"

namespace {

using namespace calor;

struct Arguments {
  std::string model = "p1", precision = "fp32", device = "cpu", solver = "spectral-2m";
  std::int64_t batch = 16, steps = 8;
};

int run(const Arguments& a) {
  net::use(net::Products::automatic);
  const at::Device device = parse_device(a.device);
  const bench::PictureModel& model = bench::picture_model(a.model);
  const auto flow = bench::ready_flow(bench::options_of(model), bench::pictures_of(3, model.side),
                                      bench::precision_of(a.precision), device);
  solve::GenerateOptions options;
  config::Options declared;
  options.declare(declared);
  declared.assign("sample.solver=" + a.solver, "command line");
  options.solver.steps = a.steps;
  options.guidance.scale = 2;
  options.batch = a.batch;
  const auto start_of = [&] {
    return solve::start_from(flow, solve::sampling_keys(0, 0, a.batch));
  };
  const at::Tensor labels = at::arange(a.batch, at::kLong) % 10;
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
  Arguments a;
  CLI::App program("Times guided sampling of pictures.", "sampling");
  program.add_option("--model", a.model, "p1 or b16")
      ->check(CLI::IsMember({"p1", "b16"}))
      ->capture_default_str();
  program.add_option("--precision", a.precision, "fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  program.add_option("--device", a.device, "cpu, cuda or cuda:N")->capture_default_str();
  program.add_option("--solver", a.solver, "as for calor sample")->capture_default_str();
  program.add_option("--batch", a.batch, "pictures")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  program.add_option("--steps", a.steps, "of the solver")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  CLI11_PARSE(program, argc, argv);
  return run(a);
} catch (const calor::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_status();
}
