// The step of a column's numbers: found, credible, and exact in decimal.
#include "calor/data/table_grid.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "calor/core/random.h"

namespace calor::data {
namespace {

NumberGrid grid_from(std::vector<double> values, bool single = false) {
  const std::set<double> distinct(values.begin(), values.end());
  values.assign(distinct.begin(), distinct.end());
  return infer_grid(values, single);
}

std::string step_of(const std::vector<double>& values, bool single = false) {
  return to_text(grid_from(values, single).step);
}

std::vector<double> random_numbers(std::size_t n) {
  std::vector<double> numbers(n);
  fill_uniform(random_key(3, RandomUse::test), numbers);
  return numbers;
}

TEST(TableGrid, StepIsTheLargestThatDividesAllValues) {
  EXPECT_EQ(step_of({17, 39, 90}), "1");
  EXPECT_EQ(step_of({100, 700, -12300}), "100");
  EXPECT_EQ(step_of({0.01, 37.88, -122.23}), "0.01");
  EXPECT_EQ(step_of({0.4999, 15.0001, 2}), "0.0001");
  EXPECT_EQ(step_of({5, 15, 20, 35, 120}), "5");
  EXPECT_EQ(step_of({0.25, 0.5, 1.75, 2, 12.25}), "0.25");
  EXPECT_EQ(step_of({7, 14, 28}), "1") << "three values are no evidence for a step of 7";
  EXPECT_EQ(step_of({0, 0.5}), "0.1");
  EXPECT_EQ(step_of({0}), "1");
  EXPECT_EQ(step_of({4e9, 7e9}), "1000000000");
}

TEST(TableGrid, NoStepWhereTheDigitsAreNoise) {
  const std::vector<double> noise = random_numbers(100);
  EXPECT_EQ(step_of(noise), "0");
  EXPECT_EQ(step_of({1.0 / 3, 2.0 / 3}), "0");
  EXPECT_EQ(step_of({1, 2, 12345678901}), "0") << "more than 10^10 steps";
  std::vector<double> single(noise.size());
  std::ranges::transform(noise, single.begin(),
                         [](double x) { return static_cast<double>(static_cast<float>(x)); });
  EXPECT_EQ(step_of(single, true), "0");
  EXPECT_EQ(step_of(single, false), "0");
}

TEST(TableGrid, StepsOfSinglePrecision) {
  std::vector<double> values;
  for (int i = 1; i < 200; ++i) values.push_back(static_cast<double>(0.01F * 3 * float(i)));
  for (double& value : values)
    value = static_cast<double>(static_cast<float>(std::round(value * 100) / 100));
  EXPECT_EQ(step_of(values, true), "0.03");
  EXPECT_EQ(step_of(values, false), "0");
}

TEST(TableGrid, FewValuesBesideTheGridAreExceptions) {
  std::vector<double> values;
  for (int i = 150; i < 5000; ++i) values.push_back(100.0 * i);
  values.push_back(500001);
  values.push_back(14999);
  const NumberGrid grid = grid_from(values);
  EXPECT_EQ(to_text(grid.step), "100");
  EXPECT_EQ(grid.exceptions, (std::vector<double>{14999, 500001}));
  for (int i = 0; i < 100; ++i) values.push_back(37 + 100.0 * i);
  EXPECT_EQ(step_of(values), "1") << "a hundred values are no exceptions";
}

TEST(TableGrid, CellsCoverTheLineWithoutOverlap) {
  const NumberGrid grid{.step = {.mantissa = 100, .decimals = 0}, .exceptions = {14999, 500001}};
  const std::vector<double> values{14900, 14999, 15000, 15100};
  for (std::size_t i = 0; i + 1 < values.size(); ++i) {
    EXPECT_EQ(grid.cell(values[i]).high, grid.cell(values[i + 1]).low);
  }
  EXPECT_EQ(grid.cell(500001).low, 500000.5);
  EXPECT_EQ(grid.cell(500001).high, 500050.5);
  EXPECT_EQ(grid.cell(300).low, 250);
  EXPECT_EQ(grid.cell(300).high, 350);
  for (const double u : random_numbers(1000)) {
    for (const double x : {14900., 14999., 15000., 500000., 500001., 500100., -100., 0.}) {
      const auto [low, high] = grid.cell(x);
      EXPECT_EQ(grid.nearest(low + u * (high - low)), x);
    }
  }
}

TEST(TableGrid, MultiplesAreTheDecimalNumbers) {
  const NumberGrid grid = grid_of({.mantissa = 1, .decimals = 4});
  EXPECT_EQ(grid.nearest(0.30004), 0.3);
  EXPECT_EQ(grid.nearest(8.32519), 8.3252);
  EXPECT_EQ(grid.step.multiple(3), 0.0003);
  EXPECT_FALSE(std::signbit(grid.nearest(-1e-9)));
  EXPECT_EQ(grid_of({}).nearest(0.123), 0.123);
}

TEST(TableGrid, StepsAsText) {
  for (const char* text : {"0.01", "100", "2.5", "0", "0.0001"}) {
    const auto step = parse_step(text);
    ASSERT_TRUE(step) << text;
    EXPECT_EQ(to_text(*step), text);
  }
  EXPECT_EQ(to_text(*parse_step("1.500")), "1.5");
  for (const char* text :
       {"", ".", "-1", "1e-2", "x", "1.2.3", "12345678901234567", "0.0000000000000001"}) {
    EXPECT_FALSE(parse_step(text)) << text;
  }
}

}  // namespace
}  // namespace calor::data
