// A plane in a space of many dimensions: where laws of points in the plane are put to see what a
// model does with data on a thin manifold (as in JiT, arXiv 2511.13720, section 4, whose toy this
// follows: a fixed orthonormal map of the plane).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

namespace calor::data {

// P, float64 [dimensions, 2] with orthonormal columns: fixed, a function of the dimensions alone. A
// point u of the plane is P u; P^T x is what a point x of the space has in the plane.
at::Tensor plane_map(std::int64_t dimensions);

// Height and width of the picture that `dimensions` numbers are laid out as, row by row: as square
// as they can be, height <= width.
std::pair<std::int64_t, std::int64_t> plane_sides(std::int64_t dimensions);

struct InPlane {
  at::Tensor points;           // float64 [n, 2]: P^T x
  double off_plane_power = 0;  // mean of |x - P P^T x|^2; 0 in two dimensions
};
// Of floating-point x [n, dimensions].
InPlane in_plane(const at::Tensor& x);

}  // namespace calor::data
