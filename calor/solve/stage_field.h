// A stage of a flow as a velocity field on rows, towards noise: dx/ds at inner time s = 1 - t, as
// the ODE solvers, the divergence estimators and the log-density take it.
#pragma once

#include <ATen/core/Tensor.h>

#include "calor/flow/stage.h"
#include "calor/solve/field.h"

namespace calor::solve {

// UsageError where the stage has no velocity: levels of inverse heat dissipation, and the maps of
// students.
void require_velocity(const flow::Stage& stage);

class StageField final : public VelocityField {
 public:
  // Items [N, channels, height, width] are rows of all their numbers. `given` belongs to the rows
  // that the field is asked about: all of them, in order (for_rows() makes the field of some); any
  // number of rows may be asked about where nothing is given (no classes, no condition). `t_eps`: s
  // is taken as at least this where the network predicts the clean item; a network that predicts
  // the velocity needs none. The stage must outlive this.
  StageField(const flow::Stage& stage, at::IntArrayRef item_shape, flow::Given given, double t_eps,
             flow::GuidanceOptions guidance = {});

  at::Tensor velocity(const at::Tensor& s, const at::Tensor& x) const override;
  std::unique_ptr<VelocityField> for_rows(const at::Tensor& rows) const override;
  Products with_products(const at::Tensor& s, const at::Tensor& x,
                         const at::Tensor& directions) const override;
  std::pair<at::Tensor, at::Tensor> with_divergence(const at::Tensor& s,
                                                    const at::Tensor& x) const override;

  // The smallest s at which the field may be asked.
  double s_min() const { return stage_.least_s(t_eps_); }

 private:
  bool gives_nothing() const { return stage_.classes() == 0 && !given_.condition.defined(); }
  at::Tensor items(const at::Tensor& x) const;
  at::Tensor velocity_of(const at::Tensor& s, const at::Tensor& x, const flow::Given& given) const;
  // Many rows a few at a time, one thread each.
  at::Tensor in_slices(const at::Tensor& s, const at::Tensor& x, const flow::Given& given) const;
  flow::Given given_for(std::int64_t rows) const;
  // Whether tangents of the network itself are all that is needed.
  bool has_tangents() const;
  // Products of the clean item's Jacobian by backward passes, for networks without tangents and
  // paths of any kind.
  Products clean_products(const at::Tensor& s, const at::Tensor& x,
                          const at::Tensor& directions) const;

  const flow::Stage& stage_;
  std::vector<std::int64_t> shape_;
  flow::Given given_;
  double t_eps_;
  flow::GuidanceOptions guidance_;
  bool exact_;
};

}  // namespace calor::solve
