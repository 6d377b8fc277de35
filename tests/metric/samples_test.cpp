#include "calor/metric/samples.h"

#include "tests/metric/support.h"

namespace calor::metric {
namespace {

// Both ways to compute a distance, far from the origin, where the expanded square would lose half
// its digits without centring.
TEST(Samples, EuclideanDistances) {
  for (const std::int64_t d : {3, 24, 25, 200}) {
    const at::Tensor a = normal(1, {40, d}) + 1000;
    const at::Tensor b = normal(2, {30, d}) + 1000;
    const at::Tensor direct = (a.unsqueeze(1) - b.unsqueeze(0)).square().sum(2).sqrt();
    EXPECT_LE((euclidean_distances(a, b) - direct).abs().max().item<double>(), 1e-11) << d;
    const auto self = euclidean_distances(a, a).diagonal().abs().max().item<double>();
    EXPECT_LE(self, d <= 24 ? 0 : 1e-5) << d;
  }
}

TEST(Samples, PartsCoverTheRows) {
  const at::Tensor x = at::arange(2001, at::kDouble).unsqueeze(1);
  std::vector<at::Tensor> seen;
  for_each_part(x, 2000, [&](const at::Tensor& part, std::int64_t start) {
    EXPECT_EQ(part[0].item<double>(), static_cast<double>(start));
    seen.push_back(part);
  });
  EXPECT_GT(seen.size(), 1U);
  EXPECT_TRUE(at::cat(seen).equal(x));
}

TEST(Samples, RandomRowsAreDifferentRows) {
  const at::Tensor x = at::arange(100, at::kDouble).unsqueeze(1);
  const at::Tensor some = random_rows(x, 30, test_key());
  EXPECT_EQ(some.size(0), 30);
  EXPECT_EQ(std::get<0>(at::_unique2(some)).size(0), 30);
  EXPECT_TRUE(some.equal(random_rows(x, 30, test_key())));
  EXPECT_EQ(random_rows(x, 500, test_key()).size(0), 100);
}

}  // namespace
}  // namespace calor::metric
