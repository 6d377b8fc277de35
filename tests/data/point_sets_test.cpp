#include "calor/data/point_sets.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <set>

#include "calor/core/error.h"
#include "calor/data/strokes.h"
#include "calor/report/density_plot.h"

namespace calor::data {
namespace {

constexpr double pi = std::numbers::pi;

RandomKey test_key(std::uint64_t which) { return random_key(which, RandomUse::test); }

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const PointSetInfo& set : known_point_sets()) names.push_back(set.name);
  return names;
}

class EveryPointSet : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(All, EveryPointSet, testing::ValuesIn(all_names()));

TEST_P(EveryPointSet, LiesInTheBoxWhereItsDensityIsFinite) {
  const Points drawn = draw_labelled_points(GetParam(), 200'000, test_key(1));
  EXPECT_EQ(drawn.points.scalar_type(), at::kFloat);
  EXPECT_EQ(drawn.points.sizes(), (std::vector<std::int64_t>{200'000, 2}));
  EXPECT_LT(drawn.points.abs().max().item<double>(), point_box);
  EXPECT_TRUE(point_log_density(GetParam(), drawn.points).isfinite().all().item<bool>());
}

TEST_P(EveryPointSet, IsTheSameOnAnyNumberOfThreadsAndForAnyLength) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Points one = draw_labelled_points(GetParam(), 30'000, test_key(2));
  at::set_num_threads(2);
  const Points two = draw_labelled_points(GetParam(), 30'000, test_key(2));
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one.points, two.points));
  EXPECT_TRUE(at::equal(one.labels, two.labels));
  EXPECT_TRUE(at::equal(draw_points(GetParam(), 777, test_key(2)), one.points.narrow(0, 0, 777)));
  EXPECT_FALSE(at::equal(draw_points(GetParam(), 777, test_key(3)), one.points.narrow(0, 0, 777)));
}

TEST_P(EveryPointSet, DensityIntegratesToOne) {
  // The thinnest twigs of the tree, 0.016 across, are wider than four pixels of the finer grid.
  const bool drawing = GetParam() == "tree" || GetParam() == "rose";
  const std::int64_t side = drawing ? 2048 : 256;
  const at::Tensor grid = report::plot_grid(point_box, side);
  const double integral =
      report::integrate_grid(point_log_density(GetParam(), grid), point_box, side);
  EXPECT_NEAR(integral, 1, 1e-3);
}

// A histogram of draws against the density's integral over its cells. With k cells of at least 10
// expected points, the rest together as one more, chi-square has mean k and deviation sqrt(2k);
// five deviations are passed once in a million, and the seed is fixed.
TEST_P(EveryPointSet, DrawsFollowTheDensity) {
  constexpr std::int64_t cells = 32;
  const std::int64_t factor = GetParam() == "tree" || GetParam() == "rose" ? 64 : 16;
  constexpr std::int64_t n = 100'000;
  const at::Tensor fine =
      point_log_density(GetParam(), report::plot_grid(point_box, cells * factor));
  const at::Tensor expected =
      report::averaged_log_density(fine.reshape({cells * factor, cells * factor}), factor)
          .exp()
          .flatten() *
      (n * std::pow(2 * point_box / cells, 2));
  const at::Tensor points = draw_points(GetParam(), n, test_key(4)).to(at::kDouble);
  const at::Tensor column = ((points.select(1, 0) + point_box) * (cells / (2 * point_box))).floor();
  const at::Tensor row = ((point_box - points.select(1, 1)) * (cells / (2 * point_box))).floor();
  const at::Tensor counts =
      at::bincount((row * cells + column).to(at::kLong), {}, cells * cells).to(at::kDouble);
  const at::Tensor enough = expected.ge(10);
  const at::Tensor e = expected.masked_select(enough);
  double chi_square = ((counts.masked_select(enough) - e).square() / e).sum().item<double>();
  const double rest = (expected.sum() - e.sum()).item<double>();
  const double rest_count = n - counts.masked_select(enough).sum().item<double>();
  chi_square += std::pow(rest_count - rest, 2) / std::max(rest, 10.0);
  const auto k = static_cast<double>(e.numel());
  EXPECT_LT(std::abs(chi_square - k), 5 * std::sqrt(2 * k));
  EXPECT_GT(k, 20);
}

TEST(PointSets, AreDescribed) {
  std::set<std::string> names;
  for (const PointSetInfo& info : known_point_sets()) {
    names.insert(info.name);
    EXPECT_TRUE(info.description.ends_with('.')) << info.name;
    EXPECT_EQ(known_point_set(info.name).description, info.description);
  }
  EXPECT_EQ(names, (std::set<std::string>{"checkerboard", "two-moons", "spirals", "pinwheel",
                                          "rings", "8-gaussians", "tree", "rose"}));
}

// Shares of the classes, each within five deviations of a binomial count.
TEST(PointSets, ClassesHaveTheirShares) {
  const std::map<std::string, std::vector<double>> shares{
      {"two-moons", {0.5, 0.5}},
      {"spirals", {0.5, 0.5}},
      {"pinwheel", std::vector<double>(5, 0.2)},
      {"rings", {0.1, 0.2, 0.3, 0.4}},
      {"8-gaussians", std::vector<double>(8, 0.125)},
      {"rose", {1}}};
  constexpr std::int64_t n = 50'000;
  for (const auto& [name, expected] : shares) {
    const Points drawn = draw_labelled_points(name, n, test_key(5));
    EXPECT_EQ(drawn.class_names.size(), expected.size() == 1 ? 0 : expected.size()) << name;
    const at::Tensor counts = at::bincount(drawn.labels).to(at::kDouble);
    ASSERT_EQ(counts.numel(), static_cast<std::int64_t>(expected.size())) << name;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      const double p = expected[k];
      EXPECT_NEAR(counts[static_cast<std::int64_t>(k)].item<double>() / n, p,
                  5 * std::sqrt(p * (1 - p) / n))
          << name << " class " << k;
    }
  }
}

TEST(PointSets, CheckerboardLeavesEveryOtherSquareEmpty) {
  const at::Tensor squares =
      ((draw_points("checkerboard", 100'000, test_key(6)).to(at::kDouble) + 4) / 2).floor();
  EXPECT_EQ(squares.sum(1).remainder(2).abs().max().item<double>(), 0);
  const at::Tensor centres = at::tensor({-3.0, -3.0, -1.0, -3.0, 4.5, 0.0}).reshape({3, 2});
  const at::Tensor density = point_log_density("checkerboard", centres);
  EXPECT_DOUBLE_EQ(density[0].item<double>(), -std::log(32.0));
  EXPECT_TRUE(density.narrow(0, 1, 2).isneginf().all().item<bool>());
}

at::Tensor test_points(std::int64_t n) {
  std::vector<double> u(static_cast<std::size_t>(2 * n));
  fill_uniform(test_key(7), u);
  return (at::tensor(u).reshape({n, 2}) * 2 - 1) * point_box;
}

void expect_log_density(const std::string& name, const at::Tensor& points, const at::Tensor& oracle,
                        double tolerance) {
  const at::Tensor error = (point_log_density(name, points) - oracle).abs();
  EXPECT_LT(error.max().item<double>(), tolerance) << name;
}

// A circle of radius R with Gaussian noise: exp(-(r^2 + R^2) / 2 s^2) I_0(r R / s^2) / (2 pi s^2).
TEST(PointSets, RingsAreBesselFunctions) {
  const at::Tensor points = test_points(2000);
  const at::Tensor r = points.square().sum(1).sqrt();
  constexpr double s = 0.08;
  at::Tensor total = at::full_like(r, -INFINITY);
  for (int k = 1; k <= 4; ++k) {
    const double radius = 0.8 * k;
    const at::Tensor ring = -(r - radius).square() / (2 * s * s) +
                            at::special_i0e(r * radius / (s * s)).log() +
                            std::log(k / 10.0 / (2 * pi * s * s));
    total = at::logaddexp(total, ring);
  }
  expect_log_density("rings", points, total, 1e-8);
}

// log of the mean of N(x; at(u), s^2 I) over u in [0, 1] by Simpson's rule on 20,000 intervals, a
// hundred to a deviation, for curves [intervals + 1, 2].
at::Tensor simpson(const at::Tensor& points, const at::Tensor& curve, double s) {
  const std::int64_t intervals = curve.size(0) - 1;
  at::Tensor weights = at::full({intervals + 1}, 2.0, at::kDouble);
  weights.slice(0, 1, intervals, 2).fill_(4);
  weights[0] = 1;
  weights[intervals] = 1;
  const at::Tensor squares = (points.unsqueeze(1) - curve.unsqueeze(0)).square().sum(2);
  const at::Tensor log_weights = (weights / (3.0 * static_cast<double>(intervals))).log();
  return at::logsumexp(-squares / (2 * s * s) + log_weights, {1}) - std::log(2 * pi * s * s);
}

// Near the curves to eight digits: draws, with as much noise again as keeps them within eight
// deviations or so. In the whole box, up to sixty deviations away, to 1e-3 of the logarithm.
void expect_curve_and_mirrored(const std::string& name, const at::Tensor& curve, double s) {
  const auto oracle = [&](const at::Tensor& points) {
    return at::logaddexp(simpson(points, curve, s), simpson(points, -curve, s)) + std::log(0.5);
  };
  const at::Tensor draws = draw_points(name, 150, test_key(12)).to(at::kDouble);
  const at::Tensor near = draws + test_points(150) / point_box * (4 * s);
  expect_log_density(name, near, oracle(near), 1e-8);
  const at::Tensor anywhere = test_points(150);
  const at::Tensor expected = oracle(anywhere);
  const at::Tensor error = (point_log_density(name, anywhere) / expected - 1).abs();
  EXPECT_LT(error.max().item<double>(), 1e-3) << name;
}

TEST(PointSets, NoisyCurvesAreIntegralsAlongThem) {
  const at::Tensor u = at::linspace(0, 1, 20'001, at::kDouble);
  const at::Tensor moon = at::stack({2 * (u * pi).cos() - 1, 2 * (u * pi).sin() - 0.5}, 1);
  expect_curve_and_mirrored("two-moons", moon, 0.1);
  const at::Tensor t = (0.02 + 0.98 * u).sqrt();
  const at::Tensor arm = at::stack({3.4 * t * (t * 3 * pi).cos(), 3.4 * t * (t * 3 * pi).sin()}, 1);
  expect_curve_and_mirrored("spirals", arm, 0.065);
}

TEST(PointSets, EightGaussiansAreAMixture) {
  const at::Tensor points = test_points(2000);
  constexpr double s = 0.16;
  at::Tensor total = at::full({2000}, -INFINITY, at::kDouble);
  for (int k = 0; k < 8; ++k) {
    const at::Tensor centre =
        at::tensor({2.6 * std::cos(k * pi / 4), 2.6 * std::sin(k * pi / 4)}, at::kDouble);
    total = at::logaddexp(total, -(points - centre).square().sum(1) / (2 * s * s));
  }
  expect_log_density("8-gaussians", points, total - std::log(8 * 2 * pi * s * s), 1e-10);
}

// Radii of ring k: mean R + s^2/(2R) and deviation s to second order in s/R.
TEST(PointSets, RingsHaveTheirRadii) {
  const Points drawn = draw_labelled_points("rings", 100'000, test_key(8));
  const at::Tensor radii = drawn.points.to(at::kDouble).square().sum(1).sqrt();
  constexpr double s = 0.08;
  for (int k = 0; k < 4; ++k) {
    const at::Tensor ring = radii.masked_select(drawn.labels.eq(k));
    const auto n = static_cast<double>(ring.numel());
    const double radius = 0.8 * (k + 1);
    EXPECT_NEAR(ring.mean().item<double>(), radius + s * s / (2 * radius), 5 * s / std::sqrt(n));
    // The deviation's own is s / sqrt(2n).
    EXPECT_NEAR(ring.std().item<double>(), s, 5 * s / std::sqrt(2 * n) + 1e-4);
  }
}

TEST(PointSets, MoonsAreLabelled) {
  const Points drawn = draw_labelled_points("two-moons", 10'000, test_key(9));
  const at::Tensor points = drawn.points.to(at::kDouble);
  const at::Tensor sign = 1 - 2 * drawn.labels.to(at::kDouble);
  const at::Tensor x = points.select(1, 0) * sign + 1;
  const at::Tensor y = points.select(1, 1) * sign + 0.5;
  // Six deviations of noise around the half circle of radius 2.
  EXPECT_LT(((x.square() + y.square()).sqrt() - 2).abs().max().item<double>(), 0.6);
  EXPECT_GT(y.min().item<double>(), -0.6);
}

TEST(PointSets, DrawingsFillTheBox) {
  for (const char* name : {"tree", "rose"}) {
    const at::Tensor points = draw_points(name, 100'000, test_key(10));
    const at::Tensor reach = points.abs().max();
    EXPECT_GT(reach.item<double>(), 3.85) << name;
    EXPECT_LE(reach.item<double>(), 3.9 + 1e-6) << name;
  }
  // The trunk stands below, the crown above; between the first two boughs there is nothing.
  const at::Tensor tree = at::tensor({0.0, -2.5, 0.0, 0.5, -3.5, -3.0}).reshape({3, 2});
  const at::Tensor density = point_log_density("tree", tree);
  EXPECT_TRUE(density[0].isfinite().item<bool>());
  EXPECT_TRUE(density.narrow(0, 1, 2).isneginf().all().item<bool>());
}

TEST(PointSets, SaysWhatIsWrong) {
  try {
    draw_points("two-moon", 3, test_key(1));
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.expected().find("pinwheel"), std::string::npos);
    EXPECT_NE(error.found().find("two-moon"), std::string::npos);
    EXPECT_NE(error.hint().find("two-moons"), std::string::npos);
    EXPECT_EQ(error.kind(), ErrorKind::usage);
  }
  EXPECT_THROW(draw_points("rose", -1, test_key(1)), Error);
  EXPECT_THROW(point_log_density("rose", at::zeros({3, 3})), Error);
  EXPECT_THROW(point_log_density("rose", at::zeros({3, 2}, at::kLong)), Error);
  EXPECT_EQ(draw_points("rose", 0, test_key(1)).size(0), 0);
}

TEST(PointSets, PointsThatAreNotFiniteHaveNoDensity) {
  const at::Tensor points = at::tensor({NAN, 0.0F, INFINITY, 0.0F, 1e30F, 0.0F}).reshape({3, 2});
  for (const auto& info : known_point_sets()) {
    const at::Tensor density = point_log_density(info.name, points);
    EXPECT_TRUE(density[0].isnan().item<bool>()) << info.name;
    EXPECT_TRUE(density[1].isneginf().item<bool>()) << info.name;
    EXPECT_LT(density[2].item<double>(), -1e30) << info.name;
  }
}

// One stroke from (0, 0) to (2, 0), half a unit wide at its start and a unit at its end.
TEST(Strokes, HaveTheStatedDensity) {
  const StrokeLaw law(
      {{.start = {0, 0}, .end = {2, 0}, .start_width = 0.5, .end_width = 1, .mass = 7}});
  EXPECT_NEAR(law.log_density({0, 0}), std::log(0.75 / (2 * 0.5)), 1e-12);
  EXPECT_NEAR(law.log_density({1, 0.375}), std::log(0.75 * 0.75 / (2 * 0.75)), 1e-12);
  EXPECT_EQ(law.log_density({-0.001, 0}), -INFINITY);
  EXPECT_EQ(law.log_density({1, -0.751}), -INFINITY);
}

TEST(Strokes, ShareTheMassAndJoin) {
  std::vector<Stroke> strokes;
  add_curve(strokes,
            {.at = [](double t) -> Vec2 {
               return {std::cos(pi * t), std::sin(pi * t)};
             },
             .half_width = [](double t) { return 0.1 + 0.1 * t; }},
            100, 3);
  double mass = 0;
  for (std::size_t i = 0; i + 1 < strokes.size(); ++i) {
    mass += strokes[i].mass;
    EXPECT_EQ(strokes[i].end, strokes[i + 1].start);
    EXPECT_EQ(strokes[i].end_width, strokes[i + 1].start_width);
  }
  EXPECT_NEAR(mass + strokes.back().mass, 3 * pi, 1e-3);
  fit_to_square(strokes, 3);
  double right = 0;
  for (const Stroke& s : strokes) right = std::max(right, s.start[0] + s.start_width);
  EXPECT_NEAR(right, 3, 0.05);
}

// The parabolic law has mean 0 and variance 1/5; 100,000 numbers give them to 0.0014 and 0.0007
// (one deviation).
TEST(Strokes, ParabolicLaw) {
  std::vector<double> u(300'000);
  fill_uniform(test_key(11), u);
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < u.size(); i += 3) {
    const double v = parabolic(u[i], u[i + 1], u[i + 2]);
    sum += v;
    squares += v * v;
  }
  EXPECT_NEAR(sum / 1e5, 0, 0.007);
  EXPECT_NEAR(squares / 1e5, 0.2, 0.0035);
  EXPECT_DOUBLE_EQ(parabolic_density(0.5), 0.5625);
  EXPECT_EQ(parabolic_density(1), 0);
}

}  // namespace
}  // namespace calor::data
