// The time of one heat blur, with a time of its own for each picture: as two small matrix products
// for each picture, and by way of the DCT (multiply its coefficients, transform back).
//
//     build/bench/blur [--side 32] [--batch 64] [--repeats 20] [--check FILE.npz]
//
// Prints lines "separable SECONDS" and "transforms SECONDS", the fastest of the repeats. --check
// writes pictures, times and the blurred pictures instead, for bench/peers/blur.py to compare.
#include <ATen/ATen.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

#include "calor/core/device.h"
#include "calor/core/error.h"
#include "calor/io/npy.h"
#include "calor/spectral/dct.h"

namespace {

using namespace calor;

double fastest(int repeats, const std::function<void()>& work) {
  double best = 1e9;
  for (int i = 0; i <= repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (i > 0) best = std::min(best, taken.count());
  }
  return best;
}

int run(std::int64_t side, std::int64_t batch, int repeats, const std::string& check) {
  const auto generator = at::detail::createCPUGenerator(0);
  const at::Tensor pictures = at::randn({batch, 3, side, side}, generator);
  const at::Tensor tau = at::rand({batch}, generator) * 4;
  const spectral::Dct dct(side, side, at::kFloat, at::kCPU);
  const at::Tensor lambda = spectral::laplacian_eigenvalues(side, side).to(at::kFloat);
  if (!check.empty()) {
    io::write_npz(check, {{"pictures", pictures},
                          {"tau", tau},
                          {"blurred", spectral::heat_blur(dct, pictures, tau)}});
    return 0;
  }
  std::printf("separable %.7f\n",
              fastest(repeats, [&] { spectral::heat_blur(dct, pictures, tau); }));
  std::printf("transforms %.7f\n", fastest(repeats, [&] {
                const at::Tensor kept = (-tau.view({-1, 1, 1, 1}) * lambda).exp();
                dct.inverse(dct.forward(pictures) * kept);
              }));
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  calor::prepare_to_compute();
  std::int64_t side = 32;
  std::int64_t batch = 64;
  int repeats = 20;
  std::string check;
  CLI::App program("Times the heat blur of pictures.", "blur");
  program.add_option("--side", side, "pixels")->check(CLI::Range(1, 4096))->capture_default_str();
  program.add_option("--batch", batch, "pictures of three channels")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  program.add_option("--repeats", repeats, "of which the fastest counts")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  program.add_option("--check", check, "FILE.npz");
  CLI11_PARSE(program, argc, argv);
  return run(side, batch, repeats, check);
} catch (const calor::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_status();
}
