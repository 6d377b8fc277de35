#include "calor/train/spectrum.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "calor/spectral/dct.h"

namespace calor::train {
namespace {

at::Tensor some_items(const data::Dataset& set, std::int64_t most) {
  const std::int64_t count = std::min(most, set.size());
  data::Batch batch;
  for (std::int64_t i = 0; i < count; ++i) batch.indices.push_back(i * set.size() / count);
  set.fill(batch, 0, 0, /*flip=*/false);
  return data::to_model_range(batch.items).to(at::kDouble);
}

path::DataSpectrum along_principal_axes(const at::Tensor& rows) {
  const at::Tensor mean = rows.mean(0);
  const at::Tensor centred = rows - mean;
  const auto divisor = static_cast<double>(std::max<std::int64_t>(rows.size(0) - 1, 1));
  const auto [variance, axes] = at::linalg_eigh(at::mm(centred.t(), centred) / divisor);
  return {.variance = variance.clamp_min(0),
          .squared_mean = axes.t().mv(mean).square(),
          .lambda = at::zeros_like(variance)};
}

}  // namespace

path::DataSpectrum spectrum_of(const data::Dataset& set, std::int64_t most) {
  const at::Tensor items = some_items(set, most);
  if (set.spec().kind == data::ItemKind::rows) return along_principal_axes(items.flatten(1));
  const std::int64_t height = items.size(2), width = items.size(3);
  const at::Tensor coefficients =
      spectral::Dct(height, width, at::kDouble, at::kCPU).forward(items);
  return {.variance = coefficients.var(0, /*unbiased=*/items.size(0) > 1),
          .squared_mean = coefficients.mean(0).square(),
          .lambda = spectral::laplacian_eigenvalues(height, width)
                        .to(at::kDouble)
                        .expand({items.size(1), height, width})};
}

}  // namespace calor::train
