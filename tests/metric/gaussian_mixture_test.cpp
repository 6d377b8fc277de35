#include "calor/metric/gaussian_mixture.h"

#include "calor/core/error.h"
#include "calor/metric/estimate.h"
#include "calor/metric/gaussian.h"
#include "tests/metric/support.h"
#include "tests/support/threads.h"

namespace calor::metric {
namespace {

at::Tensor matrix(std::initializer_list<double> values, at::IntArrayRef shape) {
  return at::tensor(at::ArrayRef<double>(values), at::kDouble).reshape(shape);
}

// Three components of two dimensions, apart but touching.
GaussianMixture three() {
  return {matrix({0.5, 0.3, 0.2}, {3}), matrix({0, 0, 3, 1, -2, 3}, {3, 2}),
          matrix({1, 0.5, 0.5, 1, 0.3, -0.1, -0.1, 0.6, 0.5, 0, 0, 0.2}, {3, 2, 2})};
}

at::Tensor tall_covariance() {
  const at::Tensor root = normal(77, {4, 4});
  return at::mm(root, root.t()) + 0.1 * at::eye(4, at::kDouble);
}

TEST(Gaussian, ByHand) {
  // Covariance ((2, 1), (1, 2)), determinant 3; at (1, -1) from the mean the form is 2.
  const Gaussian law(matrix({1, 2}, {2}), matrix({2, 1, 1, 2}, {2, 2}));
  const auto found = law.log_density(matrix({2, 1}, {1, 2})).item<double>();
  EXPECT_NEAR(found, -1 - std::log(2 * M_PI) - 0.5 * std::log(3.0), 1e-12);
  EXPECT_NEAR(law.entropy(), 1 + std::log(2 * M_PI) + 0.5 * std::log(3.0), 1e-12);
}

TEST(Gaussian, FitAndSampleAgree) {
  const at::Tensor mean = matrix({1, -2, 0, 5}, {4});
  const Gaussian law(mean, tall_covariance());
  const std::int64_t n = 20000;
  const at::Tensor x = law.sample(n, test_key());
  const Gaussian fitted = Gaussian::fit(x);
  // 5 standard errors of a mean, and of a covariance: sqrt((S_ii S_jj + S_ij^2)/n).
  const at::Tensor variance = law.covariance().diagonal();
  EXPECT_TRUE((fitted.mean() - mean).abs().le(5 * (variance / n).sqrt()).all().item<bool>());
  const at::Tensor error = ((at::outer(variance, variance) + law.covariance().square()) / n).sqrt();
  EXPECT_TRUE((fitted.covariance() - law.covariance()).abs().le(5 * error).all().item<bool>());
  // At the maximum of the likelihood the mean log-density is minus the entropy.
  EXPECT_NEAR(-fitted.log_density(x).mean().item<double>(), fitted.entropy(), 1e-9);
  EXPECT_TRUE(law.sample(10, test_key()).allclose(x.slice(0, 0, 10), 1e-12, 1e-12));
}

TEST(Gaussian, RefusesWhatHasNoDensity) {
  EXPECT_THROW(Gaussian(at::zeros({2}), matrix({1, 1, 1, 1}, {2, 2})), Error);
  EXPECT_THROW(Gaussian(at::zeros({2}), matrix({1, 0.5, 0.2, 1}, {2, 2})), Error);
  EXPECT_THROW(Gaussian(at::zeros({2}), at::eye(3)), Error);
  EXPECT_THROW(Gaussian::fit(at::ones({10, 2})), Error);
  EXPECT_THROW(Gaussian(at::zeros({2}), at::eye(2)).log_density(at::zeros({1, 3})), Error);
}

TEST(GaussianMixture, IsTheSumOfItsGaussians) {
  const GaussianMixture mixture = three();
  const at::Tensor x = normal(1, {500, 2}) * 3;
  at::Tensor density = at::zeros({500}, at::kDouble);
  for (std::int64_t j = 0; j < 3; ++j) {
    const Gaussian part(mixture.means()[j], mixture.covariances()[j]);
    density += mixture.weights()[j] * part.log_density(x).exp();
  }
  const at::Tensor error = (mixture.log_density(x) - density.log()).abs();
  EXPECT_LE(error.max().item<double>(), 1e-10);
}

// The trapezoidal rule on a smooth function that vanishes at the border is exact to rounding.
TEST(GaussianMixture, DensityIntegratesToOne) {
  const double step = 0.1;
  const at::Tensor axis = at::arange(-150, 150, at::kDouble) * step;
  const at::Tensor grid =
      at::stack({axis.repeat_interleave(300), axis.repeat(at::IntArrayRef{300})}, 1);
  const double mass = three().log_density(grid).exp().sum().item<double>() * step * step;
  EXPECT_NEAR(mass, 1, 1e-10);
}

// Samples have the mixture's mean and covariance: sum w (S + m m^T) - mean mean^T. 5 standard
// errors, that of a covariance from the samples themselves.
TEST(GaussianMixture, SampleMoments) {
  const GaussianMixture mixture = three();
  const std::int64_t n = 40000;
  const at::Tensor x = mixture.sample(n, test_key());
  const at::Tensor w = mixture.weights();
  const at::Tensor mean = at::mv(mixture.means().t(), w);
  const at::Tensor outer = at::bmm(mixture.means().unsqueeze(2), mixture.means().unsqueeze(1));
  const at::Tensor covariance =
      ((mixture.covariances() + outer) * w.reshape({3, 1, 1})).sum(0) - at::outer(mean, mean);
  const at::Tensor centred = x - mean;
  const at::Tensor products =
      at::stack({centred.select(1, 0), centred.select(1, 1), centred.select(1, 0).square(),
                 centred.select(1, 1).square(), centred.prod(1)},
                1);
  const at::Tensor expected = at::stack({at::zeros_like(mean[0]), at::zeros_like(mean[0]),
                                         covariance[0][0], covariance[1][1], covariance[0][1]});
  const at::Tensor error = products.std(0, true) / std::sqrt(static_cast<double>(n));
  EXPECT_TRUE((products.mean(0) - expected).abs().le(5 * error).all().item<bool>());
  EXPECT_TRUE(mixture.sample(10, test_key()).allclose(x.slice(0, 0, 10), 1e-12, 1e-12));
  EXPECT_EQ(mixture.sample(0, test_key()).sizes(), at::IntArrayRef({0, 2}));
}

void expect_rising(const std::vector<double>& objective) {
  ASSERT_GT(objective.size(), 10U);
  for (std::size_t i = 1; i < objective.size(); ++i) {
    EXPECT_GE(objective[i], objective[i - 1] - 1e-12) << "round " << i;
  }
}

// Without penalty the objective is the mean log-likelihood; with one it rises all the same, however
// large the penalty.
TEST(MixtureFit, NeverLowersItsObjective) {
  const at::Tensor x = three().sample(2000, test_key()) * matrix({1, 30}, {2});
  for (const double regularisation : {0.0, 1e-6, 0.1}) {
    MixtureOptions options;
    options.components = 6;
    options.restarts = 2;
    options.iterations = 150;
    options.tolerance = 0;
    options.regularisation = regularisation;
    const MixtureFit fit = fit_mixture(x, options, test_key());
    expect_rising(fit.objective);
    if (regularisation == 0) {
      EXPECT_NEAR(fit.objective.back(), fit.mixture.log_density(x).mean().item<double>(), 1e-9);
    }
  }
}

// The maximum of the likelihood lies above the truth on the training rows, by chi^2_p/(2n) with p
// = 17 parameters, and as far below it on new rows. 4 deviations of chi^2_p; on new rows 4 standard
// errors of the paired difference, too.
TEST(MixtureFit, RecoversAKnownMixture) {
  const GaussianMixture truth = three();
  const std::int64_t n = 10000;
  const at::Tensor train = truth.sample(n, test_key(1));
  const at::Tensor fresh = truth.sample(n, test_key(2));
  MixtureOptions options;
  options.components = 3;
  options.tolerance = 1e-9;
  const MixtureFit fit = fit_mixture(train, options, test_key());
  EXPECT_TRUE(fit.converged);
  const double most = (17 + 4 * std::sqrt(2 * 17.0)) / (2 * static_cast<double>(n));
  const double gained =
      paired_difference(fit.mixture.log_density(train), truth.log_density(train)).mean;
  EXPECT_GT(gained, 0);
  EXPECT_LT(gained, most);
  // -E ln density on new rows: the truth's is its entropy.
  const Estimate lost = paired_difference(truth.log_density(fresh), fit.mixture.log_density(fresh));
  EXPECT_NEAR(lost.mean, 0, most + 4 * lost.standard_error);
  const at::Tensor order = fit.mixture.weights().argsort(0, true);
  EXPECT_TRUE(fit.mixture.means().index_select(0, order).allclose(truth.means(), 0, 0.1));
  EXPECT_TRUE(fit.mixture.weights().index_select(0, order).allclose(truth.weights(), 0, 0.03));
}

TEST(MixtureFit, OneComponentIsTheGaussian) {
  const at::Tensor x =
      Gaussian(matrix({1, -2, 0, 5}, {4}), tall_covariance()).sample(500, test_key());
  for (const double regularisation : {0.0, 0.01}) {
    MixtureOptions options;
    options.components = 1;
    options.regularisation = regularisation;
    const at::Tensor mixture = fit_mixture(x, options, test_key()).mixture.log_density(x);
    const at::Tensor gaussian = Gaussian::fit(x, regularisation).log_density(x);
    EXPECT_LE((mixture - gaussian).abs().max().item<double>(), 1e-9);
  }
}

// A component on a repeated row: unbounded likelihood, refused without regularisation.
TEST(MixtureFit, RegularisationKeepsComponentsFromCollapsing) {
  const at::Tensor x = at::cat({normal(1, {300, 2}), at::full({100, 2}, 20.0, at::kDouble)});
  MixtureOptions options;
  options.components = 2;
  options.regularisation = 0;
  EXPECT_THROW(fit_mixture(x, options, test_key()), Error);
  options.regularisation = 1e-6;
  const MixtureFit fit = fit_mixture(x, options, test_key());
  EXPECT_TRUE(at::isfinite(fit.mixture.log_density(x)).all().item<bool>());
  expect_rising([&] {
    auto padded = fit.objective;
    padded.resize(std::max<std::size_t>(padded.size(), 11), padded.back());
    return padded;
  }());
}

TEST(MixtureFit, SameBitsOnAnyNumberOfThreads) {
  const at::Tensor x = normal(1, {6000, 9});
  MixtureOptions options;
  options.components = 20;
  options.restarts = 2;
  options.short_iterations = 3;
  options.iterations = 3;
  const auto densities = test::on_threads(
      {1, 2, 3}, [&] { return fit_mixture(x, options, test_key()).mixture.log_density(x); });
  EXPECT_TRUE(densities[0].equal(densities[1]));
  EXPECT_TRUE(densities[0].equal(densities[2]));
}

TEST(MixtureFit, RefusesWhatItCannotFit) {
  MixtureOptions options;
  EXPECT_THROW(fit_mixture(normal(1, {20, 2}), options, test_key()), Error);
  const at::Tensor constant = at::cat({normal(1, {100, 1}), at::ones({100, 1}, at::kDouble)}, 1);
  EXPECT_THROW(fit_mixture(constant, options, test_key()), Error);
  EXPECT_THROW(three().log_density(at::zeros({1, 3})), Error);
  EXPECT_THROW(GaussianMixture(at::ones({2}), at::zeros({2, 3}), at::zeros({2, 3, 3})), Error);
  EXPECT_THROW(GaussianMixture(-at::ones({1}), at::zeros({1, 1}), at::ones({1, 1, 1})), Error);
  config::Options declared;
  options.declare(declared);
  declared.assign("mixture.components=7", "test");
  EXPECT_EQ(options.components, 7);
}

}  // namespace
}  // namespace calor::metric
