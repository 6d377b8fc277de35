// A velocity field on rows, dx/dt = v(x, t), with products of its Jacobian: what solvers and
// log-densities know of a model.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace calor::solve {

class VelocityField {
 public:
  virtual ~VelocityField() = default;

  // v [N, d] at times t [N] and points x [N, d], of their type. For the products below to have
  // their default, x must reach v by differentiable operations.
  virtual at::Tensor velocity(const at::Tensor& t, const at::Tensor& x) const = 0;

  // The field of some rows [n] (int64, CPU) of all that it was made for; none where it is the same
  // for every row.
  virtual std::unique_ptr<VelocityField> for_rows(const at::Tensor& /*rows*/) const { return {}; }

  // J w or J^T w for each direction w, whichever is cheaper: estimators of a trace take either.
  //
  // J need not be dv/dx itself. Where v = a x + b X(x), a field may multiply by dX/dx and say
  // tr dv/dx = trace_shift + trace_scale tr J, with trace_shift = a d and trace_scale = b.
  // Hutch++ gains from that: the Jacobian of an ideal denoiser X is positive semi-definite and
  // close to low rank, dv/dx is neither.
  struct Products {
    at::Tensor velocity;     // [N, d]
    at::Tensor products;     // [N, k, d]
    at::Tensor trace_shift;  // [N]; undefined: 0
    at::Tensor trace_scale;  // [N]; undefined: 1
  };
  // `directions` are [N, k, d], or [k, d] for the same ones in every row. Default: J^T w for
  // J = dv/dx, by autograd, one backward pass for each direction. Leaves no graph behind.
  virtual Products with_products(const at::Tensor& t, const at::Tensor& x,
                                 const at::Tensor& directions) const;

  // v [N, d] and the exact trace of dv/dx [N]. Default: with_products on the d unit vectors, in
  // pieces that bound the memory.
  virtual std::pair<at::Tensor, at::Tensor> with_divergence(const at::Tensor& t,
                                                            const at::Tensor& x) const;
};

// J^T w, [N, k, ...], of a `value` [N, ...] that was computed from `input` [N, ...] with a graph,
// where direction(i) is the i-th w for every row, like `value`. One backward pass each; the graph
// is gone afterwards.
at::Tensor backward_products(const at::Tensor& value, const at::Tensor& input, std::int64_t k,
                             const std::function<at::Tensor(std::int64_t)>& direction);

// trace_shift + trace_scale trace, for traces of J [N] or [N, m].
at::Tensor trace_of_field(const VelocityField::Products& products, const at::Tensor& traces);

}  // namespace calor::solve
