#include "calor/metric/estimate.h"

#include "calor/core/error.h"
#include "tests/metric/support.h"

namespace calor::metric {
namespace {

TEST(Estimate, MeanAndStandardErrorByHand) {
  // Deviations -3, -1, 1, 3: unbiased variance 20/3.
  const Estimate found = mean_and_standard_error(at::tensor({2.0F, 4.0F, 6.0F, 8.0F}));
  EXPECT_NEAR(found.mean, 5, 1e-12);
  EXPECT_NEAR(found.standard_error, std::sqrt(20.0 / 3 / 4), 1e-12);
  EXPECT_EQ(found.count, 4);
  EXPECT_THROW(mean_and_standard_error(at::ones({1})), Error);
  EXPECT_THROW(mean_and_standard_error(at::ones({2, 2})), Error);
}

TEST(Estimate, PairsCancelWhatTheyShare) {
  const at::Tensor common = normal(1, {50}) * 100;
  const at::Tensor a = common + normal(2, {50}) * 0.1 + 1;
  const Estimate found = paired_difference(a, common);
  EXPECT_NEAR(found.mean, 1, 5 * 0.1 / std::sqrt(50.0));
  EXPECT_LT(found.standard_error, 0.03);
  EXPECT_GT(mean_and_standard_error(a).standard_error, 5);
  EXPECT_THROW(paired_difference(a, common.slice(0, 1)), Error);
}

}  // namespace
}  // namespace calor::metric
