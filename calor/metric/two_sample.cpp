#include "calor/metric/two_sample.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "calor/metric/samples.h"

namespace calor::metric {
namespace {

// The training part's means to 0 and variances to 1, in both parts; constant columns to 0.
void standardise(at::Tensor& train, at::Tensor& test) {
  const at::Tensor mean = train.mean(0);
  const at::Tensor deviation = (train - mean).square().mean(0).sqrt();
  const at::Tensor scale = at::where(deviation.gt(0), deviation, at::ones_like(deviation));
  train = (train - mean) / scale;
  test = (test - mean) / scale;
}

// Logistic regression with a small ridge, by Newton's method with halved steps. Returns the logits
// of `test`; `labels` are 0 and 1.
at::Tensor logistic_logits(at::Tensor train, const at::Tensor& labels, at::Tensor test) {
  constexpr double ridge = 1e-3;
  train = at::cat({train, train.square()}, 1);
  test = at::cat({test, test.square()}, 1);
  standardise(train, test);
  const auto with_constant = [](const at::Tensor& x) {
    return at::cat({x, at::ones({x.size(0), 1}, x.options())}, 1);
  };
  const at::Tensor x = with_constant(train);
  const auto rows = static_cast<double>(x.size(0));
  const at::Tensor sign = 2 * labels - 1;
  const auto loss = [&](const at::Tensor& w) {
    return (at::softplus(-sign * at::mv(x, w)).mean() + 0.5 * ridge * w.square().sum())
        .item<double>();
  };
  at::Tensor w = at::zeros({x.size(1)}, at::kDouble);
  double present = loss(w);
  for (int round = 0; round < 50; ++round) {
    const at::Tensor probability = at::sigmoid(at::mv(x, w));
    const at::Tensor gradient = at::mv(x.t(), probability - labels) / rows + ridge * w;
    const at::Tensor curvature = (probability * (1 - probability)).unsqueeze(1);
    at::Tensor hessian = at::mm(x.t(), x * curvature) / rows;
    hessian.diagonal().add_(ridge);
    at::Tensor step = at::linalg_solve(hessian, gradient);
    double next = loss(w - step);
    for (int halving = 0; next > present && halving < 30; ++halving) {
      step = step / 2;
      next = loss(w - step);
    }
    if (!(next < present)) break;
    w = w - step;
    const bool settled = present - next < 1e-12;
    present = next;
    if (settled) break;
  }
  return at::mv(with_constant(test), w);
}

// inputs -> 64 -> 64 -> 1 with SiLU, fp32; the parameters are one vector.
class Mlp {
 public:
  Mlp(std::int64_t inputs, RandomKey key) : sizes_{inputs, 64, 64, 1} {
    std::vector<at::Tensor> parts;
    for (std::size_t layer = 0; layer < 3; ++layer) {
      // He et al. (2015); biases 0.
      const double deviation = std::sqrt(2.0 / static_cast<double>(sizes_[layer]));
      parts.push_back(deviation *
                      normal_tensor(key.child(layer), {sizes_[layer] * sizes_[layer + 1]}));
      parts.push_back(at::zeros({sizes_[layer + 1]}, at::kDouble));
    }
    parameters_ = at::cat(parts).to(at::kFloat).requires_grad_();
  }

  at::Tensor& parameters() { return parameters_; }

  at::Tensor logits(at::Tensor x) const {
    std::int64_t start = 0;
    for (std::size_t layer = 0; layer < 3; ++layer) {
      const std::int64_t in = sizes_[layer];
      const std::int64_t out = sizes_[layer + 1];
      const at::Tensor weight = parameters_.narrow(0, start, in * out).view({out, in});
      const at::Tensor bias = parameters_.narrow(0, start + in * out, out);
      x = at::linear(x, weight, bias);
      if (layer < 2) x = at::silu(x);
      start += in * out + out;
    }
    return x.squeeze(1);
  }

 private:
  std::array<std::int64_t, 4> sizes_;
  at::Tensor parameters_;
};

// AdamW (Loshchilov and Hutter 2019) with a rate that falls linearly to 0.
void train_mlp(Mlp& mlp, const at::Tensor& x, const at::Tensor& labels, RandomKey key) {
  constexpr std::int64_t steps = 1000;
  constexpr double rate = 3e-3;
  constexpr double decay = 1e-2;
  const std::int64_t batch = std::min<std::int64_t>(256, x.size(0));
  const std::int64_t batches = x.size(0) / batch;
  at::Tensor& w = mlp.parameters();
  at::Tensor mean = at::zeros_like(w.detach());
  at::Tensor square = at::zeros_like(mean);
  at::Tensor order;
  for (std::int64_t step = 0; step < steps; ++step) {
    const std::int64_t within = step % batches;
    if (within == 0) {
      const auto epoch = static_cast<std::uint64_t>(step / batches);
      order = at::tensor(random_permutation(key.child(epoch), x.size(0)), at::kLong);
    }
    const at::Tensor rows = order.narrow(0, within * batch, batch);
    {
      const c10::AutoGradMode with_gradients(true);
      w.mutable_grad().reset();
      at::binary_cross_entropy_with_logits(mlp.logits(x.index_select(0, rows)),
                                           labels.index_select(0, rows))
          .backward();
    }
    const at::Tensor gradient = w.grad();
    const auto done = static_cast<double>(step);
    mean.lerp_(gradient, 0.1);
    square.lerp_(gradient.square(), 0.001);
    const at::Tensor root = (square / (1 - std::pow(0.999, done + 1))).sqrt_().add_(1e-8);
    const double now = rate * (1 - done / static_cast<double>(steps));
    w.mul_(1 - now * decay).addcdiv_(mean / (1 - std::pow(0.9, done + 1)), root, -now);
  }
}

at::Tensor mlp_logits(const at::Tensor& train, const at::Tensor& labels, const at::Tensor& test,
                      RandomKey key) {
  Mlp mlp(train.size(1), key.child(0));
  train_mlp(mlp, train.to(at::kFloat), labels.to(at::kFloat), key.child(1));
  std::vector<at::Tensor> logits;
  for (const at::Tensor& part : test.to(at::kFloat).split(4096)) {
    logits.push_back(mlp.logits(part));
  }
  return at::cat(logits);
}

}  // namespace

TwoSampleTest classifier_two_sample_test(const at::Tensor& a, const at::Tensor& b,
                                         TwoSampleClassifier classifier, RandomKey key) {
  const c10::NoGradGuard no_grad;
  const SamplePair set = as_sample_pair(a, b, 4);
  const std::int64_t count = std::min(set.a.size(0), set.b.size(0));
  const std::int64_t half = count / 2;
  const at::Tensor first = random_rows(set.a, count, key.child(0));
  const at::Tensor second = random_rows(set.b, count, key.child(1));
  at::Tensor train = at::cat({first.slice(0, 0, half), second.slice(0, 0, half)});
  at::Tensor test = at::cat({first.slice(0, half), second.slice(0, half)});
  standardise(train, test);
  const auto labels = [](std::int64_t of_each) {
    return at::cat({at::zeros({of_each}, at::kDouble), at::ones({of_each}, at::kDouble)});
  };
  const at::Tensor logits = classifier == TwoSampleClassifier::logistic
                                ? logistic_logits(train, labels(half), test)
                                : mlp_logits(train, labels(half), test, key.child(2));
  const at::Tensor right = logits.gt(0).eq(labels(count - half).gt(0.5));
  const auto tested = static_cast<double>(test.size(0));
  const auto accuracy = right.to(at::kDouble).mean().item<double>();
  return {.accuracy = accuracy,
          .standard_error = std::sqrt(accuracy * (1 - accuracy) / tested),
          .z = (accuracy - 0.5) * 2 * std::sqrt(tested),
          .trained = train.size(0),
          .tested = test.size(0)};
}

}  // namespace calor::metric
