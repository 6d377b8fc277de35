// Columns that condition a model: the same numbers every time.
#include "calor/data/table_condition.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "calor/data/table_codec.h"
#include "tests/data/table_support.h"

namespace calor::data {
namespace {

using namespace calor::data::testing;

constexpr const char* text = "x,w,y,k\n1,red,5,?\n2,green,6,1.5\n6,red,7,2.5\n3,?,8,4\n";

TableOptions conditioned_on(const std::string& names) {
  TableOptions options;
  options.condition = names;
  options.encoding = NumberEncoding::standardise;
  return options;
}

TEST(TableCondition, ValuesInClosedForm) {
  const TableOptions options = conditioned_on("w, x, k");
  const Table table = table_of(text);
  const ConditionCodec codec = ConditionCodec::fit(table, options);
  EXPECT_EQ(codec.column_names(), (std::vector<std::string>{"w", "x", "k"}));
  ASSERT_EQ(codec.width(), 6);
  // x has mean 3 and variance 3.5; k 8/3 and (1.5^2 + 2.5^2 + 16)/3 - 64/9 = 19/18.
  const double s = std::sqrt(3.5);
  const double t = std::sqrt(19.0 / 18);
  const double m = 8.0 / 3;
  const at::Tensor expected = at::tensor({1., 0., 0., -2 / s, 0.,
                                          1.,  //
                                          0., 1., 0., -1 / s, (1.5 - m) / t,
                                          0.,  //
                                          1., 0., 0., 3 / s,  (2.5 - m) / t,
                                          0.,  //
                                          0., 0., 1., 0 / s,  (4 - m) / t,
                                          0.})
                                  .reshape({4, 6});
  EXPECT_TRUE(at::allclose(codec.encode(table), expected.to(at::kDouble), 0, 1e-6));
  const ConditionCodec loaded = ConditionCodec::from_json(codec.to_json(), "m");
  EXPECT_TRUE(at::equal(loaded.encode(table), codec.encode(table)));
  EXPECT_EQ(TableCodec::fit(table, options).column_names(), (std::vector<std::string>{"y"}));
}

TEST(TableCondition, QuantilesOfTheValueItself) {
  std::vector<double> values(2000);
  fill_normal(random_key(1, RandomUse::test), values);
  for (double& value : values) value = std::round(10 * value);
  const Table table = table_of(column_text("x", values));
  TableOptions options;
  options.condition = "x";
  const at::Tensor z = ConditionCodec::fit(table, options).encode(table).select(1, 0);
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::abs(values[i]) > 15) continue;
    worst = std::max(worst, std::abs(z[std::int64_t(i)].item<double>() - values[i] / 10));
  }
  // 2000 rows know a quantile within 4 sqrt(p (1 - p) / 2000) / phi(z), .14 at z = 1.5.
  EXPECT_LT(worst, 0.16);
}

TEST(TableCondition, BadConditionsAreRefused) {
  const Table table = table_of(text);
  const auto refusal = [&](const std::string& names) {
    return error_of([&] { ConditionCodec::fit(table, conditioned_on(names)); });
  };
  EXPECT_TRUE(has(refusal("ww"), "did you mean"));
  EXPECT_TRUE(has(refusal("x, x"), "\"x\" twice"));
  EXPECT_TRUE(has(refusal("x,,w"), "nothing before"));
  const TableOptions ignoring = with_columns("x:ignore");
  const Table ignored = table_of(text, ignoring);
  EXPECT_TRUE(has(error_of([&] { ConditionCodec::fit(ignored, conditioned_on("x")); }), "ignored"));
  EXPECT_TRUE(has(error_of([&] { TableCodec::fit(table, conditioned_on("x, w, y, k")); }),
                  "ignored or conditions"));
  EXPECT_EQ(ConditionCodec::fit(table, conditioned_on("")).width(), 0);
  // A file of the conditions alone is enough; unknown cells are refused where they are.
  const ConditionCodec codec = ConditionCodec::fit(table, conditioned_on("w, x"));
  EXPECT_EQ(codec.encode(table_of("x,w\n9,green\n-1,red\n")).size(0), 2);
  EXPECT_TRUE(has(error_of([&] { codec.encode(table_of("x,w\n9,blue\n1,red\n")); }),
                  "row 2, column \"w\": \"blue\""));
  EXPECT_TRUE(
      has(error_of([&] { codec.encode(table_of("x,w\n,red\n1,red\n")); }), "row 2, column \"x\""));
  EXPECT_TRUE(has(error_of([&] { TableCodec::from_json(codec.to_json(), "m"); }), "another kind"));
}

}  // namespace
}  // namespace calor::data
