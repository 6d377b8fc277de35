// The divergence of a velocity field along a path: exact, or estimated from a few products of the
// Jacobian with random probes, which stay the same along a stage.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "calor/config/options.h"
#include "calor/solve/field.h"

namespace calor::solve {

enum class DivergenceKind { exact, hutchinson, hutchpp };

// The names a person writes.
inline constexpr config::Choice<DivergenceKind> divergence_kinds[] = {
    {"exact", DivergenceKind::exact, "the trace itself, d products"},
    {"hutchinson", DivergenceKind::hutchinson, "mean of w'Jw over random probes w"},
    {"hutch++", DivergenceKind::hutchpp,
     "exact on a random sketch of the range, Hutchinson on the rest"},
};

struct DivergenceOptions {
  DivergenceKind kind = DivergenceKind::exact;
  std::int64_t probes = 1;  // hutch++: at least 3, a third of them for the sketch
  bool gaussian = false;    // probes are standard normal; otherwise signs (Rademacher)
  std::uint64_t seed = 0;
};

// Estimates for rows in R^d. An estimate comes as `integrals()` numbers whose mean is the estimate:
// each is unbiased, and given the sketch they are independent, so their scatter is its standard
// error. To have that of an integral along a path, each number is integrated by itself.
//
// What is random is drawn once for a stage, the sketch of Hutch++ included: were the range of J S
// followed along a path, it would turn at once wherever the columns of J S come near to linear
// dependence, and the integrand with it. Any fixed projection leaves the estimate unbiased.
class Divergence {
 public:
  Divergence(const DivergenceOptions& options, std::int64_t d);

  // True also for hutch++ with at least d probes.
  bool exact() const { return kind_ == DivergenceKind::exact; }
  // 1 where exact.
  std::int64_t integrals() const { return integrals_; }
  // Evaluations of the field that directions() takes.
  std::int64_t sketch_nfe() const { return sketch_ > 0 ? 1 : 0; }

  // The probes [n, k, d] of stage `stage` for the rows first_row, first_row + 1, ..: a function of
  // (seed, row, stage, probe) alone. Undefined where exact.
  at::Tensor probes(std::int64_t stage, std::int64_t first_row, std::int64_t n,
                    const at::TensorOptions& like) const;

  // What the Jacobian is multiplied with along a stage, from these probes: the probes themselves,
  // or, for hutch++, an orthonormal basis of the sketch's range at times t [n] and points x [n, d]
  // and the other probes' parts outside of it.
  at::Tensor directions(const VelocityField& field, const at::Tensor& t, const at::Tensor& x,
                        const at::Tensor& probes) const;

  struct Value {
    at::Tensor velocity;  // [n, d]
    at::Tensor traces;    // [n, integrals()]
  };
  // At times t [n] and points x [n, d], with the directions [n, k, d] of these rows.
  Value evaluate(const VelocityField& field, const at::Tensor& t, const at::Tensor& x,
                 const at::Tensor& directions) const;

 private:
  DivergenceOptions options_;
  DivergenceKind kind_;
  std::int64_t d_;
  std::int64_t sketch_ = 0;  // hutch++: probes that span the sketch
  std::int64_t integrals_ = 1;
};

}  // namespace calor::solve
