// Measurements that are sums over few frequencies. With P the folded variance rows^2 R columns^2^T,
// the squares element by element, H R H^T is diagonal with P in the DCT domain of y, and the
// conditional mean is, with D the DCT of the clean picture and Y that of y,
//
//     D + R (rows^T [(Y - rows D columns^T) / (P + sigma^2)] columns).
#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "calor/restore/measurement.h"
#include "calor/spectral/dct.h"

namespace calor::restore {
namespace {

class FoldedMeasurement final : public Measurement {
 public:
  FoldedMeasurement(const at::Tensor& rows, const at::Tensor& columns, double sigma)
      : Measurement(sigma),
        rows_(rows),
        columns_(columns),
        large_(rows.size(1), columns.size(1), at::kDouble, rows.device()),
        small_(rows.size(0), columns.size(0), at::kDouble, rows.device()),
        support_(at::ones({rows.size(0), columns.size(0)}, rows.options())) {}

  at::Tensor apply(const at::Tensor& pictures) const override {
    const at::Tensor x = large_.forward(pictures.to(rows_.options()));
    return small_.inverse(folded(x)).to(pictures.options());
  }

  at::Tensor condition(const at::Tensor& clean, const at::Tensor& measured,
                       const at::Tensor& variance) const override {
    const at::Tensor d = large_.forward(clean.to(rows_.options()));
    const Innovation found = of_coefficients(d, measured, variance);
    const at::Tensor weighed = found.residual / (found.variance + sigma() * sigma());
    const at::Tensor back = at::matmul(at::matmul(rows_.t(), weighed), columns_);
    return large_.inverse(d + variance.to(rows_.options()) * back).to(clean.options());
  }

  Innovation innovation(const at::Tensor& clean, const at::Tensor& measured,
                        const at::Tensor& variance) const override {
    return of_coefficients(large_.forward(clean.to(rows_.options())), measured, variance);
  }

  const at::Tensor& support() const override { return support_; }

 private:
  at::Tensor folded(const at::Tensor& x) const {
    return at::matmul(at::matmul(rows_, x), columns_.t());
  }

  Innovation of_coefficients(const at::Tensor& d, const at::Tensor& measured,
                             const at::Tensor& variance) const {
    const at::Tensor r = variance.to(rows_.options());
    return {.residual = small_.forward(measured.to(rows_.options())) - folded(d),
            .variance = at::matmul(at::matmul(rows_.square(), r), columns_.square().t())};
  }

  at::Tensor rows_, columns_;
  spectral::Dct large_, small_;
  at::Tensor support_;
};

}  // namespace

std::unique_ptr<Measurement> make_folded_measurement(const at::Tensor& rows,
                                                     const at::Tensor& columns, double sigma) {
  return std::make_unique<FoldedMeasurement>(rows.to(at::kDouble), columns.to(at::kDouble), sigma);
}

at::Tensor blur_matrix(std::int64_t n, double deviation) {
  constexpr double cut = 4;
  const double radius = std::ceil(cut * deviation);
  const at::Tensor m = at::arange(-radius, radius + 1, at::kDouble);
  const at::Tensor kernel = (m / deviation).square().div(-2).exp();
  const at::Tensor i = at::arange(n, at::kDouble).unsqueeze(1);
  const at::Tensor waves = at::cos(i * m * (std::numbers::pi / static_cast<double>(n)));
  return at::diag(at::mv(waves, kernel / kernel.sum()));
}

at::Tensor averaging_matrix(std::int64_t n, std::int64_t factor) {
  const std::int64_t m = n / factor;
  const at::Tensor large = spectral::dct_matrix(n, at::kDouble, at::kCPU);
  const at::Tensor small = spectral::dct_matrix(m, at::kDouble, at::kCPU);
  const at::Tensor averaged = large.view({n, m, factor}).mean(2);  // the cosines, over blocks
  const at::Tensor folds = at::mm(small, averaged.t());
  constexpr double rounding = 1e-10;
  return folds.masked_fill(folds.abs().lt(rounding), 0);
}

at::Tensor truncation_matrix(std::int64_t n, std::int64_t factor) {
  return at::eye(n / factor, n, at::kDouble) / std::sqrt(static_cast<double>(factor));
}

}  // namespace calor::restore
