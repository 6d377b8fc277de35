// A fused operator against its readable reference, result and gradients, in each type that it
// stores.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace calor::test {

using Tensors = std::vector<at::Tensor>;
using Operator = std::function<at::Tensor(const Tensors&)>;

// The result and every input's gradient, for the loss sum(result * some fixed numbers).
inline Tensors run(const Operator& f, const Tensors& values) {
  Tensors inputs;
  for (const at::Tensor& value : values) {
    inputs.push_back(value.detach().clone().set_requires_grad(true));
  }
  const at::Tensor y = f(inputs);
  const auto generator = at::detail::createCPUGenerator(7);
  (y * at::randn(y.sizes(), generator).to(y.scalar_type())).sum().backward();
  Tensors results{y.detach()};
  for (const at::Tensor& input : inputs) results.push_back(input.grad());
  return results;
}

inline double relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b).norm() / b.norm()).item<double>();
}

// `rounded` says which inputs are stored in bf16 where the products are. Rounding a result or a
// gradient to bf16 is a relative error of at most 2^-9 each; three such roundings follow each other
// at most (of an input's gradient: of the result's gradient, within, and of itself).
inline void expect_reference(const char* name, const Operator& fused, const Operator& reference,
                             const Tensors& values, const std::vector<bool>& rounded) {
  Tensors exact_values;
  for (const at::Tensor& value : values) exact_values.push_back(value.to(at::kDouble));
  const Tensors exact = run(reference, exact_values);
  const Tensors double_results = run(fused, exact_values);
  const Tensors float_results = run(fused, values);
  Tensors bf16_values, bf16_exact_values;
  for (std::size_t i = 0; i < values.size(); ++i) {
    bf16_values.push_back(rounded[i] ? values[i].to(at::kBFloat16) : values[i]);
    bf16_exact_values.push_back(bf16_values[i].to(at::kDouble));
  }
  const Tensors bf16_results = run(fused, bf16_values);
  const Tensors bf16_exact = run(reference, bf16_exact_values);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    EXPECT_LE(relative(double_results[i], exact[i]), 1e-12) << name << ", fp64, result " << i;
    EXPECT_LE(relative(float_results[i], exact[i]), 2e-6) << name << ", fp32, result " << i;
    EXPECT_LE(relative(bf16_results[i], bf16_exact[i]), 3.0 / 512) << name << ", bf16, " << i;
  }
}

inline at::Tensor numbers(at::IntArrayRef sizes, std::uint64_t seed) {
  return at::randn(sizes, at::detail::createCPUGenerator(seed));
}

}  // namespace calor::test
