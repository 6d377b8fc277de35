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

constexpr std::int64_t side = 4;
constexpr double blur = 0.3;  // rho of local HDFM

at::Tensor frequencies() { return spectral::laplacian_eigenvalues(side, side).flatten(); }

// None reaches 2, where chi-squared is infinite: C = .5 + 1 / (1 + i^2 + j^2).
at::Tensor data_variance() {
  const at::Tensor i = at::arange(side, at::kDouble).square();
  return (0.5 + 1 / (1 + i.unsqueeze(1) + i.unsqueeze(0))).flatten();
}

std::vector<path::StageStep> steps_of(bool free, double rho = blur) {
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
  constexpr int nodes = 20;
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

constexpr int decades = 4;  // eps from 1e-4 to 1

// Curves in log10 of both axes, from -4 to 0 across and from -9 to 1 up, as dense points; ticks are
// dots at each power of ten.
at::Tensor plot(bool free) {
  std::vector<double> points;
  const auto add = [&](double log_eps, double log_value) {
    if (!std::isfinite(log_value)) return;
    points.push_back(log_eps / 2 + 1);
    points.push_back((log_value + 4) / 5);
  };
  // Straight pieces, 10 a decade, of 40 points each.
  constexpr int pieces = 10 * decades, dots = 40;
  const auto place = [](int k) { return -decades + k * 0.1; };
  const auto value = [&](int k) {
    return std::log10(chi_squared_at(std::pow(10, place(k)), free));
  };
  double left = value(0);
  for (int k = 0; k < pieces; ++k) {
    const double right = value(k + 1);
    for (int i = 0; i < dots; ++i) {
      const double share = static_cast<double>(i) / dots, x = place(k) + 0.1 * share;
      add(x, left + share * (right - left));
      if (i < dots / 2) add(x, x / 2);
    }
    left = right;
  }
  constexpr int repeats = 60;
  for (int i = 0; i < repeats; ++i) {
    for (int x = -decades; x <= 0; ++x) add(x, -9);
    for (int y = -9; y <= 1; ++y) add(-decades, y);
  }
  const at::Tensor all = at::tensor(points, at::kDouble).view({-1, 2});
  return report::scatter_picture(all, 1.05, 420, {.scale = report::DensityScale::root});
}

void print_contraction(double rho) {
  std::printf("chi^2 to noise after each exact step, rho = %.1f:\n", rho);
  std::printf("%10s %14s %10s %14s\n", "gamma", "chi^2", "factor", "e^(-2 gamma)");
  at::Tensor law = data_variance();
  double before = metric::chi_squared(law, at::ones_like(law));
  std::printf("%10s %14.4e\n", "data", before);
  for (const path::StageStep& step : steps_of(false, rho)) {
    law = run_stage(step, law).right;
    const double now = metric::chi_squared(law, at::ones_like(law));
    std::printf("%10.3f %14.4e %10.4f %14.4f\n", step.gamma, now, now / before,
                std::exp(-2 * step.gamma));
    before = now;
  }
  std::printf("\n");
}

void print_errors() {
  std::printf("chi^2(data | generated) by the stages' error:\n");
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
  print_contraction(0);
  print_contraction(blur);
  print_errors();
  if (argc < 2) return 0;
  const std::string file = argv[1];
  io::write_png(file, report::side_by_side(
                          {report::with_title(plot(true), "CHI SQUARED, ROOT OF EPS (DASHED)"),
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
