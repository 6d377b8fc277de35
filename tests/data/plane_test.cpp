#include "calor/data/plane.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "calor/core/error.h"
#include "calor/data/training_data.h"

namespace calor::data {
namespace {

TEST(Plane, TheMapIsOrthonormalAndFixed) {
  for (const std::int64_t dimensions : {2, 3, 16, 512}) {
    const at::Tensor map = plane_map(dimensions);
    EXPECT_LT((map.t().matmul(map) - at::eye(2, at::kDouble)).abs().max().item<double>(), 1e-14);
    EXPECT_TRUE(at::equal(map, plane_map(dimensions)));
  }
}

TEST(Plane, SidesAreAsSquareAsCanBe) {
  using Sides = std::pair<std::int64_t, std::int64_t>;
  EXPECT_EQ(plane_sides(2), (Sides{1, 2}));
  EXPECT_EQ(plane_sides(8), (Sides{2, 4}));
  EXPECT_EQ(plane_sides(16), (Sides{4, 4}));
  EXPECT_EQ(plane_sides(512), (Sides{16, 32}));
  EXPECT_EQ(plane_sides(7), (Sides{1, 7}));
}

TEST(Plane, SplitsAPointIntoThePlaneAndTheRest) {
  const at::Tensor map = plane_map(8);
  const at::Tensor u = at::randn({50, 2}, at::kDouble);
  at::Tensor normal = at::randn({8}, at::kDouble);
  normal -= map.matmul(map.t().matmul(normal));
  normal *= 0.3 / normal.norm();
  const InPlane found = in_plane(u.matmul(map.t()) + normal);
  EXPECT_LT((found.points - u).abs().max().item<double>(), 1e-13);
  EXPECT_NEAR(found.off_plane_power, 0.09, 1e-13);
  EXPECT_EQ(in_plane(u).off_plane_power, 0);  // nothing lies off a plane in two dimensions
}

TEST(Plane, PointsLieInIt) {
  DataOptions options;
  options.source = "two-moons";
  options.count = 200;
  options.dimensions = 16;
  const TrainingData data = open_training_data(options);
  EXPECT_EQ(data.train->spec().channels, 1);
  EXPECT_EQ(data.train->spec().height, 4);
  EXPECT_EQ(data.train->spec().width, 4);
  Batch batch;
  for (std::int64_t i = 0; i < 200; ++i) batch.indices.push_back(i);
  data.train->fill(batch, 0, 0, false);
  const InPlane found = in_plane(batch.items.flatten(1));
  EXPECT_LT(found.off_plane_power, 1e-11);  // single precision
  options.dimensions = 0;
  const TrainingData plain = open_training_data(options);
  plain.train->fill(batch, 0, 0, false);
  EXPECT_LT((found.points - batch.items.flatten(1)).abs().max().item<double>(), 1e-5);
  options.dimensions = 1;
  EXPECT_THROW(open_training_data(options), Error);
}

}  // namespace
}  // namespace calor::data
