#include "calor/data/picture_density.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "calor/core/error.h"
#include "calor/data/point_law.h"
#include "calor/data/point_sets.h"
#include "calor/data/point_tensors.h"
#include "calor/io/picture.h"

namespace calor::data {
namespace {

at::Tensor checked(const at::Tensor& picture, const std::string& name) {
  const bool right = picture.defined() && picture.scalar_type() == at::kByte &&
                     picture.dim() == 3 && picture.size(0) == 1 && picture.numel() > 0;
  if (right) return picture.cpu().contiguous();
  throw Error("a grey picture, uint8 of shape [1, H, W]",
              fmt::format("{}: {}", name,
                          picture.defined() ? fmt::format("{} of shape [{}]",
                                                          c10::toString(picture.scalar_type()),
                                                          fmt::join(picture.sizes(), ", "))
                                            : "no tensor"),
              "read it with one channel");
}

}  // namespace

PictureDensity::PictureDensity(const at::Tensor& picture, bool dark_is_mass,
                               const std::string& name) {
  const at::Tensor grey = checked(picture, name);
  height_ = grey.size(1);
  width_ = grey.size(2);
  pixel_ = 2 * point_box / static_cast<double>(std::max(height_, width_));
  left_ = -pixel_ * static_cast<double>(width_) / 2;
  top_ = pixel_ * static_cast<double>(height_) / 2;
  const auto* const values = grey.const_data_ptr<std::uint8_t>();
  std::int64_t sum = 0;
  cumulative_.reserve(static_cast<std::size_t>(grey.numel()));
  for (std::int64_t i = 0; i < grey.numel(); ++i) {
    sum += dark_is_mass ? 255 - values[i] : values[i];
    cumulative_.push_back(sum);
  }
  if (sum == 0) {
    throw Error(fmt::format("a picture with at least one pixel that is not {}",
                            dark_is_mass ? "white" : "black"),
                fmt::format("{}: {} x {} pixels, all {}", name, width_, height_,
                            dark_is_mass ? "white" : "black"),
                dark_is_mass ? "take another picture, or let light pixels be the mass"
                             : "take another picture, or let dark pixels be the mass");
  }
}

double PictureDensity::column_of(double x) const { return std::floor((x - left_) / pixel_); }

double PictureDensity::row_of(double y) const { return std::floor((top_ - y) / pixel_); }

at::Tensor PictureDensity::draw(std::int64_t n, RandomKey key) const {
  const auto total = static_cast<double>(cumulative_.back());
  return make_points(n, [&](std::int64_t i) {
    std::array<double, 3> u{};
    fill_uniform(key.child(static_cast<std::uint64_t>(i)), u);
    // The masses are whole numbers and u < 1: the pixel found has mass.
    const auto target = std::min(static_cast<std::int64_t>(u[0] * total), cumulative_.back() - 1);
    const auto pixel =
        std::distance(cumulative_.begin(), std::ranges::upper_bound(cumulative_, target));
    const auto column = static_cast<double>(pixel % width_);
    const auto row = static_cast<double>(pixel / width_);
    return std::array{
        round_inside(left_ + pixel_ * (column + u[1]), left_ + pixel_ * (column + 0.5),
                     [&](double x) { return column_of(x) == column; }),
        round_inside(top_ - pixel_ * (row + u[2]), top_ - pixel_ * (row + 0.5),
                     [&](double y) { return row_of(y) == row; })};
  });
}

at::Tensor PictureDensity::log_density(const at::Tensor& points) const {
  const double whole = static_cast<double>(cumulative_.back()) * pixel_ * pixel_;
  const auto inside = [](double index, std::int64_t count) {
    return index >= 0 && index < static_cast<double>(count);
  };
  return log_density_at(points, [&](const Vec2& p) {
    const double column = column_of(p[0]);
    const double row = row_of(p[1]);
    std::int64_t mass = 0;
    if (inside(column, width_) && inside(row, height_)) {
      const auto pixel = static_cast<std::size_t>(row) * static_cast<std::size_t>(width_) +
                         static_cast<std::size_t>(column);
      mass = cumulative_[pixel] - (pixel == 0 ? 0 : cumulative_[pixel - 1]);
    }
    return std::log(static_cast<double>(mass) / whole);
  });
}

PictureDensity read_picture_density(const std::filesystem::path& path, bool dark_is_mass) {
  return PictureDensity(io::read_picture(path, 1), dark_is_mass, path.string());
}

}  // namespace calor::data
