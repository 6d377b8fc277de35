#include "calor/solve/log_density.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <vector>

#include "calor/core/error.h"
#include "calor/core/random.h"
#include "calor/io/npy.h"
#include "tests/support/golden.h"

namespace calor::solve {
namespace {

at::Tensor normal(std::uint64_t stream, at::IntArrayRef shape) {
  at::Tensor out = at::empty(shape, at::kDouble);
  fill_normal(random_key(26, RandomUse::test).child(200 + stream),
              std::span(out.data_ptr<double>(), static_cast<std::size_t>(out.numel())));
  return out;
}

double largest(const at::Tensor& values) {
  return values.to(at::kDouble).abs().max().item<double>();
}

TransportOptions tolerance(double value, bool per_row = false) {
  return {.ode = {.rtol = value, .atol = value, .per_row = per_row}};
}

// v = M x
class LinearField final : public VelocityField {
 public:
  explicit LinearField(at::Tensor m) : m_(std::move(m)) {}
  at::Tensor velocity(const at::Tensor&, const at::Tensor& x) const override {
    return x.matmul(m_.to(x.scalar_type()).t());
  }

 private:
  at::Tensor m_;
};

// end = expm(M2) expm(M1) x, log-determinants tr M1 and tr M2.
TEST(LogDensity, LinearFieldsHaveClosedForms) {
  const at::Tensor m1 = normal(1, {4, 4}) / 2, m2 = normal(2, {4, 4}) / 2, x = normal(3, {30, 4});
  const LinearField first(m1), second(m2);
  const std::vector<const VelocityField*> stages{&first, &second};
  const at::Tensor map = at::linalg_matrix_exp(m2).matmul(at::linalg_matrix_exp(m1));
  const at::Tensor end = x.matmul(map.t());
  const double logdet = (m1 + m2).trace().item<double>();
  for (const bool per_row : {false, true}) {
    LogDensityOptions options{.transport = tolerance(1e-10, per_row), .noise_scale = 2};
    const auto result = log_density(stages, x, options);
    EXPECT_LE(largest(result.end - end), 1e-8);
    EXPECT_LE(largest(result.logdet[0] - m1.trace()), 1e-10);
    EXPECT_LE(largest(result.logdet[1] - m2.trace()), 1e-10);
    EXPECT_LE(largest(result.log_density - normal_log_density(end, 2) - logdet), 1e-7);
    EXPECT_EQ(largest(result.standard_error), 0);
    EXPECT_NEAR(result.nfe, result.stage_nfe[0] + result.stage_nfe[1], 1e-9);
    const auto there = transport(stages, x, Direction::to_noise, options.transport);
    const auto back = transport(stages, there.x, Direction::to_data, options.transport);
    EXPECT_LE(largest(there.x - end), 1e-8);
    EXPECT_LE(largest(back.x - x), 1e-8);
    EXPECT_GT(back.nfe, 0);
    // Batches of rows: the same to the tolerance, and with their own step sizes to rounding.
    options.transport.batch = 7;
    const auto batched = log_density(stages, x, options);
    EXPECT_LE(largest(batched.log_density - result.log_density), per_row ? 1e-11 : 1e-7);
    if (per_row) {
      EXPECT_EQ(batched.nfe, result.nfe);
    }
  }
}

// The Gaussian with the given variances per coordinate under the chain of METHODS section 4, in
// closed form: in a stage the marginal variance is c(s), and v = c'/(2 c) x.
class GaussianStage final : public VelocityField {
 public:
  // gamma > 0: an Ornstein-Uhlenbeck stage, c = 1 + e^(-2 gamma s) (C - 1). gamma = 0: the free
  // stage on the linear path, c = (1 - s)^2 C + s^2.
  GaussianStage(at::Tensor variance, double gamma)
      : variance_(std::move(variance)), gamma_(gamma) {}

  at::Tensor velocity(const at::Tensor& t, const at::Tensor& x) const override {
    const at::Tensor s = t.unsqueeze(1), left = variance_.to(x.scalar_type());
    const at::Tensor slope = gamma_ > 0 ? -2 * gamma_ * (-2 * gamma_ * s).exp() * (left - 1)
                                        : -2 * (1 - s) * left + 2 * s;
    return slope / (2 * at(s, left)) * x;
  }
  at::Tensor right() const { return at(at::ones({1, 1}, at::kDouble), variance_).squeeze(0); }

 private:
  at::Tensor at(const at::Tensor& s, const at::Tensor& left) const {
    return gamma_ > 0 ? 1 + (-2 * gamma_ * s).exp() * (left - 1)
                      : (1 - s).square() * left + s.square();
  }

  at::Tensor variance_;
  double gamma_;
};

struct GaussianChain {
  std::vector<std::unique_ptr<GaussianStage>> owned;
  std::vector<const VelocityField*> stages;

  explicit GaussianChain(at::Tensor variance) {
    for (const double gamma : {0.1, 0.2, 0.4, 0.0}) {
      owned.push_back(std::make_unique<GaussianStage>(variance, gamma));
      stages.push_back(owned.back().get());
      variance = owned.back()->right();
    }
  }
};

TEST(LogDensity, GaussianDataThroughTheChain) {
  const at::Tensor variance = at::tensor({0.04, 0.5, 1.0, 3.0}, at::kDouble);
  const GaussianChain chain(variance);
  const at::Tensor x = normal(4, {50, 4}) * variance.sqrt();
  const at::Tensor exact = normal_log_density(x / variance.sqrt(), 1) - variance.log().sum() / 2;
  for (const auto method : {OdeMethod::dopri5, OdeMethod::tsit5}) {
    for (const bool per_row : {false, true}) {
      LogDensityOptions options{.transport = tolerance(1e-11, per_row)};
      options.transport.ode.method = method;
      const auto result = log_density(chain.stages, x, options);
      EXPECT_LE(largest(result.log_density - exact), 1e-8);
      EXPECT_LE(largest(result.end - x / variance.sqrt()), 1e-9);
      const double mean = exact.mean().item<double>();
      EXPECT_NEAR(result.mean(), mean, 1e-8);
      EXPECT_NEAR(result.mean_standard_error(), exact.std().item<double>() / std::sqrt(50.0), 1e-8);
      EXPECT_EQ(result.mean_probe_error(), 0);
    }
  }
  // At the published tolerance; and in fp32.
  EXPECT_LE(largest(log_density(chain.stages, x, {}).log_density - exact), 2e-3);
  const auto single = log_density(chain.stages, x.to(at::kFloat), {.transport = tolerance(1e-7)});
  EXPECT_EQ(single.log_density.scalar_type(), at::kDouble);
  EXPECT_LE(largest(single.log_density - exact), 1e-4);
}

// Noise pushed to the data's side has the data's law. Of 4,000 draws a variance is known to
// sqrt(2 / 4000) = 2.2 % and a mean to .016 deviations; the margins are four of these.
TEST(LogDensity, GenerationHasTheLawOfTheData) {
  const at::Tensor variance = at::tensor({0.04, 0.5, 1.0, 3.0}, at::kDouble);
  const GaussianChain chain(variance);
  const at::Tensor noise = normal(5, {4000, 4});
  const auto made = transport(chain.stages, noise, Direction::to_data, tolerance(1e-5));
  const at::Tensor scaled = made.x / variance.sqrt();
  EXPECT_LE(largest(scaled.mean(0)), 4 * 0.0158);
  EXPECT_LE(largest(scaled.var(0) - 1), 4 * 0.0224);
  EXPECT_LE(largest(scaled - noise), 1e-3);  // here each point is known, too
}

// An s_min leaves out the left end of every stage.
TEST(LogDensity, LeastInnerTime) {
  const at::Tensor m = normal(6, {3, 3});
  const LinearField field(m);
  const std::vector<const VelocityField*> stages{&field};
  const at::Tensor x = normal(7, {5, 3});
  LogDensityOptions options{.transport = tolerance(1e-10)};
  options.transport.s_min = 0.25;
  const auto result = log_density(stages, x, options);
  EXPECT_LE(largest(result.end - x.matmul(at::linalg_matrix_exp(0.75 * m).t())), 1e-8);
  EXPECT_LE(largest(result.logdet - 0.75 * m.trace()), 1e-9);
}

// v = tanh(A x) + B x, whose divergence depends on the point.
class CurvedField final : public VelocityField {
 public:
  CurvedField(at::Tensor a, at::Tensor b) : a_(std::move(a)), b_(std::move(b)) {}
  at::Tensor velocity(const at::Tensor&, const at::Tensor& x) const override {
    return x.matmul(a_.t()).tanh() + x.matmul(b_.t());
  }

 private:
  at::Tensor a_, b_;
};

struct CurvedChain {
  CurvedField first{normal(8, {8, 8}) / 3, normal(9, {8, 8}) / 4};
  CurvedField second{normal(10, {8, 8}) / 3, normal(11, {8, 8}) / 4};
  std::vector<const VelocityField*> stages{&first, &second};
  at::Tensor x = normal(12, {400, 8});
};

// Estimates against the exact log-density in 400 rows. z = (estimate - exact) / standard error has
// a spread that the number of probes fixes: about t with 2 (k - 1) degrees of freedom for two
// stages of equal size, E z^2 between (k - 1) / (k - 3) and 1 for k = 8: 1.0 to 1.4. A standard
// error that is off by a factor of sqrt(2) leaves [.8, 1.8]. The rows' mean is within 4 of its
// standard errors.
TEST(LogDensity, StandardErrorsAreHonest) {
  const CurvedChain chain;
  const auto exact = log_density(chain.stages, chain.x, {.transport = tolerance(1e-6)});
  for (const auto kind : {DivergenceKind::hutchinson, DivergenceKind::hutchpp}) {
    // Hutch++ with 7 products: 2 for the sketch, 2 for its projection, 3 for the residual.
    const bool plus = kind == DivergenceKind::hutchpp;
    const LogDensityOptions options{
        .transport = tolerance(1e-6),
        .divergence = {.kind = kind, .probes = plus ? 7 : 8, .seed = 11}};
    const auto result = log_density(chain.stages, chain.x, options);
    // Estimates are as smooth along a path as the field: they take no more steps.
    EXPECT_LT(result.nfe, 1.3 * exact.nfe);
    const at::Tensor error = result.log_density - exact.log_density;
    EXPECT_LT(std::abs(error.mean().item<double>()) / result.mean_probe_error(), 4);
    EXPECT_GT(result.mean_probe_error(), 0);
    EXPECT_GT(result.mean_standard_error(), result.mean_probe_error());
    // The size of the errors against the standard errors, in the mean of squares: for hutch++ with
    // its three probes this ratio has finite variance where that of z does not.
    const double ratio =
        (error.square().mean() / result.standard_error.square().mean()).item<double>();
    EXPECT_GT(ratio, 0.75) << plus;
    EXPECT_LT(ratio, 1.33) << plus;
    if (plus) continue;
    const double z2 = (error / result.standard_error).square().mean().item<double>();
    EXPECT_GT(z2, 0.8);
    EXPECT_LT(z2, 1.8);
  }
}

TEST(LogDensity, OneProbeHasNoStandardError) {
  const CurvedChain chain;
  const LogDensityOptions options{.divergence = {.kind = DivergenceKind::hutchinson, .probes = 1}};
  const auto result = log_density(chain.stages, chain.x.narrow(0, 0, 3), options);
  EXPECT_TRUE(result.standard_error.isnan().all().item<bool>());
  EXPECT_TRUE(result.log_density.isfinite().all().item<bool>());
}

// With probes keyed by row and step sizes of its own, a row's estimate is the same in any batch.
TEST(LogDensity, EstimatesDoNotDependOnTheBatch) {
  const CurvedChain chain;
  for (const auto kind : {DivergenceKind::hutchinson, DivergenceKind::hutchpp}) {
    LogDensityOptions options{.transport = tolerance(1e-6, true),
                              .divergence = {.kind = kind, .probes = 5, .seed = 2}};
    const auto all = log_density(chain.stages, chain.x.narrow(0, 0, 40), options);
    const auto some = log_density(chain.stages, chain.x.narrow(0, 13, 9), options, 13);
    EXPECT_LE(largest(some.log_density - all.log_density.narrow(0, 13, 9)), 1e-10);
    EXPECT_LE(largest(some.standard_error - all.standard_error.narrow(0, 13, 9)), 1e-10);
    options.transport.batch = 16;
    const auto batched = log_density(chain.stages, chain.x.narrow(0, 0, 40), options);
    EXPECT_LE(largest(batched.log_density - all.log_density), 1e-10);
  }
}

// x' = 5 x^2 runs off to infinity at once.
class BadField final : public VelocityField {
 public:
  at::Tensor velocity(const at::Tensor&, const at::Tensor& x) const override {
    return x.square() * 5;
  }
};

TEST(LogDensity, FailuresNameTheStage) {
  const LinearField good(at::eye(2, at::kDouble));
  const BadField bad;
  const std::vector<const VelocityField*> stages{&good, &bad};
  const at::Tensor x = at::ones({3, 2}, at::kDouble);
  const auto expect_named = [&](const std::function<void()>& work) {
    try {
      work();
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_NE(error.found().find("in stage 2 of 2"), std::string::npos) << error.found();
      EXPECT_NE(error.found().find("underflow"), std::string::npos) << error.found();
    }
  };
  expect_named([&] { log_density(stages, x, {}); });
  expect_named([&] { transport(stages, x, Direction::to_noise, {}); });
  EXPECT_THROW(log_density({}, x, {}), Error);
  EXPECT_THROW(log_density(stages, x[0], {}), Error);
  EXPECT_THROW(log_density(stages, x, {.noise_scale = 0}), Error);
  EXPECT_THROW(transport(stages, x, Direction::to_noise, {.s_min = 1}), Error);
}

// The network of flow2d_logdensity.npz: [t, x1, x2] -> 64 -> 64 -> 64 -> 2, softplus with beta 20.
class GoldenField final : public VelocityField {
 public:
  GoldenField(const std::map<std::string, at::Tensor>& arrays, int stage, at::ScalarType type)
      : beta_(arrays.at("beta").item<double>()) {
    const std::string prefix = "stage" + std::to_string(stage) + "_";
    for (int i = 0; i < 4; ++i) {
      weights_.push_back(arrays.at(prefix + "weight" + std::to_string(i)).to(type));
      biases_.push_back(arrays.at(prefix + "bias" + std::to_string(i)).to(type));
    }
  }

  at::Tensor velocity(const at::Tensor& t, const at::Tensor& x) const override {
    at::Tensor h = at::cat({t.unsqueeze(1), x}, 1);
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      h = at::linear(h, weights_[i], biases_[i]);
      // Past 40 ln(1 + e^a) is a to the last bit.
      if (i + 1 < weights_.size()) h = at::softplus(h, beta_, 40);
    }
    return h;
  }

 private:
  double beta_;
  std::vector<at::Tensor> weights_, biases_;
};

struct GoldenFlow {
  std::map<std::string, at::Tensor> arrays;
  GoldenField first, second;
  std::vector<const VelocityField*> stages{&first, &second};

  GoldenFlow(const std::filesystem::path& path, at::ScalarType type)
      : arrays(io::read_npz(path)), first(arrays, 1, type), second(arrays, 2, type) {}
};

#define CALOR_GOLDEN_FLOW(flow, type)                                         \
  const auto flow##_path = test::golden_path("flow2d_logdensity.npz");        \
  if (flow##_path.empty()) GTEST_SKIP() << "no golden/flow2d_logdensity.npz"; \
  const GoldenFlow flow(flow##_path, type)

struct GoldenErrors {
  double end = 0, logdet = 0, log_density = 0, back = 0, nfe = 0;
};

// Over the first `rows` points.
GoldenErrors golden_errors(const GoldenFlow& flow, at::ScalarType type, std::int64_t rows,
                           const LogDensityOptions& options) {
  std::map<std::string, at::Tensor> expected;
  for (const char* name :
       {"x", "stage2_end", "stage1_logdet", "stage2_logdet", "logdet", "log_density"}) {
    expected[name] = flow.arrays.at(name).narrow(0, 0, rows);
  }
  const auto result = log_density(flow.stages, expected.at("x").to(type), options);
  const auto back = transport(flow.stages, expected.at("stage2_end").to(type), Direction::to_data,
                              options.transport);
  GoldenErrors errors{.end = largest(result.end - expected.at("stage2_end")),
                      .logdet = largest(result.logdet.sum(0) - expected.at("logdet")),
                      .log_density = largest(result.log_density - expected.at("log_density")),
                      .back = largest(back.x - expected.at("x")),
                      .nfe = result.nfe};
  for (int s = 0; s < 2; ++s) {
    const auto& stage = expected.at("stage" + std::to_string(s + 1) + "_logdet");
    errors.logdet = std::max(errors.logdet, largest(result.logdet[s] - stage));
  }
  std::printf("          end %.1e, logdet %.1e, log-density %.1e, back %.1e, NFE %.0f\n",
              errors.end, errors.logdet, errors.log_density, errors.back, errors.nfe);
  return errors;
}

TEST(SlowLogDensityGolden, NetworkAlone) {
  CALOR_GOLDEN_FLOW(flow, at::kDouble);
  for (int s = 0; s < 2; ++s) {
    const std::string prefix = "stage" + std::to_string(s + 1) + "_probe_";
    const auto [velocity, divergence] = flow.stages[static_cast<std::size_t>(s)]->with_divergence(
        flow.arrays.at("probe_t"), flow.arrays.at("x"));
    EXPECT_LE(largest(velocity - flow.arrays.at(prefix + "velocity")), 1e-8);
    EXPECT_LE(largest(divergence - flow.arrays.at(prefix + "divergence")), 1e-8);
  }
}

TEST(SlowLogDensityGolden, DoublePrecision) {
  CALOR_GOLDEN_FLOW(flow, at::kDouble);
  for (const auto method : {OdeMethod::dopri5, OdeMethod::tsit5}) {
    for (const bool per_row : {false, true}) {
      LogDensityOptions options{.transport = tolerance(1e-10, per_row)};
      options.transport.ode.method = method;
      const std::int64_t rows = method == OdeMethod::dopri5 && !per_row ? 500 : 60;
      const auto errors = golden_errors(flow, at::kDouble, rows, options);
      EXPECT_LE(errors.end, 1e-8);
      EXPECT_LE(errors.logdet, 1e-6);
      EXPECT_LE(errors.log_density, 1e-6);
      EXPECT_LE(errors.back, 2e-8);  // through both stages, and one of them stretches
    }
  }
  const auto loose = golden_errors(flow, at::kDouble, 500, {.transport = tolerance(1e-5)});
  EXPECT_LE(loose.end, 1e-3);
  EXPECT_LE(loose.logdet, 2e-2);
}

TEST(SlowLogDensityGolden, SinglePrecision) {
  CALOR_GOLDEN_FLOW(flow, at::kFloat);
  for (const bool per_row : {false, true}) {
    const auto errors =
        golden_errors(flow, at::kFloat, 500, {.transport = tolerance(1e-7, per_row)});
    EXPECT_LE(errors.end, 1e-4);
    EXPECT_LE(errors.logdet, 1e-4);
    EXPECT_LE(errors.log_density, 1e-4);
    EXPECT_LE(errors.back, 1e-4);
  }
}

}  // namespace
}  // namespace calor::solve
