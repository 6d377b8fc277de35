// Measurements of some of the pixels. M R M + sigma^2, M the mask and R diagonal in the DCT domain,
// is solved for by conjugate gradients, preconditioned by M (R + sigma^2)^-1 M, which is its
// inverse where all pixels are known.
#include <ATen/ATen.h>

#include <algorithm>

#include "calor/restore/measurement.h"
#include "calor/spectral/dct.h"

namespace calor::restore {
namespace {

constexpr int most_iterations = 500;
constexpr double tolerance = 1e-6;  // of the residual, relative to the right-hand side

// One number for each picture and channel.
at::Tensor dot_of(const at::Tensor& a, const at::Tensor& b) {
  return (a * b).sum(at::IntArrayRef{2, 3}, /*keepdim=*/true);
}

class MaskedMeasurement final : public Measurement {
 public:
  MaskedMeasurement(const at::Tensor& mask, double sigma)
      : Measurement(sigma),
        mask_(mask.to(at::kDouble)),
        dct_(mask.size(0), mask.size(1), at::kDouble, mask.device()) {}

  at::Tensor apply(const at::Tensor& pictures) const override {
    return pictures * mask_.to(pictures.scalar_type());
  }

  at::Tensor condition(const at::Tensor& clean, const at::Tensor& measured,
                       const at::Tensor& variance) const override {
    const at::Tensor r = variance.to(mask_.options());
    const at::Tensor difference = mask_ * (measured.to(mask_.options()) - clean);
    const at::Tensor change = filtered(r, solution(r, difference));
    return clean + change.to(clean.options());
  }

  // The variance of a pixel is the sum over frequencies of the cosines' squares times R.
  Innovation innovation(const at::Tensor& clean, const at::Tensor& measured,
                        const at::Tensor& variance) const override {
    const at::Tensor r = variance.to(mask_.options());
    const at::Tensor of_pixels =
        at::matmul(at::matmul(dct_.rows().square().t(), r), dct_.columns().square());
    return {.residual = mask_ * (measured.to(mask_.options()) - clean),
            .variance = mask_ * of_pixels};
  }

  double residual() const override { return residual_; }
  const at::Tensor& support() const override { return mask_; }

 private:
  at::Tensor filtered(const at::Tensor& multiplier, const at::Tensor& pictures) const {
    return dct_.inverse(multiplier * dct_.forward(pictures));
  }

  // u with (M R M + sigma^2) u = b, b zero outside the mask. A picture that is done is left alone:
  // what it becomes does not depend on the others of its batch.
  at::Tensor solution(const at::Tensor& r, const at::Tensor& b) const {
    const double noise = sigma() * sigma();
    const at::Tensor inverse = 1 / (r + noise);
    const at::Tensor enough = tolerance * tolerance * dot_of(b, b);
    at::Tensor u = at::zeros_like(b);
    at::Tensor rest = b;
    at::Tensor z = mask_ * filtered(inverse, rest);
    at::Tensor direction = z;
    at::Tensor rz = dot_of(rest, z);
    for (int i = 0; i < most_iterations; ++i) {
      const at::Tensor active = dot_of(rest, rest) > enough;
      if (!active.any().item<bool>()) break;
      const at::Tensor image = mask_ * filtered(r, direction) + noise * direction;
      const at::Tensor step = at::where(active, rz / dot_of(direction, image), at::zeros_like(rz));
      u = u + step * direction;
      rest = rest - step * image;
      z = mask_ * filtered(inverse, rest);
      const at::Tensor next = dot_of(rest, z);
      direction = z + at::where(active, next / rz, at::zeros_like(rz)) * direction;
      rz = next;
    }
    note_residual(dot_of(rest, rest), dot_of(b, b));
    return u;
  }

  void note_residual(const at::Tensor& rest, const at::Tensor& all) const {
    const at::Tensor share = at::where(all > 0, rest / all, at::zeros_like(all)).sqrt();
    if (share.numel() > 0) residual_ = std::max(residual_, share.max().item<double>());
  }

  at::Tensor mask_;
  spectral::Dct dct_;
  mutable double residual_ = 0;  // what was left over says nothing about the measurement
};

}  // namespace

std::unique_ptr<Measurement> make_masked_measurement(const at::Tensor& mask, double sigma) {
  return std::make_unique<MaskedMeasurement>(mask, sigma);
}

}  // namespace calor::restore
