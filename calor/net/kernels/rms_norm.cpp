#include "calor/net/kernels/rms_norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

namespace calor::net::kernels {
namespace {

// Rows are cut into this many parts whatever the number of threads, and the parts' sums for the
// weight's gradient are added in order, so that the result is the same on any of them.
constexpr std::int64_t parts = 32;

struct Rows {
  std::int64_t count, width;
  std::int64_t begin(std::int64_t part) const { return count * part / parts; }
};

Rows rows_of(const at::Tensor& x) {
  const std::int64_t width = x.size(-1);
  return {.count = x.numel() / width, .width = width};
}

void forward_rows(const float* x, const float* w, float* y, float* inverse, std::int64_t rows,
                  std::int64_t width) {
  for (std::int64_t row = 0; row < rows; ++row, x += width, y += width) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < width; ++i) sum += x[i] * x[i];
    const float r =
        1 / std::sqrt(sum / static_cast<float>(width) + static_cast<float>(rms_epsilon));
    inverse[row] = r;
    for (std::int64_t i = 0; i < width; ++i) y[i] = x[i] * r * w[i];
  }
}

// dx = r (g w - x r^2 mean(g w x)),  dw += g x r.
void backward_rows(const float* g, const float* x, const float* w, const float* inverse, float* dx,
                   float* dw, std::int64_t rows, std::int64_t width) {
  for (std::int64_t row = 0; row < rows; ++row, g += width, x += width, dx += width) {
    const float r = inverse[row];
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (std::int64_t i = 0; i < width; ++i) dot += g[i] * w[i] * x[i];
    const float along = dot * r * r / static_cast<float>(width);
    for (std::int64_t i = 0; i < width; ++i) {
      dx[i] = r * (g[i] * w[i] - x[i] * along);
      dw[i] += g[i] * x[i] * r;
    }
  }
}

class RmsNorm final : public torch::autograd::Function<RmsNorm> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight) {
    const at::Tensor x = input.contiguous();
    const Rows rows = rows_of(x);
    at::Tensor y = at::empty_like(x);
    at::Tensor inverse = at::empty({rows.count}, x.options());
    const float* in = x.const_data_ptr<float>();
    const float* w = weight.const_data_ptr<float>();
    auto* out = y.data_ptr<float>();
    auto* r = inverse.data_ptr<float>();
    at::parallel_for(0, rows.count, 256, [=](std::int64_t begin, std::int64_t end) {
      forward_rows(in + begin * rows.width, w, out + begin * rows.width, r + begin, end - begin,
                   rows.width);
    });
    context->save_for_backward({x, weight, inverse});
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor g = gradients[0].contiguous();
    const Rows rows = rows_of(saved[0]);
    at::Tensor dx = at::empty_like(saved[0]);
    at::Tensor dw = at::zeros({parts, rows.width}, saved[0].options());
    const float* grad = g.const_data_ptr<float>();
    const float* x = saved[0].const_data_ptr<float>();
    const float* w = saved[1].const_data_ptr<float>();
    const float* r = saved[2].const_data_ptr<float>();
    auto* out = dx.data_ptr<float>();
    auto* sums = dw.data_ptr<float>();
    at::parallel_for(0, parts, 1, [=](std::int64_t first, std::int64_t last) {
      for (std::int64_t part = first; part < last; ++part) {
        const std::int64_t begin = rows.begin(part);
        const std::int64_t offset = begin * rows.width;
        backward_rows(grad + offset, x + offset, w, r + begin, out + offset,
                      sums + part * rows.width, rows.begin(part + 1) - begin, rows.width);
      }
    });
    return {dx, dw.sum(0)};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight) {
  if (!x.is_cpu() || x.scalar_type() != at::kFloat || x.numel() == 0) {
    return rms_norm_reference(x, weight);
  }
  return RmsNorm::apply(x, weight);
}

at::Tensor rms_norm_reference(const at::Tensor& x, const at::Tensor& weight) {
  return x * at::rsqrt(x.square().mean(-1, true) + rms_epsilon) * weight;
}

}  // namespace calor::net::kernels
