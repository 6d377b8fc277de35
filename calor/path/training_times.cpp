#include "calor/path/training_times.h"

#include <ATen/ATen.h>

#include <cmath>

namespace calor::path {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

void TimeOptions::declare(config::Options& options) {
  options.add("time.mean", mean, {-10, 10}, "", "mean of logit(t) while training");
  options.add("time.std", std, {0.01, 10}, "", "standard deviation of logit(t) while training");
  options.add("time.mixture", mixture, {0, 1}, "share",
              "share of examples trained at t^(1/m), nearer to the data; 0: the paper");
  options.add("time.mixture_max", mixture_max, {0, 1e4}, "",
              "m is log-uniform from 1 to this; 0: 1 + a |lambda|_max of the path");
}

TrainingTimes::TrainingTimes(const TimeOptions& options, double natural_mixture)
    : options_(options),
      mixture_max_(options.mixture_max > 0 ? std::max(1.0, options.mixture_max) : natural_mixture) {
}

double TrainingTimes::draw(RandomKey key) const {
  std::array<double, 2> normal{};
  std::array<double, 2> uniform{};
  fill_normal(key.child(0), std::span<double>(normal));
  fill_uniform(key.child(1), uniform);
  const double t = sigmoid(options_.mean + options_.std * normal[0]);
  if (uniform[0] >= options_.mixture) return t;
  return std::pow(t, std::pow(mixture_max_, -uniform[1]));
}

at::Tensor TrainingTimes::draw(std::span<const RandomKey> keys) const {
  at::Tensor t = at::empty({static_cast<std::int64_t>(keys.size())}, at::kFloat);
  auto* out = t.data_ptr<float>();
  for (std::size_t i = 0; i < keys.size(); ++i) out[i] = static_cast<float>(draw(keys[i]));
  return t;
}

// The trapezoid rule in logit(t), which converges exponentially for a Gaussian and reaches its
// tails: weights of the loss grow so steeply towards the data that they decide the means.
TrainingTimes::Quadrature TrainingTimes::quadrature() const {
  constexpr std::int64_t nodes = 257;
  constexpr double reach = 8;          // standard deviations
  constexpr std::int64_t powers = 32;  // midpoints in log m
  const at::Tensor u = at::linspace(-reach, reach, nodes, at::kDouble);
  const at::Tensor density = (-u.square() / 2).exp();
  const at::Tensor probability = density / density.sum();
  const at::Tensor t = (options_.mean + options_.std * u).sigmoid();
  if (options_.mixture == 0) return {t, probability};
  const at::Tensor share = (at::arange(powers, at::kDouble) + 0.5) / powers;
  const at::Tensor power = (share * -std::log(mixture_max_)).exp();  // 1/m
  const at::Tensor mixed = at::pow(t.unsqueeze(1), power.unsqueeze(0)).flatten();
  const at::Tensor mixed_probability =
      (probability / powers).unsqueeze(1).expand({nodes, powers}).flatten();
  return {at::cat({t, mixed}),
          at::cat({probability * (1 - options_.mixture), mixed_probability * options_.mixture})};
}

}  // namespace calor::path
