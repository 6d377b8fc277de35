#include "calor/metric/energy.h"

#include "calor/metric/estimate.h"
#include "tests/metric/support.h"

namespace calor::metric {
namespace {

TEST(EnergyDistance, Golden) {
  CALOR_GOLDEN_METRICS(golden);
  const at::Tensor x = golden.at("x");
  const at::Tensor y = golden.at("y");
  const auto v = golden.at("energy_distance_v").item<double>();
  const auto u = golden.at("energy_distance_u").item<double>();
  const EnergyDistance found = energy_distance(x, y);
  EXPECT_NEAR(found.v / v, 1, 1e-9);
  EXPECT_NEAR(found.u / u, 1, 1e-9);
  const EnergyDistance single = energy_distance(x.to(at::kFloat), y.to(at::kFloat));
  EXPECT_NEAR(single.v, v, 1e-4);
  EXPECT_NEAR(single.u, u, 1e-4);
}

// On a line V is 2 int (F - G)^2 (Szekely and Rizzo 2013), and F and G are steps.
TEST(EnergyDistance, IsCramersDistanceOnALine) {
  const at::Tensor x = normal(1, {7});
  const at::Tensor y = normal(2, {12}) * 2 + 0.5;
  const at::Tensor all = std::get<0>(at::cat({x, y}).sort());
  double integral = 0;
  for (std::int64_t i = 0; i + 1 < all.size(0); ++i) {
    const at::Tensor t = all[i];
    const auto gap =
        (x.le(t).to(at::kDouble).mean() - y.le(t).to(at::kDouble).mean()).item<double>();
    integral += gap * gap * (all[i + 1] - t).item<double>();
  }
  EXPECT_NEAR(energy_distance(x.unsqueeze(1), y.unsqueeze(1)).v, 2 * integral, 1e-12);
}

// N(0, 1) and N(m, 1): E|x - y| = (2/sqrt(pi)) exp(-m^2/4) + m erf(m/2), E|x - x'| = 2/sqrt(pi).
// 40 repetitions, 4 standard errors; V's bias is 2/sqrt(pi) (1/n + 1/m), 10 of them.
TEST(EnergyDistance, ClosedFormForGaussians) {
  const double shift = 0.7;
  const double root = 2 / std::sqrt(M_PI);
  const double exact =
      2 * (root * std::exp(-shift * shift / 4) + shift * std::erf(shift / 2)) - 2 * root;
  std::vector<double> u;
  std::vector<double> v;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const auto found = energy_distance(normal(100 + i, {60, 1}), normal(200 + i, {80, 1}) + shift);
    u.push_back(found.u);
    v.push_back(found.v);
  }
  const Estimate unbiased = mean_and_standard_error(at::tensor(u));
  EXPECT_NEAR(unbiased.mean, exact, 4 * unbiased.standard_error);
  const Estimate biased = mean_and_standard_error(at::tensor(v));
  EXPECT_NEAR(biased.mean, exact + root * (1.0 / 60 + 1.0 / 80), 4 * biased.standard_error);
}

TEST(EnergyDistance, EqualSetsAreAtZero) {
  const at::Tensor x = normal(1, {200, 5});
  EXPECT_NEAR(energy_distance(x, x).v, 0, 1e-12);
  EXPECT_LT(energy_distance(x, x).u, 0);
}

}  // namespace
}  // namespace calor::metric
