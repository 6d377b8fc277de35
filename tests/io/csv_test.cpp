// CSV: what RFC 4180 says, what people write all the same, and what must be refused.
#include "calor/io/csv.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/io/support.h"

namespace calor::io {
namespace {

using namespace calor::io::testing;
using Rows = std::vector<std::vector<std::string>>;

const CsvOptions no_header{.header = CsvHeader::no};

Rows rows_of(const Csv& csv) {
  Rows rows(csv.rows());
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    for (std::size_t j = 0; j < csv.columns(); ++j) rows[i].emplace_back(csv.cell(i, j));
  }
  return rows;
}

Rows parse(std::string_view text, const CsvOptions& options = no_header) {
  return rows_of(parse_csv(text, "t.csv", options));
}

std::string refusal(std::string_view text, const CsvOptions& options = no_header) {
  const std::string error = error_of([&] { parse(text, options); });
  EXPECT_TRUE(has(error, "t.csv"));
  return error;
}

TEST(Csv, QuotedCellsHoldSeparatorsQuotesAndLineEnds) {
  EXPECT_EQ(parse("a,\"b,c\",\"d \"\"e\"\"\"\n\"x\r\ny\",,\"\"\n"),
            (Rows{{"a", "b,c", "d \"e\""}, {"x\r\ny", "", ""}}));
}

TEST(Csv, LineEndsOfEveryKindAndBlankLinesAtTheEnd) {
  const Rows expected{{"1", "2"}, {"3", "4"}};
  for (const char* text : {"1,2\n3,4", "1,2\n3,4\n", "1,2\r\n3,4\r\n", "1,2\r3,4\r", "1,2\n3,4\n\n",
                           "1,2\r\n3,4\r\n\r\n\r\n", "\n\n1,2\n3,4\n  \n"}) {
    EXPECT_EQ(parse(text), expected) << text;
  }
}

TEST(Csv, BlanksAroundUnquotedCellsAreTrimmed) {
  EXPECT_EQ(parse("39, State-gov ,\t77 \n1, \" kept \" ,2\n"),
            (Rows{{"39", "State-gov", "77"}, {"1", " kept ", "2"}}));
  // A quotation mark inside an unquoted cell is one.
  EXPECT_EQ(parse("5\" disk,x\n"), (Rows{{"5\" disk", "x"}}));
}

TEST(Csv, ByteOrderMarkIsPassedOver) {
  const Csv csv = parse_csv(
      "\xef\xbb\xbf"
      "a,b\n1,2\n",
      "t.csv");
  EXPECT_EQ(csv.header(), (std::vector<std::string>{"a", "b"}));
}

TEST(Csv, SeparatorIsFound) {
  EXPECT_EQ(parse("1;2,5\n3;4,5\n4;1\n"), (Rows{{"1", "2,5"}, {"3", "4,5"}, {"4", "1"}}));
  EXPECT_EQ(parse("a\t\tc\n1\t2\t3\n"), (Rows{{"a", "", "c"}, {"1", "2", "3"}}));
  EXPECT_EQ(parse("\"a;b;c\",1\n"), (Rows{{"a;b;c", "1"}}));
  EXPECT_EQ(parse("1;2\n", {.header = CsvHeader::no, .separator = ','}), (Rows{{"1;2"}}));
}

bool finds_header(std::string_view text) { return parse_csv(text, "t.csv").has_header(); }

TEST(Csv, HeaderIsFound) {
  EXPECT_TRUE(finds_header("a,b\n1,x\n"));
  EXPECT_TRUE(finds_header("a,b\n?,x\n2,y\n"));
  EXPECT_TRUE(finds_header("colour,size\nred,small\nblue,large\n"));
  EXPECT_TRUE(finds_header(",a\n1,2\n")) << "an index column without a name";
  EXPECT_FALSE(finds_header("1,2\n3,4\n"));
  EXPECT_FALSE(finds_header("red,1\nblue,2\n"));
  EXPECT_FALSE(finds_header("x,x\ny,z\n")) << "not distinct";
  EXPECT_FALSE(finds_header("yes,no\nno,no\nyes,yes\n")) << "every word comes again";
  EXPECT_FALSE(finds_header("?,a\n?,b\n"));
  EXPECT_FALSE(finds_header("a,b\n")) << "one row is data";
  EXPECT_EQ(parse("1,2\n3,4\n", {.header = CsvHeader::yes}), (Rows{{"3", "4"}}));
  EXPECT_EQ(parse("a,b\n3,4\n"), (Rows{{"a", "b"}, {"3", "4"}}));
}

TEST(Csv, RowNumbersAreThoseOfASpreadsheet) {
  const Csv csv = parse_csv("\na,b\n1,2\n3,4\n", "t.csv");
  EXPECT_EQ(csv.row_number(0), 3);
  EXPECT_EQ(csv.row_number(1), 4);
  EXPECT_EQ(csv.cell(1, 0), "3");
}

TEST(Csv, BlankLinesAreEmptyCellsOfASingleColumn) {
  EXPECT_EQ(parse("1\n\n3\n\n"), (Rows{{"1"}, {""}, {"3"}}));
  EXPECT_EQ(parse("1\n\"\"\n"), (Rows{{"1"}, {""}}));
}

TEST(Csv, BadFilesAreRefused) {
  EXPECT_TRUE(has(refusal("1,2,3\n4,5\n"), "row 2 has 2 cells"));
  EXPECT_TRUE(has(refusal("1,2,3\n4,5\n"), "3 cells in every row"));
  EXPECT_TRUE(has(refusal("1,2\n\n4,5\n"), "row 2 is blank"));
  EXPECT_TRUE(has(refusal("1,2\n3,4\n5,6,7\n"), "row 3 has 3 cells"));
  EXPECT_TRUE(has(refusal("1,2\n\"3,4\n5,6\n"), "row 2"));
  EXPECT_TRUE(has(refusal("1,\"2\" x\n"), "row 1, cell 2"));
  EXPECT_TRUE(has(refusal("1,\"2\" \"\n"), "row 1, cell 2"));
  EXPECT_TRUE(has(refusal(std::string_view("1,2\n3,\0\n", 8)), "zero byte"));
  EXPECT_TRUE(has(refusal("1,2\n3,caf\xe9\n"), "row 2, cell 2"));
  // The two halves of one letter in two cells are not UTF-8.
  EXPECT_TRUE(has(refusal("\xc3,\xa9\n"), "cell 1"));
  for (const char* overlong : {"\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    EXPECT_TRUE(has(refusal(overlong), "UTF-8"));
  }
  for (const char* empty : {"", "\n\n", "\xef\xbb\xbf", "  \n"}) {
    EXPECT_TRUE(has(refusal(empty), "no row")) << empty;
  }
  EXPECT_TRUE(has(refusal("a,b\n", {.header = CsvHeader::yes}), "no row below"));
}

TEST(Csv, BoundsHold) {
  CsvOptions small = no_header;
  small.max_columns = 3;
  small.max_cell_bytes = 4;
  small.max_bytes = 20;
  EXPECT_EQ(parse("1234,2,3\n", small).size(), 1U);
  EXPECT_TRUE(has(refusal("12345,2\n", small), "row 1, cell 1"));
  EXPECT_TRUE(has(refusal("1,2,3\n1,2,3,4\n", small), "row 2 has more"));
  const TemporaryFolder folder;
  put(folder / "t.csv", std::string(21, '1'));
  EXPECT_TRUE(has(error_of([&] { read_csv(folder / "t.csv", small); }), "21 bytes"));
}

TEST(Csv, Numbers) {
  EXPECT_EQ(csv_number("-1.5"), -1.5);
  EXPECT_EQ(csv_number("+2e3"), 2000);
  EXPECT_EQ(csv_number(".5"), 0.5);
  EXPECT_EQ(csv_number("-Inf"), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(csv_number("1e999"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(csv_number("1e-999"), 0);
  EXPECT_EQ(csv_number("0." + std::string(400, '0') + "1"), 0);
  EXPECT_TRUE(std::isinf(csv_number(std::string(400, '9') + ".5")));
  for (const char* text : {"", "x", "1x", "--1", "+-1", "1,5", "nan", "0x10", "1 2", "-", "."}) {
    EXPECT_TRUE(std::isnan(csv_number(text))) << text;
  }
}

TEST(Csv, WriterQuotesOnlyWhereNeeded) {
  const TemporaryFolder folder;
  const std::vector<std::string> header{"plain", "a,b"};
  write_csv(folder / "t.csv", header, {{"x y", " z", ""}, {"1;2", "q\"q", "l\nl"}});
  EXPECT_EQ(get(folder / "t.csv"), "plain,\"a,b\"\nx y,1;2\n\" z\",\"q\"\"q\"\n,\"l\nl\"\n");
  write_csv(folder / "one.csv", {}, {{"", "1"}});
  EXPECT_EQ(get(folder / "one.csv"), "\"\"\n1\n");
}

TEST(Csv, ReadsWhatItWrites) {
  const TemporaryFolder folder;
  // Long enough for several pieces of reading and writing.
  std::vector<std::vector<std::string>> columns(3, std::vector<std::string>(60'000));
  const std::vector<std::string> odd{"a,b", "\"",           "",           "x\r\ny",
                                     " s ", "\xef\xbb\xbf", "caf\xc3\xa9"};
  for (std::size_t i = 0; i < columns[0].size(); ++i) {
    columns[0][i] = std::to_string(i * i);
    columns[1][i] = odd[i % odd.size()];
    columns[2][i] = std::string(i % 50, 'x');
  }
  for (const char separator : {',', ';', '\t'}) {
    write_csv(folder / "t.csv", {}, columns, separator);
    const Csv csv = read_csv(folder / "t.csv", no_header);
    ASSERT_EQ(csv.rows(), columns[0].size());
    EXPECT_EQ(csv.separator(), separator);
    bool same = true;
    for (std::size_t i = 0; i < csv.rows(); ++i) {
      for (std::size_t j = 0; j < 3; ++j) same = same && csv.cell(i, j) == columns[j][i];
    }
    EXPECT_TRUE(same);
  }
}

}  // namespace
}  // namespace calor::io
