#include "calor/path/arc_length.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

namespace calor::path {
namespace {

constexpr int nodes = 4096;
constexpr double step = std::numbers::pi / 2 / nodes;

// The speed of the law in phi, cos phi = e^-T, which runs from 0 to pi/2: smooth at both ends, for
// variances of 0, too. With k = e^(-2 theta T): c = 1 + k (C - 1), the mean m sqrt(k).
double speed(const DataSpectrum& data, const at::Tensor& theta, double phi) {
  const at::Tensor root = at::pow(std::cos(phi), theta);
  const at::Tensor d_root = -theta * root * std::tan(phi);
  const at::Tensor c = 1 + root.square() * (data.variance - 1);
  const at::Tensor deviation = root * d_root * (data.variance - 1) / c.sqrt();
  return (deviation.square() + data.squared_mean * d_root.square()).sum().sqrt().item<double>();
}

double ou_time(double phi) { return -std::log(std::cos(phi)); }

}  // namespace

ArcLength equal_arc_length(const DataSpectrum& data, double rho, int stages) {
  const at::Tensor theta = 1 + rho * data.lambda;
  std::vector<double> reached{0};  // the length up to phi = i step, by the midpoint rule
  for (int i = 0; i < nodes; ++i) {
    reached.push_back(reached.back() + speed(data, theta, (i + 0.5) * step) * step);
  }
  ArcLength out{.length = reached.back(), .gammas = {}};
  double before = 0;
  int i = 0;
  for (int border = 1; border < stages; ++border) {
    const double wanted = out.length * border / stages;
    while (i + 1 < nodes && reached[static_cast<std::size_t>(i) + 1] < wanted) ++i;
    const auto at_node = static_cast<std::size_t>(i);
    const double share = (wanted - reached[at_node]) / (reached[at_node + 1] - reached[at_node]);
    const double time = ou_time((i + share) * step);
    out.gammas.push_back(time - before);
    before = time;
  }
  return out;
}

}  // namespace calor::path
