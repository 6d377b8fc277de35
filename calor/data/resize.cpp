// Separable resampling with Keys' cubic kernel (a = -1/2; R. Keys, "Cubic convolution interpolation
// for digital image processing", 1981), widened by the reduction so that every source pixel under a
// new pixel counts, as an area average does. Rows first, then columns, in fp32 with one rounding.
#include "calor/data/resize.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace calor::data {
namespace {

double keys_kernel(double x) {
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

// The source pixels first..first + weights.size() - 1 make one new pixel.
struct Taps {
  std::int64_t first = 0;
  std::vector<float> weights;
};

Taps make_taps(std::int64_t source, std::int64_t target, std::int64_t index) {
  const double scale = static_cast<double>(source) / static_cast<double>(target);
  const double width = std::max(scale, 1.0);  // enlarging interpolates, reducing averages
  const double centre = (static_cast<double>(index) + 0.5) * scale;
  const auto floor_of = [](double x) { return static_cast<std::int64_t>(std::floor(x)); };
  const std::int64_t first = std::max<std::int64_t>(0, floor_of(centre - 2 * width + 0.5));
  const std::int64_t end = std::min(source, floor_of(centre + 2 * width + 0.5));
  std::vector<double> weights;
  double sum = 0;
  for (std::int64_t i = first; i < end; ++i) {
    weights.push_back(keys_kernel((static_cast<double>(i) + 0.5 - centre) / width));
    sum += weights.back();
  }
  Taps taps{.first = first, .weights = {}};
  for (const double weight : weights) taps.weights.push_back(static_cast<float>(weight / sum));
  return taps;
}

// The taps of the middle `kept` of `target` new pixels along one side.
std::vector<Taps> middle_taps(std::int64_t source, std::int64_t target, std::int64_t kept) {
  std::vector<Taps> taps;
  const std::int64_t start = (target - kept) / 2;
  for (std::int64_t i = 0; i < kept; ++i) taps.push_back(make_taps(source, target, start + i));
  return taps;
}

std::uint8_t to_byte(float x) {
  return static_cast<std::uint8_t>(std::lround(std::clamp(x, 0.0F, 255.0F)));
}

// One channel: `plane` is [height, width], `out` is [taps_y.size(), taps_x.size()].
void resample(const std::uint8_t* plane, std::int64_t width, const std::vector<Taps>& taps_y,
              const std::vector<Taps>& taps_x, std::uint8_t* out) {
  std::vector<float> row(static_cast<std::size_t>(width));
  for (const Taps& y : taps_y) {
    std::ranges::fill(row, 0.0F);
    const std::uint8_t* source = plane + y.first * width;
    for (const float weight : y.weights) {
      for (float& value : row) value += weight * static_cast<float>(*source++);
    }
    for (const Taps& x : taps_x) {
      const float* value = row.data() + x.first;
      float sum = 0;
      for (const float weight : x.weights) sum += weight * *value++;
      *out++ = to_byte(sum);
    }
  }
}

}  // namespace

at::Tensor resize_and_crop(const at::Tensor& picture, std::int64_t size) {
  const at::Tensor source = picture.contiguous();
  const std::int64_t height = source.size(1);
  const std::int64_t width = source.size(2);
  const std::int64_t short_side = std::min(height, width);
  const auto scaled = [&](std::int64_t side) {  // rounded to the nearest whole pixel
    return std::max(size, (2 * side * size + short_side) / (2 * short_side));
  };
  const std::vector<Taps> taps_y = middle_taps(height, scaled(height), size);
  const std::vector<Taps> taps_x = middle_taps(width, scaled(width), size);
  at::Tensor result = at::empty({source.size(0), size, size}, at::kByte);
  const auto* in = source.const_data_ptr<std::uint8_t>();
  auto* out = result.data_ptr<std::uint8_t>();
  for (std::int64_t c = 0; c < source.size(0); ++c) {
    resample(in + c * height * width, width, taps_y, taps_x, out + c * size * size);
  }
  return result;
}

}  // namespace calor::data
