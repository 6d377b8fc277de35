// A grey picture as a law of points in the plane: each pixel has its share of the mass, evenly
// spread over the pixel.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "calor/core/random.h"

namespace calor::data {

class PictureDensity {
 public:
  // `picture` uint8 [1, H, W], its top row upwards in the plane. The mass of a pixel is 255 - grey
  // where dark is mass, else grey. The larger side fills the box [-4, 4], the other is centred.
  // Error, which names `name`, where no pixel has mass.
  PictureDensity(const at::Tensor& picture, bool dark_is_mass, const std::string& name = "picture");

  // float32 [n, 2]; point i is a function of key.child(i) alone.
  at::Tensor draw(std::int64_t n, RandomKey key) const;
  // The natural logarithm of the density at points [n, 2]: float64 [n], minus infinity where there
  // is no mass.
  at::Tensor log_density(const at::Tensor& points) const;

 private:
  double column_of(double x) const;
  double row_of(double y) const;

  std::int64_t height_, width_;
  double pixel_;                          // its side
  double left_, top_;                     // of the picture
  std::vector<std::int64_t> cumulative_;  // of the pixels' masses, row by row
};

// Any PNG or JPEG; colours become grey.
PictureDensity read_picture_density(const std::filesystem::path& path, bool dark_is_mass);

}  // namespace calor::data
