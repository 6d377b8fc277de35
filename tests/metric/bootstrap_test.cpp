#include "calor/metric/bootstrap.h"

#include "calor/core/error.h"
#include "tests/metric/support.h"

namespace calor::metric {
namespace {

// Of a mean the bootstrap's standard error is known: sqrt(variance of the rows / n), divisor n. Of
// 4,000 draws it is known to 1/sqrt(8000), 1.1 %.
TEST(Bootstrap, OfAMean) {
  const at::Tensor x = normal(1, {60}).square();
  const auto mean = [&](const at::Tensor& rows) {
    return x.index_select(0, rows).mean().item<double>();
  };
  const double wanted = std::sqrt(x.var(0, false).item<double>() / 60);
  EXPECT_NEAR(bootstrap_standard_error(60, test_key(), mean, 4000) / wanted, 1, 0.05);
}

TEST(Bootstrap, DrawsAllRowsAndIsRepeatable) {
  at::Tensor seen = at::zeros({20}, at::kLong);
  const auto note = [&](const at::Tensor& rows) {
    EXPECT_EQ(rows.size(0), 20);
    seen += at::bincount(rows, {}, 20);
    return rows[0].item<double>();
  };
  const double first = bootstrap_standard_error(20, test_key(), note, 200);
  // 4,000 draws of 20 rows: 200 each, standard deviation 13.8.
  EXPECT_LT((seen - 200).abs().max().item<std::int64_t>(), 70);
  EXPECT_EQ(bootstrap_standard_error(20, test_key(), note, 200), first);
  EXPECT_NE(bootstrap_standard_error(20, test_key(2), note, 200), first);
  EXPECT_THROW(bootstrap_standard_error(0, test_key(), note), Error);
  EXPECT_THROW(bootstrap_standard_error(20, test_key(), note, 1), Error);
}

}  // namespace
}  // namespace calor::metric
