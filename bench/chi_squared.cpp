// The theory of local flow matching on Gaussians, where all of it is known exactly: chi-squared of
// the data against what a chain generates, by the error of its stages. The velocity of every stage
// is off by the same constant matrix, so that its L2 error is eps. The theory bounds chi-squared by
// a multiple of eps^(1/2) (arXiv 2410.02548); on Gaussians it grows with eps^2. Beside it what is
// left without a free last stage: the chain's own distance to noise, which more steps contract by
// e^(-2 gamma) each. No network, no randomness, seconds.
//
//     make bench && build/bench/chi_squared [PICTURE.png]
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "calor/core/error.h"
#include "calor/io/picture.h"
#include "calor/metric/chi_squared.h"
#include "calor/path/stage_path.h"
#include "calor/report/density_plot.h"
#include "calor/report/titles.h"
#include "calor/spectral/dct.h"

namespace {

using namespace calor;

constexpr std::int64_t side = 16;
constexpr double rho = 0.3;

at::Tensor frequencies() { return spectral::laplacian_eigenvalues(side, side).flatten(); }

// Pictures' coefficients in units in which none reaches 2: C = 1.5 / (1 + i^2 + j^2).
at::Tensor data_variance() {
  const at::Tensor i = at::arange(side, at::kDouble).square();
  return (1.5 / (1 + i.unsqueeze(1) + i.unsqueeze(0))).flatten();
}

std::vector<path::StageStep> steps_of(bool free) {
  std::vector<path::StageStep> steps;
  for (const double gamma : {0.1, 0.15, 0.2, 0.3}) {
    steps.push_back({.free = false, .gamma = gamma, .start = 0, .rho = rho});
  }
  if (free) steps.push_back({.free = true, .gamma = 0, .start = 0, .rho = rho});
  return steps;
}

// The law that a stage with its exact velocity leads to, and the mean of c over the way, c = A^2 p
// + S^2 along the stage's path: E |x|^2 = the sum of c.
struct Stage {
  at::Tensor right;
  double power = 0;
};
Stage run_stage(const path::StageStep& step, const at::Tensor& left) {
  const auto path = path::stage_path(path::InnerPath::linear, step);
  constexpr int nodes = 200;
  Stage stage;
  for (int k = 0; k <= nodes; ++k) {
    const at::Tensor t = at::full({1}, 1 - static_cast<double>(k) / nodes, at::kDouble);
    const at::Tensor lambda = frequencies();
    const at::Tensor c =
        (2 * path->log_a(t, lambda)).exp() * left + (2 * path->log_s(t, lambda)).exp();
    const double weight = k == 0 || k == nodes ? 0.5 / nodes : 1.0 / nodes;
    stage.power += weight * c.sum().item<double>();
    stage.right = c;
  }
  return stage;
}

// chi^2(data | generated) = chi^2(p_N | noise), p_N the law of the data pushed through the stages,
// whose velocities have `error` x added, of L2 norm eps: each stage then scales by e^error more.
double chi_squared_at(double eps, bool free) {
  at::Tensor law = data_variance();
  for (const path::StageStep& step : steps_of(free)) {
    const Stage stage = run_stage(step, law);
    law = stage.right * std::exp(2 * eps / std::sqrt(stage.power));
  }
  return metric::chi_squared(law, at::ones_like(law));
}

// Curves in log10 of both axes, from -4 to 0 across and from -9 to 1 up, as dense points; ticks are
// dots at each power of ten.
at::Tensor plot(bool free) {
  std::vector<double> points;
  const auto add = [&](double eps, double value) {
    if (!std::isfinite(value) || value <= 0) return;
    points.push_back(std::log10(eps) / 2 + 1);
    points.push_back((std::log10(value) + 4) / 5);
  };
  for (int k = 0; k <= 1500; ++k) {
    const double eps = std::pow(10, -4 + 4 * k / 1500.0);
    add(eps, chi_squared_at(eps, free));
    if (k % 20 < 12) add(eps, std::sqrt(eps));
  }
  constexpr int repeats = 60;
  for (int i = 0; i < repeats; ++i) {
    for (int x = -4; x <= 0; ++x) add(std::pow(10, x), 1e-9);
    for (int y = -9; y <= 1; ++y) add(1e-4, std::pow(10, y));
  }
  const at::Tensor all = at::tensor(points, at::kDouble).view({-1, 2});
  return report::scatter_picture(all, 1.05, 420, {.scale = report::DensityScale::root});
}

void print_contraction() {
  std::printf("chi^2 to noise after each exact step, rho = %.1f:\n", rho);
  std::printf("%10s %14s %10s %14s\n", "gamma", "chi^2", "factor", "e^(-2 gamma)");
  at::Tensor law = data_variance();
  double before = metric::chi_squared(law, at::ones_like(law));
  std::printf("%10s %14.4e\n", "data", before);
  for (const path::StageStep& step : steps_of(false)) {
    law = run_stage(step, law).right;
    const double now = metric::chi_squared(law, at::ones_like(law));
    std::printf("%10.3f %14.4e %10.4f %14.4f\n", step.gamma, now, now / before,
                std::exp(-2 * step.gamma));
    before = now;
  }
}

void print_errors() {
  std::printf("\nchi^2(data | generated) by the stages' error:\n");
  std::printf("%10s %16s %8s %18s %12s\n", "eps", "free last stage", "slope", "without it",
              "eps^(1/2)");
  for (const double eps : {1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0}) {
    const double now = chi_squared_at(eps, true);
    const double earlier = chi_squared_at(eps / 1.1, true);
    const double slope = std::log(now / earlier) / std::log(1.1);
    std::printf("%10.0e %16.3e %8.3f %18.3e %12.3e\n", eps, now, slope, chi_squared_at(eps, false),
                std::sqrt(eps));
  }
}

int run(int argc, char** argv) {
  print_contraction();
  print_errors();
  if (argc < 2) return 0;
  const std::string file = argv[1];
  io::write_png(file,
                report::side_by_side({report::with_title(plot(true), "CHI^2, AND EPS^1/2 (DASHED)"),
                                      report::with_title(plot(false), "NO FREE LAST STAGE")}));
  std::printf("\n%s: eps from 1e-4 to 1 across, chi^2 from 1e-9 to 10 up\n", file.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_status();
  }
}
