#include "calor/data/plane.h"

#include <ATen/ATen.h>

#include <span>

#include "calor/core/random.h"

namespace calor::data {

at::Tensor plane_map(std::int64_t dimensions) {
  constexpr std::uint64_t plane = ~std::uint64_t{0};  // no drawing's number
  const RandomKey key = random_key(0, RandomUse::points).child(plane);
  const at::Tensor given = at::empty({2, dimensions}, at::kDouble);
  fill_normal(key.child(static_cast<std::uint64_t>(dimensions)),
              std::span(given.data_ptr<double>(), static_cast<std::size_t>(given.numel())));
  // Gram and Schmidt's way, which no library's choice of signs can change.
  const at::Tensor first = given[0] / given[0].norm();
  const at::Tensor rest = given[1] - first * first.dot(given[1]);
  return at::stack({first, rest / rest.norm()}, 1).contiguous();
}

std::pair<std::int64_t, std::int64_t> plane_sides(std::int64_t dimensions) {
  std::int64_t height = 1;
  for (std::int64_t h = 1; h * h <= dimensions; ++h) {
    if (dimensions % h == 0) height = h;
  }
  return {height, dimensions / height};
}

InPlane in_plane(const at::Tensor& x) {
  const at::Tensor map = plane_map(x.size(1));
  const at::Tensor points = x.to(at::kDouble).matmul(map);
  if (x.size(1) == map.size(1)) return {.points = points, .off_plane_power = 0};
  const at::Tensor off = x.to(at::kDouble) - points.matmul(map.t());
  return {.points = points, .off_plane_power = off.square().sum(1).mean().item<double>()};
}

}  // namespace calor::data
