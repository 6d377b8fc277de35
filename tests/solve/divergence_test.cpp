#include "calor/solve/divergence.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "calor/core/error.h"
#include "calor/core/random.h"

namespace calor::solve {
namespace {

at::Tensor normal(std::uint64_t stream, at::IntArrayRef shape) {
  at::Tensor out = at::empty(shape, at::kDouble);
  fill_normal(random_key(26, RandomUse::test).child(100 + stream),
              std::span(out.data_ptr<double>(), static_cast<std::size_t>(out.numel())));
  return out;
}

double largest(const at::Tensor& values) { return values.abs().max().item<double>(); }

// v = M x
class LinearField : public VelocityField {
 public:
  explicit LinearField(at::Tensor m) : m_(std::move(m)) {}
  at::Tensor velocity(const at::Tensor&, const at::Tensor& x) const override {
    return x.matmul(m_.to(x.scalar_type()).t());
  }
  const at::Tensor& matrix() const { return m_; }

 private:
  at::Tensor m_;
};

// v_i = t sin(x_i) x_{i-1}, cyclic: dv_i/dx_i = t cos(x_i) x_{i-1} for d > 1.
class TwistedField : public VelocityField {
 public:
  at::Tensor velocity(const at::Tensor& t, const at::Tensor& x) const override {
    return t.unsqueeze(1) * x.sin() * x.roll(1, 1);
  }
  static at::Tensor divergence(const at::Tensor& t, const at::Tensor& x) {
    return t * (x.cos() * x.roll(1, 1)).sum(1);
  }
};

// v = 3 x - 2 X(x) for X = J x, told through the trace's shift and scale.
class AffineField : public LinearField {
 public:
  using LinearField::LinearField;
  at::Tensor velocity(const at::Tensor& t, const at::Tensor& x) const override {
    return 3 * x - 2 * LinearField::velocity(t, x);
  }
  Products with_products(const at::Tensor& t, const at::Tensor& x,
                         const at::Tensor& directions) const override {
    return {.velocity = velocity(t, x),
            .products = directions.expand({x.size(0), -1, -1}).matmul(matrix().t()),
            .trace_shift = at::full({x.size(0)}, 3.0 * static_cast<double>(x.size(1)), at::kDouble),
            .trace_scale = at::full({x.size(0)}, -2, at::kDouble)};
  }
};

// The estimate of stage 0 at one point for each row.
Divergence::Value estimate(const Divergence& divergence, const VelocityField& field,
                           const at::Tensor& t, const at::Tensor& x) {
  const at::Tensor probes = divergence.probes(0, 0, x.size(0), x.options());
  return divergence.evaluate(field, t, x, divergence.directions(field, t, x, probes));
}

at::Tensor times(std::int64_t n) { return at::linspace(0.1, 1, n, at::kDouble); }

TEST(VelocityField, ProductsAndDivergenceByAutograd) {
  const TwistedField field;
  const at::Tensor x = normal(1, {7, 5}), t = times(7), w = normal(2, {7, 3, 5});
  const c10::NoGradGuard no_grad;
  const auto result = field.with_products(t, x, w);
  EXPECT_EQ(largest(result.velocity - field.velocity(t, x)), 0);
  EXPECT_FALSE(result.velocity.requires_grad());
  EXPECT_FALSE(result.products.requires_grad());
  EXPECT_FALSE(x.requires_grad());
  // u'J^T w = w'J u, and J u by central differences: step 1e-5, error about 1e-10.
  const at::Tensor u = normal(3, {7, 5});
  const at::Tensor ju = (field.velocity(t, x + 1e-5 * u) - field.velocity(t, x - 1e-5 * u)) / 2e-5;
  const at::Tensor left = (result.products * u.unsqueeze(1)).sum(2);
  EXPECT_LE(largest(left - (w * ju.unsqueeze(1)).sum(2)), 1e-8);
  // The same directions in all rows.
  const auto shared = field.with_products(t, x, w[0]);
  const auto expanded = field.with_products(t, x, w[0].expand({7, 3, 5}));
  EXPECT_EQ(largest(shared.products - expanded.products), 0);
  const auto [velocity, divergence] = field.with_divergence(t, x);
  EXPECT_LE(largest(divergence - TwistedField::divergence(t, x)), 1e-13);
  EXPECT_EQ(largest(velocity - result.velocity), 0);
}

// Many coordinates and rows: the unit vectors are taken in several pieces.
TEST(VelocityField, DivergenceInPieces) {
  const TwistedField field;
  const at::Tensor x = normal(4, {500, 200}), t = times(500);
  const auto [velocity, divergence] = field.with_divergence(t, x);
  EXPECT_LE(largest(divergence - TwistedField::divergence(t, x)), 1e-12);
}

class ConstantField : public VelocityField {
 public:
  at::Tensor velocity(const at::Tensor&, const at::Tensor& x) const override {
    return at::ones_like(x);
  }
};

TEST(VelocityField, ConstantHasNoDivergence) {
  const auto [velocity, divergence] = ConstantField().with_divergence(times(3), normal(5, {3, 4}));
  EXPECT_EQ(largest(divergence), 0);
}

TEST(Divergence, AffineTracesAreShiftedAndScaled) {
  const AffineField field(normal(6, {6, 6}));
  const at::Tensor x = normal(7, {4, 6}), t = times(4);
  const double exact = 18 - 2 * field.matrix().trace().item<double>();
  EXPECT_LE(largest(field.with_divergence(t, x).second - exact), 1e-12);
  for (const auto kind : {DivergenceKind::hutchinson, DivergenceKind::hutchpp}) {
    const Divergence divergence({.kind = kind, .probes = 5}, 6);
    const LinearField plain(3 * at::eye(6, at::kDouble) - 2 * field.matrix());
    const at::Tensor traces = estimate(divergence, field, t, x).traces;
    ASSERT_EQ(traces.sizes(), (std::vector<std::int64_t>{4, divergence.integrals()}));
    if (kind == DivergenceKind::hutchpp) continue;
    // Signs are exact on the shift, so both ways give the same numbers.
    EXPECT_LE(largest(traces - estimate(divergence, plain, t, x).traces), 1e-12);
  }
}

TEST(Divergence, HutchinsonIsExactOnMultiplesOfTheIdentity) {
  const LinearField field(-1.7 * at::eye(9, at::kDouble));
  const Divergence divergence({.kind = DivergenceKind::hutchinson, .probes = 2}, 9);
  const at::Tensor x = normal(8, {5, 9});
  const auto value = estimate(divergence, field, times(5), x);
  EXPECT_LE(largest(value.traces + 1.7 * 9), 1e-13);
}

TEST(Divergence, HutchppIsExactWithEnoughProbes) {
  const TwistedField field;
  const at::Tensor x = normal(9, {5, 6}), t = times(5);
  for (const std::int64_t probes : {6, 7, 20}) {
    const Divergence divergence({.kind = DivergenceKind::hutchpp, .probes = probes}, 6);
    EXPECT_TRUE(divergence.exact());
    const auto value = estimate(divergence, field, t, x);
    EXPECT_LE(largest(value.traces.squeeze(1) - TwistedField::divergence(t, x)), 1e-13);
  }
  EXPECT_FALSE(Divergence({.kind = DivergenceKind::hutchpp, .probes = 5}, 6).exact());
}

// On a matrix whose rank is at most that of the sketch, nothing is left to chance: not even where
// the images of the sketch are linearly dependent, or all 0.
TEST(Divergence, HutchppIsExactOnLowRank) {
  const at::Tensor x = normal(10, {8, 30});
  for (const std::int64_t rank : {0, 1, 3, 4}) {
    const LinearField field(normal(11, {30, rank}).matmul(normal(12, {rank, 30})));
    const Divergence divergence({.kind = DivergenceKind::hutchpp, .probes = 12}, 30);
    EXPECT_EQ(divergence.integrals(), 4);
    const auto value = estimate(divergence, field, times(8), x);
    EXPECT_LE(largest(value.traces - field.matrix().trace()), 1e-11) << rank;
  }
}

// 400 rows at one point are 400 independent estimates.
struct Repeated {
  double z = 0;          // (mean - trace) / standard error of the mean
  double deviation = 0;  // of one estimate
};

Repeated repeat(const VelocityField& field, double trace, std::int64_t d,
                const DivergenceOptions& options) {
  const Divergence divergence(options, d);
  const std::int64_t n = 400;
  const at::Tensor x = normal(13, {1, d}).expand({n, d});
  const auto value = estimate(divergence, field, at::ones({n}, at::kDouble), x);
  const at::Tensor estimates = value.traces.mean(1);
  const double deviation = estimates.std().item<double>();
  return {.z = (estimates.mean().item<double>() - trace) / (deviation / 20),
          .deviation = deviation};
}

// |z| < 4 holds for all but 1 in 15,000 seeds; an estimator that is off by a quarter of its own
// deviation fails. The deviation is known: for signs, Var w'Mw = 2 sum_{i != j} S_ij^2, and for
// normal probes 2 |S|^2, S the symmetric part. Over 400 draws it is found to 4 % or so.
TEST(Divergence, EstimatesAreUnbiased) {
  const std::int64_t d = 12;
  const LinearField field(normal(14, {d, d}));
  const at::Tensor m = field.matrix(), s = (m + m.t()) / 2;
  const double trace = m.trace().item<double>();
  for (const bool gaussian : {false, true}) {
    for (const std::int64_t k : {1, 4}) {
      const auto result = repeat(
          field, trace, d,
          {.kind = DivergenceKind::hutchinson, .probes = k, .gaussian = gaussian, .seed = 7});
      EXPECT_LT(std::abs(result.z), 4) << gaussian << k;
      const at::Tensor counted = gaussian ? s : s - s.diag().diag();
      const double exact =
          std::sqrt(2 * counted.square().sum().item<double>() / static_cast<double>(k));
      EXPECT_NEAR(result.deviation / exact, 1, 0.2) << gaussian << k;
    }
    for (const std::int64_t k : {3, 6, 11}) {
      const auto result =
          repeat(field, trace, d,
                 {.kind = DivergenceKind::hutchpp, .probes = k, .gaussian = gaussian, .seed = 7});
      EXPECT_LT(std::abs(result.z), 4) << gaussian << k;
      EXPECT_GT(result.deviation, 0.01) << gaussian << k;
    }
  }
}

// What Hutch++ is for: positive semi-definite with a spectrum that falls off. Eigenvalues 1/i^2
// leave it less than a fifth of Hutchinson's deviation for as many products.
TEST(Divergence, HutchppIsBetterOnSemiDefiniteJacobians) {
  const std::int64_t d = 40;
  const at::Tensor q = std::get<0>(at::linalg_qr(normal(15, {d, d})));
  const at::Tensor values = at::arange(1, d + 1, at::kDouble).pow(-2);
  const LinearField field(q.matmul(values.diag()).matmul(q.t()));
  const double trace = values.sum().item<double>();
  const auto hutchinson =
      repeat(field, trace, d, {.kind = DivergenceKind::hutchinson, .probes = 15});
  const auto plus = repeat(field, trace, d, {.kind = DivergenceKind::hutchpp, .probes = 15});
  EXPECT_LT(std::abs(hutchinson.z), 4);
  EXPECT_LT(std::abs(plus.z), 4);
  EXPECT_LT(plus.deviation, hutchinson.deviation / 5);
}

// A probe is a function of seed, row, stage and number.
TEST(Divergence, ProbesHaveKeys) {
  const at::TensorOptions like(at::kDouble);
  for (const bool gaussian : {false, true}) {
    const DivergenceOptions options{
        .kind = DivergenceKind::hutchinson, .probes = 4, .gaussian = gaussian, .seed = 3};
    const Divergence divergence(options, 10);
    const at::Tensor all = divergence.probes(2, 0, 20, like);
    EXPECT_EQ(largest(divergence.probes(2, 5, 3, like) - all.narrow(0, 5, 3)), 0);
    DivergenceOptions fewer = options, other = options;
    fewer.probes = 2;
    other.seed = 4;
    const at::Tensor two = Divergence(fewer, 10).probes(2, 0, 20, like);
    EXPECT_EQ(largest(two - all.narrow(1, 0, 2)), 0);
    EXPECT_GT(largest(divergence.probes(1, 0, 20, like) - all), 0);
    EXPECT_GT(largest(Divergence(other, 10).probes(2, 0, 20, like) - all), 0);
    EXPECT_GT(largest(all.select(1, 0) - all.select(1, 1)), 0);
    if (!gaussian) {
      EXPECT_EQ(largest(all.abs() - 1), 0);
    }
    // 800 numbers of mean 0 and variance 1: the mean is within 4 / sqrt(800).
    EXPECT_LT(std::abs(all.mean().item<double>()), 0.142);
  }
}

TEST(Divergence, NanIsPassedOn) {
  const LinearField field(at::full({6, 6}, NAN, at::kDouble));
  const at::Tensor x = normal(16, {2, 6});
  for (const auto kind :
       {DivergenceKind::exact, DivergenceKind::hutchinson, DivergenceKind::hutchpp}) {
    const Divergence divergence({.kind = kind, .probes = 3}, 6);
    const auto value = estimate(divergence, field, times(2), x);
    EXPECT_TRUE(value.traces.isnan().all().item<bool>());
  }
}

TEST(Divergence, TooFewProbes) {
  EXPECT_THROW(Divergence({.kind = DivergenceKind::hutchinson, .probes = 0}, 6), Error);
  EXPECT_THROW(Divergence({.kind = DivergenceKind::hutchpp, .probes = 2}, 6), Error);
}

}  // namespace
}  // namespace calor::solve
