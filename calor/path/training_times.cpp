#include "calor/path/training_times.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace calor::path {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double uniform_of(RandomKey key) {
  double u = 0;
  fill_uniform(key, {&u, 1});
  return u;
}

// Beta(a, b) by Joehnk's method ("Erzeugung von betaverteilten Zufallszahlen", 1964), in
// logarithms: u^(1/a) / (u^(1/a) + v^(1/b)) given that the sum is at most 1.
double draw_beta(RandomKey key, double a, double b) {
  for (std::uint64_t attempt = 0;; ++attempt) {
    std::array<double, 2> uniform{};
    fill_uniform(key.child(attempt), uniform);
    const double x = std::log(uniform[0]) / a;
    const double y = std::log(uniform[1]) / b;
    const double largest = std::max(x, y);
    const double log_sum = largest + std::log(std::exp(x - largest) + std::exp(y - largest));
    if (log_sum <= 0) return std::exp(x - log_sum);
  }
}

// Times [n] and their probabilities for a law of s with this density on (0, 1), by midpoints in u,
// s = u^2: fine where s is small.
TrainingTimes::Quadrature midpoints(const std::function<at::Tensor(const at::Tensor&)>& density) {
  constexpr std::int64_t nodes = 2048;
  const at::Tensor u = (at::arange(nodes, at::kDouble) + 0.5) / nodes;
  const at::Tensor s = u.square();
  const at::Tensor weight = density(s) * u;
  return {1 - s, weight / weight.sum()};
}

constexpr double nearest = 1e-3;  // of near_data

}  // namespace

void TimeOptions::declare(config::Options& options) {
  static constexpr config::Choice<TimeLaw> laws[] = {
      {"logit-normal", TimeLaw::logit_normal, "t = sigmoid(N(mean, std^2)) (JiT)"},
      {"uniform", TimeLaw::uniform, "t uniform"},
      {"beta", TimeLaw::beta, "s = 1 - t ~ Beta(beta1, beta2)"},
      {"square", TimeLaw::square, "s = 1 - t = u^2, u uniform; a velocity's loss is that by u"},
  };
  options.add("time.law", law, laws, "the law of training times");
  options.add("time.mean", mean, {-10, 10}, "", "logit-normal: mean of logit(t) while training");
  options.add("time.std", std, {0.01, 10}, "",
              "logit-normal: standard deviation of logit(t) while training");
  options.add("time.beta1", beta1, {0.1, 4}, "", "beta: first parameter");
  options.add("time.beta2", beta2, {0.1, 4}, "",
              "beta: second parameter; Beta(1, 0.5) favours the noise end");
  options.add("time.mixture", mixture, {0, 1}, "share",
              "share of examples trained at t^(1/m), nearer to the data; 0: the paper");
  options.add("time.mixture_max", mixture_max, {0, 1e4}, "",
              "m is log-uniform from 1 to this; 0: 1 + a |lambda|_max of the path");
  options.add("time.near_data", near_data, {0, 1}, "share",
              "share of examples with 1 - t log-uniform in [1e-3, 1], for likelihoods");
}

TrainingTimes::TrainingTimes(const TimeOptions& options, double natural_mixture,
                             std::int64_t levels)
    : options_(options),
      mixture_max_(options.mixture_max > 0 ? std::max(1.0, options.mixture_max) : natural_mixture),
      levels_(levels) {}

double TrainingTimes::draw_base(RandomKey key) const {
  switch (options_.law) {
    case TimeLaw::uniform:
      return uniform_of(key.child(0));
    case TimeLaw::beta:
      return 1 - draw_beta(key.child(0), options_.beta1, options_.beta2);
    case TimeLaw::square: {
      const double u = uniform_of(key.child(0));
      return 1 - u * u;
    }
    case TimeLaw::logit_normal:
      break;
  }
  std::array<double, 2> normal{};
  fill_normal(key.child(0), std::span<double>(normal));
  return sigmoid(options_.mean + options_.std * normal[0]);
}

double TrainingTimes::draw(RandomKey key) const {
  const double t = draw_between_levels(key);
  if (levels_ == 0) return t;
  const auto count = static_cast<double>(levels_);
  return std::clamp(std::floor(t * count), 0.0, count - 1) / count;
}

double TrainingTimes::draw_between_levels(RandomKey key) const {
  if (options_.near_data > 0) {
    std::array<double, 2> uniform{};
    fill_uniform(key.child(2), uniform);
    if (uniform[0] < options_.near_data) return 1 - std::pow(nearest, uniform[1]);
  }
  const double t = draw_base(key);
  if (options_.mixture == 0) return t;
  std::array<double, 2> uniform{};
  fill_uniform(key.child(1), uniform);
  if (uniform[0] >= options_.mixture) return t;
  return std::pow(t, std::pow(mixture_max_, -uniform[1]));
}

at::Tensor TrainingTimes::draw(std::span<const RandomKey> keys) const {
  constexpr float last = 1 - std::numeric_limits<float>::epsilon() / 2;  // the number before 1
  at::Tensor t = at::empty({static_cast<std::int64_t>(keys.size())}, at::kFloat);
  auto* out = t.data_ptr<float>();
  constexpr std::int64_t grain = 512;
  at::parallel_for(0, t.numel(), grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      out[i] = std::min(static_cast<float>(draw(keys[static_cast<std::size_t>(i)])), last);
    }
  });
  return t;
}

// Logit-normal: the trapezoid rule in logit(t), which converges exponentially for a Gaussian and
// reaches its tails: weights of the loss grow so steeply towards the data that they decide the
// means.
TrainingTimes::Quadrature TrainingTimes::base_quadrature() const {
  const double a = options_.beta1;
  const double b = options_.beta2;
  switch (options_.law) {
    case TimeLaw::uniform:
      return midpoints([](const at::Tensor& s) { return at::ones_like(s); });
    case TimeLaw::beta:
      return midpoints([=](const at::Tensor& s) { return s.pow(a - 1) * (1 - s).pow(b - 1); });
    case TimeLaw::square:
      return midpoints([](const at::Tensor& s) { return s.rsqrt(); });
    case TimeLaw::logit_normal:
      break;
  }
  constexpr std::int64_t nodes = 257;
  constexpr double reach = 8;  // standard deviations
  const at::Tensor u = at::linspace(-reach, reach, nodes, at::kDouble);
  const at::Tensor density = (-u.square() / 2).exp();
  return {(options_.mean + options_.std * u).sigmoid(), density / density.sum()};
}

TrainingTimes::Quadrature TrainingTimes::quadrature() const {
  constexpr std::int64_t powers = 32;  // midpoints in log m
  auto [t, probability] = base_quadrature();
  if (options_.mixture > 0) {
    const at::Tensor share = (at::arange(powers, at::kDouble) + 0.5) / powers;
    const at::Tensor power = (share * -std::log(mixture_max_)).exp();  // 1/m
    const at::Tensor mixed = at::pow(t.unsqueeze(1), power.unsqueeze(0)).flatten();
    const at::Tensor mixed_probability =
        (probability / powers).unsqueeze(1).expand({t.size(0), powers}).flatten();
    t = at::cat({t, mixed});
    probability =
        at::cat({probability * (1 - options_.mixture), mixed_probability * options_.mixture});
  }
  if (options_.near_data > 0) {
    constexpr std::int64_t nodes = 512;
    const at::Tensor u = (at::arange(nodes, at::kDouble) + 0.5) / nodes;
    t = at::cat({t, 1 - (u * std::log(nearest)).exp()});
    probability = at::cat({probability * (1 - options_.near_data),
                           at::full({nodes}, options_.near_data / nodes, at::kDouble)});
  }
  if (levels_ > 0) {
    const auto count = static_cast<double>(levels_);
    t = (t * count).floor().clamp(0, count - 1) / count;
  }
  return {t, probability};
}

}  // namespace calor::path
