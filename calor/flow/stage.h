// One stage of a flow: a path, a network on it, and what the network predicts.
//
// Times are the path's, t = 0 at the stage's noisy end and t = 1 at its clean end. The network of a
// stage of a chain is fed the inner time s = 1 - t, and where it predicts a velocity that is dx/ds,
// towards noise (METHODS: local flow matching); the network of a flow of one stage is fed t and
// predicts dz/dt.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "calor/data/dataset.h"
#include "calor/flow/given.h"
#include "calor/flow/model_options.h"
#include "calor/net/network.h"
#include "calor/net/replay.h"
#include "calor/objective/objective.h"
#include "calor/path/picture_space.h"
#include "calor/path/stage_path.h"
#include "calor/path/training_times.h"

namespace calor::flow {

// What a network must know of the items.
net::PictureShape shape_of(const data::ItemSpec& items);

class Stage {
 public:
  // Stage `index` of the flow with these options; `step` where it belongs to a chain. The weights
  // are declared, not drawn. UsageError where the options do not fit the items.
  Stage(const ModelOptions& options, std::size_t index, std::optional<path::StageStep> step,
        const data::ItemSpec& items, at::Device device);

  // The same with the pictures encoded by this stage's network, once for all evaluations, and no
  // longer among them.
  Given encoded(const Given& given) const;

  // What the network says, [N, C, H, W]: x, the noise, or dz/dt; t [N].
  at::Tensor predict(const at::Tensor& z, const at::Tensor& t, const Given& given) const;
  at::Tensor predict(const at::Tensor& z, const at::Tensor& t, const Given& given,
                     net::ForwardContext& context) const;
  // What the network itself says, with its Jacobian times directions [N, k, d] or [k, d], or with
  // the Jacobian's trace; for networks that have tangents.
  net::Tangents with_tangents(const at::Tensor& z, const at::Tensor& t, const Given& given,
                              const at::Tensor& directions) const;
  net::Divergence with_trace(const at::Tensor& z, const at::Tensor& t, const Given& given) const;
  // The clean item at the stage's left end that a state stands for; with and without label as one
  // batch where guided (given_none: the number that means "no label").
  at::Tensor clean(const at::Tensor& z, double t, const Given& given,
                   const GuidanceOptions& guidance) const;
  // The exact velocity dz/dt of the path, from whatever the network predicts; t [N], 1 - t taken as
  // at least `t_eps` in denominators.
  at::Tensor velocity(const at::Tensor& z, const at::Tensor& t, const Given& given, double t_eps,
                      const GuidanceOptions& guidance = {}) const;

  // A student's stage: a map from the right end z to the left one, one evaluation from each of
  // map_times() to the next. No velocity, hence no density.
  bool is_map() const { return is_map_; }
  std::int64_t evaluations() const { return static_cast<std::int64_t>(map_times_.size()) - 1; }
  // From 0 to 1, at equal steps of log(A/S) along whole_path().
  const std::vector<double>& map_times() const { return map_times_; }
  at::Tensor map(const at::Tensor& z, const Given& given) const;
  // One evaluation, from states z at times `from` [N] to the states at `to` [N] >= from. Where the
  // network says a velocity, that times the way: a teacher's Euler step, to begin with. Else it
  // says the left end, and the step is the first-order one along the path (DDIM); to 1, the left
  // end itself. Where `to` is `from` the result is z: a map's boundary condition.
  at::Tensor map_between(const at::Tensor& z, const at::Tensor& from, const at::Tensor& to,
                         const Given& given, net::ForwardContext& context) const;
  // The stage as a path from the data, with noise of unit scale.
  const path::SpectralPath& whole_path() const { return *whole_path_; }

  // The time that the network is fed, and the sign of its velocity, for a time of the path.
  at::Tensor fed_time(const at::Tensor& t) const;
  double velocity_sign() const { return step_ ? -1 : 1; }
  bool predicts_velocity() const;
  // The smallest s at which velocity() may be asked: `t_eps` where it has no limit at s = 0.
  double least_s(double t_eps) const;

  const std::optional<path::StageStep>& step() const { return step_; }
  const path::PictureSpace& space() const { return space_; }
  const path::TrainingTimes& training_times() const { return times_; }
  const objective::Objective& objective() const { return objective_; }
  net::Network& network() { return *network_; }
  // How predict() asks it on a GPU.
  const net::Replay& replay() const { return *replay_; }
  const net::Network& network() const { return *network_; }
  std::int64_t classes() const { return classes_; }

 private:
  net::NetworkInput input(const at::Tensor& z, const at::Tensor& t, const Given& given) const;
  at::Tensor guided(const at::Tensor& z, const at::Tensor& t, const Given& given, double weight,
                    bool as_clean) const;

  std::optional<path::StageStep> step_;
  bool predicts_data_;
  bool is_map_;
  std::int64_t classes_;
  path::PictureSpace space_;
  std::unique_ptr<path::SpectralPath> whole_path_;
  std::vector<double> map_times_;
  path::TrainingTimes times_;
  objective::Objective objective_;
  std::unique_ptr<net::Network> network_;
  std::unique_ptr<net::Replay> replay_ = std::make_unique<net::Replay>();
};

}  // namespace calor::flow
