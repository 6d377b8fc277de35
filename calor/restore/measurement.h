// What is known of a picture that is to be restored: y = H x + sigma n, n white noise, with an
// operator H whose structure lets a Gaussian law of x be conditioned on y exactly.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "calor/config/options.h"
#include "calor/core/random.h"

namespace calor::restore {

enum class Task { deblur, superresolve, inpaint, denoise };

// How a picture is made smaller: blocks of pixels are averaged, or the lowest frequencies kept.
enum class Reduction { average, dct };

struct MeasurementOptions {
  Task task = Task::denoise;
  double sigma = 0.05;                       // of the noise; pictures are in [-1, 1]
  double blur = 1.5;                         // deblur: standard deviation of the blur, pixels
  std::int64_t factor = 4;                   // superresolve: per side
  Reduction reduction = Reduction::average;  // superresolve

  void declare(config::Options& options);
};

// The names a person writes.
std::string task_name(Task task);
std::string reduction_name(Reduction reduction);

// How far y is from H clean, [N, C, h, w], and the variance of that which H R H^T stands for, sigma
// apart; in the DCT domain or, for masks, pixel by pixel.
struct Innovation {
  at::Tensor residual, variance;
};

// Pictures are on the measurement's device; results have their type. Inside everything is float64:
// condition numbers of 10^5 are common.
class Measurement {
 public:
  explicit Measurement(double sigma) : sigma_(sigma) {}
  virtual ~Measurement() = default;

  // H x for pictures [N, C, H, W]: [N, C, h, w].
  virtual at::Tensor apply(const at::Tensor& pictures) const = 0;
  // The mean of x given y = `measured` [N, C, h, w] where x ~ N(clean, R) and R is diagonal in the
  // DCT domain, `variance` [H, W], [C, H, W] or [N, C, H, W] in float64, positive:
  //     clean + R H^T (H R H^T + sigma^2)^-1 (y - H clean).
  virtual at::Tensor condition(const at::Tensor& clean, const at::Tensor& measured,
                               const at::Tensor& variance) const = 0;
  virtual Innovation innovation(const at::Tensor& clean, const at::Tensor& measured,
                                const at::Tensor& variance) const = 0;
  // How exactly condition() has solved for y so far: the largest residual that it left, relative to
  // |y - H clean| of a picture; 0 where it solves in closed form.
  virtual double residual() const { return 0; }
  // Which numbers of y were measured, float64 [h, w] of 0 and 1.
  virtual const at::Tensor& support() const = 0;

  // y for pictures [N, C, H, W], the noise of picture i from the stream keys[i].
  at::Tensor simulate(const at::Tensor& pictures, std::span<const RandomKey> keys) const;
  // |y - H x| / (sigma sqrt(n)) of each picture, float64 [N], n the measured numbers: about 1 for
  // the true picture and for samples of the posterior.
  at::Tensor disagreement(const at::Tensor& pictures, const at::Tensor& measured) const;

  // By which factor R is too small for each picture, float64 [N], judged by how far the measurement
  // is from what was expected: sum w (e^2 - sigma^2) / sum w P over its numbers, e the residual, P
  // its variance and w = P/(P + sigma^2)^2, the step of maximum likelihood from 1. On average 1
  // where x ~ N(clean, R), f where x ~ N(clean, f R); of few or noisy numbers it may be negative.
  at::Tensor surprise(const at::Tensor& clean, const at::Tensor& measured,
                      const at::Tensor& variance) const;

  double sigma() const { return sigma_; }

 private:
  double sigma_;
};

// For pictures of height x width. `mask` [height, width], true where a pixel is known, for
// Task::inpaint alone. UsageError where the factor does not divide both sides, or leaves less than
// two pixels of one; where the mask is of another size or knows no pixel.
std::unique_ptr<Measurement> make_measurement(const MeasurementOptions& options,
                                              std::int64_t height, std::int64_t width,
                                              const at::Tensor& mask = {},
                                              at::Device device = at::kCPU);

// H = inverse DCT of (rows X columns^T), X the DCT of x, with matrices rows [h, H] and columns [w,
// W] that have at most one number other than 0 in each column, so that H R H^T is diagonal in the
// DCT domain of y whatever R is.
std::unique_ptr<Measurement> make_folded_measurement(const at::Tensor& rows,
                                                     const at::Tensor& columns, double sigma);
// Pixels are known or not; (H R H^T + sigma^2)^-1 by conjugate gradients.
std::unique_ptr<Measurement> make_masked_measurement(const at::Tensor& mask, double sigma);

// Such matrices, float64, for a side of n pixels.
//
// A blur by the normal kernel sampled at whole pixels, cut off at four standard deviations, with
// half-sample reflection: the diagonal of sum_m k_m cos(pi i m / n), i = 0..n-1. [n, n]
at::Tensor blur_matrix(std::int64_t n, double deviation);
// Means of `factor` neighbours. A cosine of n pixels, averaged over blocks, is a cosine of n/factor
// pixels with a sign: frequency i goes to |i - 2 m q| for the q that brings it into 0..m - 1, m =
// n/factor, to nothing where that is m. [n/factor, n]
at::Tensor averaging_matrix(std::int64_t n, std::int64_t factor);
// The n/factor lowest frequencies, scaled so that the mean of a picture stays: 1/sqrt(factor).
at::Tensor truncation_matrix(std::int64_t n, std::int64_t factor);

}  // namespace calor::restore
