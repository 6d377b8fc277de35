#include "calor/objective/objective.h"

#include <ATen/ATen.h>

namespace calor::objective {
namespace {

constexpr double least_noise = 1e-6;      // 1 - t where a velocity's denominators have no t_eps
constexpr double kept_signal_min = 0.05;  // JiT's clip on A where a prediction is divided by it

// [N] -> [N, 1, 1, 1].
at::Tensor per_picture(const at::Tensor& t) { return t.reshape({-1, 1, 1, 1}); }

}  // namespace

void ObjectiveOptions::declare(config::Options& options) {
  static constexpr config::Choice<Quantity> quantities[] = {
      {"x", Quantity::x, "clean picture"},
      {"v", Quantity::v, "velocity"},
      {"eps", Quantity::eps, "noise"},
      {"less-blurred", Quantity::less_blurred,
       "path.kind = ihdm: the picture one level less blurred"},
  };
  static constexpr config::Choice<BlurTerm> blur_terms[] = {
      {"paper", BlurTerm::paper, "coefficient 1, as published"},
      {"exact", BlurTerm::exact, "coefficient a, the path's own"},
  };
  options.add("objective.prediction", prediction, quantities, "what the network predicts");
  options.add("objective.loss", loss, quantities, "the quantity whose squared error is the loss");
  options.add(
      "objective.blur_term", blur_term, blur_terms,
      "heat: the coefficient of the blur term in the velocity that is predicted and weighted");
  options.add(
      "objective.t_eps", t_eps, {0, 0.5}, "",
      "1 - t is taken as at least this in denominators while training; 0 with prediction v: "
      "the path's own velocity A' x + S' e, which has none");
  options.add("objective.balance", balance, {0, 1}, "exponent",
              "divide the weight of a frequency by its mean over training times to this power; 0: "
              "the paper");
  options.add("objective.label_dropout", label_dropout, {0, 1}, "probability",
              "labels dropped while training, for guidance");
  options.add("objective.layer_sync", layer_sync, {0, 100}, "",
              "LayerSync: weight of the similarity between two blocks' tokens; 0: off");
  options.add("objective.layer_sync_from", layer_sync_from, {0, 1000}, "block",
              "LayerSync: the earlier block, counted from 0");
  options.add("objective.layer_sync_to", layer_sync_to, {0, 1000}, "block",
              "LayerSync: the later block");
}

Objective::Objective(const ObjectiveOptions& options, path::PictureSpace space,
                     const path::TrainingTimes& times)
    : options_(options), space_(std::move(space)), times_(times) {
  // 0 where the path does not blur, and its velocity has no such term.
  const double exact = space_.path->exact_blur_term();
  blur_coefficient_ = options.blur_term == BlurTerm::paper && exact > 0 ? 1 : exact;
  if (options.balance > 0) balance_ = balance_factor();
}

at::Tensor Objective::noisy(const at::Tensor& x, const at::Tensor& noise,
                            const at::Tensor& t) const {
  const at::Tensor time = per_picture(t);
  const at::Tensor a = space_.path->log_a(time, space_.lambda).exp();
  return space_.combine(a, x, space_.path->log_s(time, space_.lambda).exp(), noise);
}

path::VelocityCoefficients Objective::coefficients(const at::Tensor& t) const {
  return space_.path->velocity_with_blur_term(per_picture(t), space_.lambda, options_.t_eps,
                                              blur_coefficient_);
}

at::Tensor Objective::velocity(const at::Tensor& x, const at::Tensor& z,
                               const at::Tensor& t) const {
  const auto v = coefficients(t);
  return space_.combine(v.on_z, z, v.on_x(), x);
}

bool Objective::predicts_exact_velocity() const {
  return options_.prediction == Quantity::v && options_.t_eps == 0 &&
         blur_coefficient_ == space_.path->exact_blur_term();
}

at::Tensor Objective::target(const at::Tensor& x, const at::Tensor& z, const at::Tensor& noise,
                             const at::Tensor& t) const {
  switch (options_.prediction) {
    case Quantity::eps:
      return noise;
    case Quantity::v: {
      if (!predicts_exact_velocity()) return velocity(x, z, t);
      const auto slopes = space_.path->slopes(per_picture(t), space_.lambda);
      return space_.combine(slopes.a, x, slopes.s, noise);
    }
    case Quantity::less_blurred: {
      const at::Tensor next = next_level(*space_.path, per_picture(t));
      const at::Tensor wanted = space_.multiply(space_.path->log_a(next, space_.lambda).exp(), x);
      return (wanted - z) / space_.path->log_s(per_picture(t), space_.lambda).exp();
    }
    case Quantity::x:
      break;
  }
  return x;
}

at::Tensor Objective::loss_per_clean(const at::Tensor& t) const {
  const at::Tensor time = per_picture(t);
  switch (options_.loss) {
    case Quantity::v:
      return coefficients(t).on_x();
    case Quantity::eps: {
      const at::Tensor s = space_.path->log_s(time, space_.lambda).exp();
      return space_.path->log_a(time, space_.lambda).exp() / s.clamp_min(options_.t_eps);
    }
    case Quantity::x:
    case Quantity::less_blurred:
      break;
  }
  return at::ones_like(time);
}

at::Tensor Objective::clean_per_prediction(const at::Tensor& t) const {
  const at::Tensor time = per_picture(t);
  switch (options_.prediction) {
    case Quantity::v: {
      const auto v = coefficients(t);
      return (v.gain.clamp_min(kept_signal_min) * v.rest).reciprocal();
    }
    case Quantity::eps: {
      const at::Tensor a = space_.path->log_a(time, space_.lambda).exp();
      return space_.path->log_s(time, space_.lambda).exp() / a.clamp_min(kept_signal_min);
    }
    case Quantity::x:
    case Quantity::less_blurred:
      break;
  }
  return at::ones_like(time);
}

at::Tensor Objective::unbalanced_weight(const at::Tensor& t) const {
  const at::Tensor w = options_.loss == options_.prediction
                           ? at::ones_like(per_picture(t))
                           : (loss_per_clean(t) * clean_per_prediction(t)).square();
  const bool by_root = options_.loss == Quantity::v && times_.by_root();
  return by_root ? w * (4 * (1 - per_picture(t))) : w;
}

// The factor that divides each frequency's weight by its mean over training times, to the exponent,
// and keeps the mean over all frequencies.
at::Tensor Objective::balance_factor() const {
  const auto nodes = times_.quadrature();
  const at::Tensor t = nodes.t.to(space_.lambda.options());
  at::Tensor mean = at::zeros({space_.lambda.size(0), space_.lambda.size(1)}, at::kDouble);
  // In pieces: thousands of times x H x W would not fit for large pictures.
  constexpr std::int64_t piece = 256;
  for (std::int64_t start = 0; start < t.size(0); start += piece) {
    const std::int64_t count = std::min(piece, t.size(0) - start);
    const at::Tensor w = unbalanced_weight(t.narrow(0, start, count)).cpu().to(at::kDouble);
    mean += (w * per_picture(nodes.probability.narrow(0, start, count))).sum(at::IntArrayRef{0, 1});
  }
  const at::Tensor factor = mean.pow(-options_.balance);
  return (factor * (mean.mean() / (mean * factor).mean())).to(space_.lambda.options());
}

at::Tensor Objective::weight(const at::Tensor& t) const {
  const at::Tensor w = unbalanced_weight(t);
  return balance_.defined() ? w * balance_ : w;
}

at::Tensor Objective::loss(const at::Tensor& target, const at::Tensor& prediction,
                           const at::Tensor& t) const {
  const at::Tensor residual = target - prediction;
  const at::Tensor w = weight(t);
  const bool flat = path::same_for_all_frequencies(w);
  return ((flat ? residual : space_.dct.forward(residual)).square() * w).mean({1, 2, 3});
}

at::Tensor Objective::clean(const at::Tensor& prediction, const at::Tensor& z,
                            const at::Tensor& t) const {
  const at::Tensor time = per_picture(t);
  switch (options_.prediction) {
    case Quantity::v: {
      const at::Tensor inside = t.clamp_max(1 - least_noise);
      const at::Tensor per_prediction = clean_per_prediction(inside);
      return space_.combine(per_prediction, prediction, -per_prediction * coefficients(inside).on_z,
                            z);
    }
    case Quantity::eps: {
      const at::Tensor s = space_.path->log_s(time, space_.lambda).exp();
      const at::Tensor kept =
          space_.path->log_a(time, space_.lambda).exp().clamp_min(kept_signal_min);
      return space_.combine(kept.reciprocal(), z, -s / kept, prediction);
    }
    case Quantity::less_blurred:
      return z + space_.path->log_s(time, space_.lambda).exp() * prediction;
    case Quantity::x:
      break;
  }
  return prediction;
}

at::Tensor layer_similarity(const at::Tensor& early, const at::Tensor& late) {
  return at::cosine_similarity(early, late.detach(), -1, 1e-8).mean();
}

}  // namespace calor::objective
