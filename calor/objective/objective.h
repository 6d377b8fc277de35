// What the network predicts, what the loss measures, and the weights that connect the two.
//
// A residual of the clean picture r_x becomes one of the velocity or of the noise by a factor per
// frequency, so every loss is one weighted sum of squares of the residual in the DCT domain:
//     L = mean over frequencies of w(t, lambda) |DCT(r)|^2,
// one transform, and none where the weight does not depend on the frequency.
//
// On a path of levels (IHDM) the network predicts the picture one level less blurred, as its
// difference to the state in units of the noise, (A(t + 1/K) X - Z)/S, and the loss is on that.
#pragma once

#include <ATen/core/Tensor.h>

#include "calor/config/options.h"
#include "calor/path/picture_space.h"
#include "calor/path/training_times.h"

namespace calor::objective {

enum class Quantity { x, v, eps, less_blurred };
enum class BlurTerm { paper, exact };

struct ObjectiveOptions {
  Quantity prediction = Quantity::x;
  Quantity loss = Quantity::v;
  BlurTerm blur_term = BlurTerm::paper;
  double t_eps = 0.05;
  double balance = 0;
  double label_dropout = 0.1;
  double layer_sync = 0;
  std::int64_t layer_sync_from = 0;
  std::int64_t layer_sync_to = 0;

  void declare(config::Options& options);
};

class Objective {
 public:
  // `times`: for the balance of the weight, and the weight of velocities.
  Objective(const ObjectiveOptions& options, path::PictureSpace space,
            const path::TrainingTimes& times);

  // z_t = IDCT(A DCT(x) + S DCT(e)), [N, C, H, W]; t: [N].
  at::Tensor noisy(const at::Tensor& x, const at::Tensor& noise, const at::Tensor& t) const;

  // What the network should have said, in the prediction's quantity.
  at::Tensor target(const at::Tensor& x, const at::Tensor& z, const at::Tensor& noise,
                    const at::Tensor& t) const;

  // Whether the prediction is the path's own velocity, A' x + S' e: it is v, with the exact blur
  // term, where the path blurs, and without t_eps.
  bool predicts_exact_velocity() const;

  // The loss of each example [N]: mean over channels and pixels.
  at::Tensor loss(const at::Tensor& target, const at::Tensor& prediction,
                  const at::Tensor& t) const;

  // The clean picture that a prediction stands for; on a path of levels, the picture one level less
  // blurred, without noise. From eps and v, what the path has all but lost (A or B below 0.05) is
  // not divided out.
  at::Tensor clean(const at::Tensor& prediction, const at::Tensor& z, const at::Tensor& t) const;

  // The velocity of the loss for a given clean picture (blur term as configured).
  at::Tensor velocity(const at::Tensor& x, const at::Tensor& z, const at::Tensor& t) const;

  // The weight w(t, lambda) on the squared residual of the prediction; [N, 1, H or 1, W or 1].
  at::Tensor weight(const at::Tensor& t) const;

  const path::PictureSpace& space() const { return space_; }
  const ObjectiveOptions& options() const { return options_; }

 private:
  path::VelocityCoefficients coefficients(const at::Tensor& t) const;
  // d(loss quantity)/d(x) and d(x)/d(prediction), up to sign.
  at::Tensor loss_per_clean(const at::Tensor& t) const;
  at::Tensor clean_per_prediction(const at::Tensor& t) const;
  at::Tensor unbalanced_weight(const at::Tensor& t) const;
  at::Tensor balance_factor() const;

  ObjectiveOptions options_;
  path::PictureSpace space_;
  path::TrainingTimes times_;
  double blur_coefficient_ = 0;
  at::Tensor balance_;  // [H, W]; undefined where there is none
};

// LayerSync (arXiv 2510.12581): the mean over tokens of the cosine between an early block's tokens
// and a later one's, which is held fixed. Tokens [N, L, D]; a scalar to be subtracted from the
// loss.
at::Tensor layer_similarity(const at::Tensor& early, const at::Tensor& late);

}  // namespace calor::objective
