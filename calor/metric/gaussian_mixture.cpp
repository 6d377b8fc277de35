#include "calor/metric/gaussian_mixture.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <numbers>

#include "calor/core/error.h"
#include "calor/core/one_thread.h"
#include "calor/metric/samples.h"

namespace calor::metric {
namespace {

// Rows of a piece: [k, rows, d] of float64 is to stay in a core's cache. A function of k and d
// only, and pieces are added in their order, so that the number of threads changes no bit.
std::int64_t piece_rows(const GaussianMixture& mixture) {
  return std::clamp<std::int64_t>((std::int64_t{1} << 18) / mixture.means().numel(), 64, 4096);
}

// Calls work(piece, first row, number of the piece) for pieces of x, on several threads.
void for_each_piece(const at::Tensor& x, std::int64_t rows,
                    const std::function<void(const at::Tensor&, std::int64_t, std::size_t)>& work) {
  const std::int64_t pieces = (x.size(0) + rows - 1) / rows;
  at::parallel_for(0, pieces, 1, [&](std::int64_t begin, std::int64_t end) {
    compute_alone();
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t stop = std::min(x.size(0), (i + 1) * rows);
      work(x.slice(0, i * rows, stop), i * rows, static_cast<std::size_t>(i));
    }
  });
}

// Sums over rows, weighted by the responsibilities, about the present means.
struct Moments {
  at::Tensor count, first, second;  // [k], [k, d], [k, d, d]
  double log_likelihood = 0;
};

Moments moments_of_piece(const GaussianMixture& mixture, const at::Tensor& x) {
  const at::Tensor joint = mixture.log_joint(x);
  const at::Tensor log_density = joint.logsumexp(0);
  const at::Tensor responsibility = (joint - log_density).exp_();
  const at::Tensor offset = x.unsqueeze(0) - mixture.means().unsqueeze(1);
  const at::Tensor weighted = offset * responsibility.unsqueeze(2);
  return {.count = responsibility.sum(1),
          .first = weighted.sum(1),
          .second = at::bmm(weighted.transpose(1, 2), offset),
          .log_likelihood = log_density.sum().item<double>()};
}

Moments moments(const GaussianMixture& mixture, const at::Tensor& x) {
  const std::int64_t rows = piece_rows(mixture);
  std::vector<Moments> parts(static_cast<std::size_t>((x.size(0) + rows - 1) / rows));
  for_each_piece(x, rows, [&](const at::Tensor& piece, std::int64_t, std::size_t i) {
    parts[i] = moments_of_piece(mixture, piece);
  });
  Moments sum = parts.front();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    sum.count += parts[i].count;
    sum.first += parts[i].first;
    sum.second += parts[i].second;
    sum.log_likelihood += parts[i].log_likelihood;
  }
  return sum;
}

// EM for x whose columns have variance 1, where the penalty's P is a multiple of the identity.
class Em {
 public:
  Em(at::Tensor x, const MixtureOptions& options)
      : x_(std::move(x)), options_(options), rows_(static_cast<double>(x_.size(0))) {
    penalty_ = options.regularisation * rows_ / static_cast<double>(options.components);
  }

  struct Run {
    GaussianMixture mixture;
    Moments sums;  // of `mixture`
    std::vector<double> objective;
    bool converged = false;
  };

  Run start(RandomKey key) const {
    GaussianMixture mixture = initial(key);
    Moments sums = moments(mixture, x_);
    const double first = objective(mixture, sums);
    return {std::move(mixture), std::move(sums), {first}};
  }

  void improve(Run& run, std::int64_t rounds) const {
    for (std::int64_t i = 0; i < rounds && !run.converged; ++i) {
      run.mixture = maximised(run.mixture, run.sums);
      run.sums = moments(run.mixture, x_);
      run.objective.push_back(objective(run.mixture, run.sums));
      run.converged = run.objective.back() - run.objective.end()[-2] < options_.tolerance;
    }
  }

 private:
  double objective(const GaussianMixture& mixture, const Moments& sums) const {
    // tr S^-1 = |L^-1|^2, Frobenius
    const auto trace = mixture.whitening().square().sum().item<double>();
    return (sums.log_likelihood - 0.5 * penalty_ * trace) / rows_;
  }

  GaussianMixture maximised(const GaussianMixture& mixture, const Moments& sums) const {
    // A component that no row belongs to keeps a little weight, for its covariance's sake.
    const at::Tensor count = sums.count.clamp_min(1e-9);
    const at::Tensor shift = sums.first / count.unsqueeze(1);
    at::Tensor covariance =
        sums.second / count.reshape({-1, 1, 1}) - at::bmm(shift.unsqueeze(2), shift.unsqueeze(1));
    covariance.diagonal(0, 1, 2).add_(penalty_ / count.unsqueeze(1));
    covariance = (covariance + covariance.transpose(1, 2)) / 2;
    return {count, mixture.means() + shift, covariance};
  }

  // Each row's nearest centre.
  at::Tensor nearest(const at::Tensor& centres) const {
    std::vector<at::Tensor> found;
    for_each_part(x_, centres.size(0), [&](const at::Tensor& part, std::int64_t) {
      found.push_back(euclidean_distances(part, centres).argmin(1));
    });
    return at::cat(found);
  }

  // Greedy k-means++: for each further centre a few rows are drawn with their squared distances to
  // the centres so far, and the one that brings the rows nearest to their centres is kept.
  at::Tensor seeded_centres(RandomKey key) const {
    const std::int64_t k = options_.components;
    const auto candidates = 2 + static_cast<std::int64_t>(std::log(static_cast<double>(k)));
    at::Tensor draws = at::empty({k, candidates}, at::kDouble);
    fill_uniform(key, std::span(draws.data_ptr<double>(), static_cast<std::size_t>(draws.numel())));
    at::Tensor squared = at::full({x_.size(0)}, 1, at::kDouble);
    std::vector<at::Tensor> centres;
    for (std::int64_t c = 0; c < k; ++c) {
      const at::Tensor cumulated = squared.cumsum(0);
      const at::Tensor rows =
          at::searchsorted(cumulated, draws[c] * cumulated[-1]).clamp_max_(x_.size(0) - 1);
      const at::Tensor points = x_.index_select(0, rows);
      at::Tensor distance = euclidean_distances(points, x_).square_();
      if (c > 0) distance = at::minimum(distance, squared);
      const auto best = distance.sum(1).argmin().item<std::int64_t>();
      squared = distance[best];
      centres.push_back(points[best]);
    }
    return at::stack(centres);
  }

  // Lloyd's rounds from there. The covariance within the clusters, common to all, begins EM.
  GaussianMixture initial(RandomKey key) const {
    constexpr int lloyd_rounds = 10;
    at::Tensor centres = seeded_centres(key);
    const std::int64_t k = centres.size(0);
    at::Tensor owner = nearest(centres);
    at::Tensor count;
    for (int round = 0; round < lloyd_rounds; ++round) {
      count = at::bincount(owner, {}, k).to(at::kDouble);
      const at::Tensor sums = at::zeros_like(centres).index_add_(0, owner, x_);
      const at::Tensor means = sums / count.clamp_min(1).unsqueeze(1);
      centres = at::where(count.gt(0).unsqueeze(1), means, centres);
      owner = nearest(centres);
    }
    const at::Tensor offset = x_ - centres.index_select(0, owner);
    const OneThread one;  // a sum over all rows
    at::Tensor within = at::mm(offset.t(), offset) / rows_;
    within.diagonal().add_(options_.regularisation);
    within = (within + within.t()) / 2;
    return {at::bincount(owner, {}, k).to(at::kDouble) + 1, centres,
            within.unsqueeze(0).expand({k, -1, -1})};
  }

  at::Tensor x_;
  const MixtureOptions& options_;
  double rows_, penalty_;
};

void check(const MixtureOptions& options, const at::Tensor& x) {
  const bool sensible = options.components >= 1 && options.restarts >= 1 &&
                        options.short_iterations >= 0 && options.iterations >= 0 &&
                        options.regularisation >= 0;
  if (!sensible || x.size(0) <= options.components) {
    throw Error("more rows than components, at least one component and one start",
                fmt::format("{} rows, {} components, {} starts", x.size(0), options.components,
                            options.restarts),
                "fit fewer components");
  }
}

}  // namespace

void MixtureOptions::declare(config::Options& options) {
  options.add("mixture.components", components, {1, 10000}, "", "Gaussians in the mixture");
  options.add("mixture.restarts", restarts, {1, 1000}, "", "initialisations that are tried");
  options.add("mixture.short_iterations", short_iterations, {0, 100000}, "rounds",
              "EM of each initialisation before the best is chosen");
  options.add("mixture.iterations", iterations, {0, 1000000}, "rounds", "EM of the best, at most");
  options.add("mixture.tolerance", tolerance, {0, 1}, "nats a row",
              "EM ends where a round gains less");
  options.add("mixture.regularisation", regularisation, {0, 1}, "share of the variance",
              "added to the covariances of components of average weight");
}

GaussianMixture::GaussianMixture(const at::Tensor& weights, const at::Tensor& means,
                                 const at::Tensor& covariances) {
  means_ = as_samples(means, "means of a mixture");
  const std::int64_t k = means_.size(0);
  const std::int64_t d = means_.size(1);
  weights_ = weights.detach().to(at::kCPU, at::kDouble);
  if (weights_.sizes() != at::IntArrayRef({k}) ||
      covariances.sizes() != at::IntArrayRef({k, d, d}) || !weights_.gt(0).all().item<bool>()) {
    throw Error("positive weights [k], means [k, d] and covariances [k, d, d]",
                fmt::format("shapes [{}], [{}] and [{}]", fmt::join(weights.sizes(), ", "),
                            fmt::join(means.sizes(), ", "), fmt::join(covariances.sizes(), ", ")),
                "give one of each for every component");
  }
  weights_ = weights_ / weights_.sum();
  covariances_ =
      as_samples(covariances.reshape({k * d, d}), "covariances of a mixture").reshape({k, d, d});
  const auto [roots, info] = at::linalg_cholesky_ex(covariances_);
  if (info.ne(0).any().item<bool>()) {
    throw Error("positive definite covariances",
                fmt::format("component {} of {} has collapsed",
                            info.ne(0).to(at::kByte).argmax().item<std::int64_t>(), k),
                "raise the regularisation, or fit fewer components");
  }
  roots_ = roots;
  const at::Tensor unit = at::eye(d, at::kDouble).expand({k, d, d});
  whitening_ = at::linalg_solve_triangular(roots_, unit, false).contiguous();
  log_scale_ = weights_.log() - roots_.diagonal(0, 1, 2).log().sum(1) -
               0.5 * static_cast<double>(d) * std::log(2 * std::numbers::pi);
}

at::Tensor GaussianMixture::log_joint(const at::Tensor& x) const {
  const at::Tensor offset = x.unsqueeze(0) - means_.unsqueeze(1);
  const at::Tensor white = at::bmm(offset, whitening_.transpose(1, 2));
  return white.square_().sum(2).mul_(-0.5).add_(log_scale_.unsqueeze(1));
}

at::Tensor GaussianMixture::log_density(const at::Tensor& x) const {
  const at::Tensor ours = as_samples(x, "points");
  if (ours.size(1) != means_.size(1)) {
    throw Error(fmt::format("points of {} features, as the mixture has", means_.size(1)),
                fmt::format("{}", ours.size(1)), "give points of the space it was fitted in");
  }
  at::Tensor out = at::empty({ours.size(0)}, at::kDouble);
  for_each_piece(ours, piece_rows(*this),
                 [&](const at::Tensor& piece, std::int64_t start, std::size_t) {
                   out.slice(0, start, start + piece.size(0)).copy_(log_joint(piece).logsumexp(0));
                 });
  return out;
}

at::Tensor GaussianMixture::sample(std::int64_t n, RandomKey key) const {
  at::Tensor uniform = at::empty({n}, at::kDouble);
  fill_uniform(key.child(0), std::span(uniform.data_ptr<double>(), static_cast<std::size_t>(n)));
  const at::Tensor component =
      at::searchsorted(weights_.cumsum(0), uniform).clamp_max(weights_.size(0) - 1);
  const at::Tensor normal = normal_tensor(key.child(1), {n, means_.size(1)});
  std::vector<at::Tensor> parts{at::empty({0, means_.size(1)}, at::kDouble)};
  for_each_part(normal, means_.size(1) * means_.size(1),
                [&](const at::Tensor& part, std::int64_t start) {
                  const at::Tensor of = component.slice(0, start, start + part.size(0));
                  parts.push_back(at::baddbmm(means_.index_select(0, of).unsqueeze(2),
                                              roots_.index_select(0, of), part.unsqueeze(2))
                                      .squeeze(2));
                });
  return at::cat(parts);
}

MixtureFit fit_mixture(const at::Tensor& x, const MixtureOptions& options, RandomKey key) {
  const at::Tensor ours = as_samples(x, "training set", 2);
  check(options, ours);
  const at::Tensor mean = ours.mean(0);
  const at::Tensor scale = (ours - mean).square().mean(0).sqrt();
  if (!scale.gt(0).all().item<bool>()) {
    throw Error("columns that vary",
                fmt::format("column {} is constant", scale.argmin().item<std::int64_t>()),
                "leave it out: it has no density");
  }
  const Em em((ours - mean) / scale, options);
  std::optional<Em::Run> best;
  for (std::int64_t i = 0; i < options.restarts; ++i) {
    Em::Run run = em.start(key.child(static_cast<std::uint64_t>(i)));
    em.improve(run, options.short_iterations);
    if (!best || run.objective.back() > best->objective.back()) best = std::move(run);
  }
  em.improve(*best, options.iterations);

  // Back from unit variances: densities are divided by the product of the scales.
  const auto log_volume = scale.log().sum().item<double>();
  for (double& value : best->objective) value -= log_volume;
  const GaussianMixture& found = best->mixture;
  return {.mixture = {found.weights(), mean + scale * found.means(),
                      found.covariances() * scale * scale.unsqueeze(1)},
          .objective = std::move(best->objective),
          .converged = best->converged};
}

}  // namespace calor::metric
