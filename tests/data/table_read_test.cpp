// Tables from files: types, steps, spelling, missing cells, and what is refused where.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/io/npy.h"
#include "tests/data/table_support.h"

namespace calor::data {
namespace {

using namespace calor::data::testing;

std::vector<std::string> steps_of(const Table& table) {
  std::vector<std::string> steps;
  for (const auto& column : table.columns) steps.push_back(to_text(column.grid.step));
  return steps;
}

// All cells, spelled, are those of the file `path` (blanks around cells apart).
void expect_spelled_as(const Table& table, const std::filesystem::path& path,
                       const TableOptions& options = {}) {
  const io::Csv csv = io::read_csv(path, {.header = options.header});
  ASSERT_EQ(table.rows(), csv.rows());
  ASSERT_EQ(table.columns.size(), csv.columns());
  std::size_t different = 0;
  for (std::size_t j = 0; j < csv.columns(); ++j) {
    for (std::size_t i = 0; i < csv.rows(); ++i) {
      if (table.columns[j].text(i) == csv.cell(i, j)) continue;
      if (++different < 4) ADD_FAILURE() << table.columns[j].text(i) << " for " << csv.cell(i, j);
    }
  }
  EXPECT_EQ(different, 0U);
}

TEST(TableRead, TypesAreFound) {
  const Table t = table_of("n,x,w,mixed\n1,0.5,red,1\n-2,?,blue,two\n3e2,1.25,red,1\n");
  EXPECT_EQ(t.names(), (std::vector<std::string>{"n", "x", "w", "mixed"}));
  EXPECT_EQ(t.columns[0].type, ColumnType::integer);
  EXPECT_EQ(t.columns[1].type, ColumnType::numeric);
  EXPECT_EQ(t.columns[2].type, ColumnType::categorical);
  EXPECT_EQ(t.columns[3].type, ColumnType::categorical);
  EXPECT_EQ(t.columns[2].words, (std::vector<std::string>{"red", "blue"}));
  EXPECT_TRUE(t.columns[1].is_missing(1));
  EXPECT_EQ(t.columns[1].text(1), "?");
  EXPECT_EQ(t.columns[1].text(2), "1.25");
  EXPECT_EQ(t.row_numbers, (std::vector<std::int64_t>{2, 3, 4}));
}

TEST(TableRead, TypesAreDeclared) {
  const Table t = table_of("code,size,x,id\n1,small,1,7\n2,large,2,8\n1,medium,3,9\n",
                           with_columns("code:categorical, size:ordinal(small<medium<large), "
                                        "x:numeric(quantum=0.5), id:ignore"));
  EXPECT_EQ(t.columns[0].words, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(t.columns[1].codes, (std::vector<std::int32_t>{0, 2, 1}));
  EXPECT_EQ(t.columns[2].type, ColumnType::numeric);
  EXPECT_EQ(to_text(t.columns[2].grid.step), "0.5");
  EXPECT_EQ(t.columns[3].type, ColumnType::ignore);
  const Table numbers = table_of("k,x\n10,1\n9,2\n?,3\n", with_columns("k:ordinal"));
  EXPECT_EQ(numbers.columns[0].words, (std::vector<std::string>{"9", "10"}));
  EXPECT_EQ(numbers.columns[0].codes, (std::vector<std::int32_t>{1, 0, -1}));
}

std::string refusal(std::string_view text, const std::string& columns = "") {
  return error_of([&] { table_of(text, with_columns(columns)); });
}

TEST(TableRead, BadCellsAreRefusedWhereTheyAre) {
  EXPECT_TRUE(has(refusal("a,b\n1,2\n1,inf\n"), "row 3, column \"b\""));
  EXPECT_TRUE(has(refusal("a,b\n1,2\n1,-Infinity\n"), "row 3, column \"b\""));
  EXPECT_TRUE(has(refusal("a,b\n1,2\n1,1e999\n"), "row 3, column \"b\""));
  EXPECT_TRUE(has(refusal("a,b\n1,2\nx,1\n", "a:numeric"), "row 3, column \"a\": \"x\""));
  EXPECT_TRUE(has(refusal("a,b\n1,2\n1.5,1\n", "a:integer"), "row 3, column \"a\": 1.5"));
  EXPECT_TRUE(has(refusal("a,b\nx,2\ny,1\n", "a:ordinal(x<z)"), "row 3, column \"a\": \"y\""));
  EXPECT_TRUE(has(refusal("a,b\nx,2\ny,1\n", "a:ordinal"), "first<second"));
  EXPECT_TRUE(has(refusal("age,b\n1,2\n", "aeg:integer"), "did you mean age?"));
  EXPECT_TRUE(has(refusal("a,a\n1,2\n"), "\"a\" twice"));
  EXPECT_TRUE(has(refusal("a,b\n1,2\n3\n"), "row 3 has 1 cell"));
}

TEST(TableRead, AStrayTextAmongManyNumbersIsRefused) {
  std::string text = "a,b\n";
  for (int i = 0; i < 40; ++i) text += std::to_string(i) + (i == 30 ? "o,1\n" : ",1\n");
  const std::string error = refusal(text);
  EXPECT_TRUE(has(error, "row 32, column \"a\": \"30o\""));
  EXPECT_TRUE(has(error, "a:categorical"));
  EXPECT_EQ(table_of(text, with_columns("a:categorical")).columns[0].words.size(), 40U);
  EXPECT_EQ(table_of(text, with_columns("a:ignore")).columns[0].type, ColumnType::ignore);
}

TEST(TableRead, SpellingIsKept) {
  const Table t = table_of("a,b,c,d\n1.50,1.0,-0.0,1e-5\n2.25,2.125,-0.3,2\n");
  EXPECT_EQ(t.columns[0].text(0), "1.50");
  EXPECT_EQ(t.columns[1].text(0), "1.0");
  EXPECT_EQ(t.columns[1].text(1), "2.125");
  EXPECT_EQ(t.columns[2].text(0), "0.0");
  EXPECT_EQ(t.columns[3].text(0), "1e-05");
}

TEST(TableRead, ArraysOfNumbers) {
  const TemporaryFolder folder;
  const at::Tensor x =
      at::tensor({0.25, 1.0, 0.5, 2.0, std::nan(""), 3.0}, at::kDouble).reshape({3, 2});
  io::write_npy(folder / "x.npy", x);
  const Table t = read_table(folder / "x.npy", {});
  EXPECT_EQ(t.names(), (std::vector<std::string>{"x1", "x2"}));
  EXPECT_FALSE(t.has_header);
  EXPECT_EQ(t.columns[1].type, ColumnType::integer);
  EXPECT_EQ(t.columns[0].text(0), "0.25");
  EXPECT_EQ(t.columns[1].text(2), "3");
  EXPECT_TRUE(t.columns[0].is_missing(2));
  TableOptions strict;
  strict.missing = "?";
  EXPECT_TRUE(has(error_of([&] { read_table(folder / "x.npy", strict); }), "row 3, column x1"));
  write_table(folder / "y.npy", t);
  EXPECT_TRUE(at::allclose(io::read_npy(folder / "y.npy"), x, 0, 0, /*equal_nan=*/true));
  io::write_npy(folder / "f.npy", at::tensor({0.1F, 0.2F, 0.7F}));
  EXPECT_EQ(read_table(folder / "f.npy", {}).columns[0].text(2), "0.7");
  EXPECT_EQ(steps_of(read_table(folder / "f.npy", {})), (std::vector<std::string>{"0.1"}));
  io::write_npy(folder / "f.npy", at::full({2, 2}, std::numeric_limits<float>::infinity()));
  EXPECT_TRUE(has(error_of([&] { read_table(folder / "f.npy", {}); }), "row 1, column x1"));
  io::write_npy(folder / "f.npy", at::zeros({2, 2, 2}));
  EXPECT_TRUE(has(error_of([&] { read_table(folder / "f.npy", {}); }), "[n, d]"));
}

TEST(TableRead, ArraysInArchives) {
  const TemporaryFolder folder;
  io::write_npy(folder / "x.npy", at::arange(6, at::kFloat).reshape({3, 2}));
  const std::string array = io::testing::get(folder / "x.npy");
  io::testing::put_archive(folder / "x.zip", {{"other.npy", array}, {"arr_0.npy", array}});
  std::filesystem::rename(folder / "x.zip", folder / "x.npz");
  EXPECT_EQ(read_table(folder / "x.npz", {}).columns[1].numbers, (std::vector<double>{1, 3, 5}));
  io::testing::put_archive(folder / "y.zip", {{"other.npy", array}});
  std::filesystem::rename(folder / "y.zip", folder / "y.npz");
  EXPECT_TRUE(has(error_of([&] { read_table(folder / "y.npz", {}); }), "other"));
}

TEST(TableRead, NamesOfTables) {
  for (const char* name : {"a.csv", "b.data", "c.txt", "d.tsv", "e.npy", "f.npz", "G.CSV"}) {
    EXPECT_TRUE(is_table_name(name)) << name;
  }
  EXPECT_FALSE(is_table_name("a.png"));
  EXPECT_FALSE(is_table_name("csv"));
}

TEST(TableSplit, SharesAreExactDisjointAndRepeatable) {
  std::string text = "a,b\n";
  for (int i = 0; i < 1000; ++i) text += std::to_string(i) + ",x\n";
  const Table table = table_of(text, with_columns("b:ignore"));
  const TableSplit parts = split(table, 7, 0.1, 0.25);
  EXPECT_EQ(parts.validation.rows(), 100U);
  EXPECT_EQ(parts.test.rows(), 250U);
  EXPECT_EQ(parts.train.rows(), 650U);
  std::vector<int> seen(1000);
  for (const Table* part : {&parts.train, &parts.validation, &parts.test}) {
    EXPECT_TRUE(std::ranges::is_sorted(part->row_numbers));
    for (std::size_t i = 0; i < part->rows(); ++i) {
      ++seen[static_cast<std::size_t>(part->columns[0].numbers[i])];
      EXPECT_EQ(part->row_numbers[i], static_cast<std::int64_t>(part->columns[0].numbers[i]) + 2);
    }
  }
  EXPECT_TRUE(std::ranges::all_of(seen, [](int n) { return n == 1; }));
  EXPECT_EQ(split(table, 7, 0.1, 0.25).test.row_numbers, parts.test.row_numbers);
  EXPECT_NE(split(table, 8, 0.1, 0.25).test.row_numbers, parts.test.row_numbers);
  for (const auto& [validation, test] :
       {std::pair{-0.1, 0.1}, {0.5, 0.5}, {0.9, 0.0999}, {std::nan(""), 0.1}}) {
    EXPECT_TRUE(has(error_of([&, v = validation, t = test] { split(table, 7, v, t); }), "1000"));
  }
}

TEST(TableRead, Adult) {
  CALOR_REAL_FILE(path, "tabular/adult.data");
  const Table t = read_table(path, {});
  EXPECT_EQ(t.rows(), 26'049U);
  ASSERT_EQ(t.columns.size(), 15U);
  EXPECT_FALSE(t.has_header);
  EXPECT_EQ(t.columns[0].type, ColumnType::integer);
  EXPECT_EQ(t.columns[1].type, ColumnType::categorical);
  EXPECT_EQ(t.columns[14].words.size(), 2U);
  EXPECT_EQ(t.columns[1].missing_word, "?");
  EXPECT_EQ(to_text(t.columns[0].grid.step), "1");
  expect_spelled_as(t, path);
}

TEST(TableRead, CaliforniaHousing) {
  CALOR_REAL_FILE(path, "tabular/cal_housing.data");
  const Table t = read_table(path, {});
  EXPECT_EQ(steps_of(t),
            (std::vector<std::string>{"0.01", "0.01", "1", "1", "1", "1", "1", "0.0001", "100"}));
  EXPECT_EQ(t.columns[8].grid.exceptions, (std::vector<double>{14999, 500001}));
  EXPECT_EQ(t.columns[0].type, ColumnType::numeric);
  EXPECT_EQ(t.columns[2].type, ColumnType::integer);
  expect_spelled_as(t, path);
}

TEST(TableRead, OceanProximity) {
  CALOR_REAL_FILE(path, "tabular/housing_ocean_proximity.csv");
  const Table t = read_table(path, {});
  EXPECT_TRUE(t.has_header);
  EXPECT_EQ(t.rows(), 16'512U);
  EXPECT_EQ(t.find("ocean_proximity")->type, ColumnType::categorical);
  EXPECT_EQ(t.find("total_bedrooms")->missing_word, "");
  expect_spelled_as(t, path);
  const TemporaryFolder folder;
  write_table(folder / "t.csv", t);
  EXPECT_EQ(io::testing::get(folder / "t.csv"), io::testing::get(path)) << "byte for byte";
}

TEST(TableRead, Miniboone) {
  CALOR_REAL_FILE(path, "miniboone_partial/miniboone_first_rows.npy");
  const Table t = read_table(path, {});
  EXPECT_EQ(t.rows(), 1523U);
  EXPECT_EQ(t.columns.size(), 43U);
}

}  // namespace
}  // namespace calor::data
