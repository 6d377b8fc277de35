// What a person may say about a table's columns.
#include "calor/data/table_options.h"

#include <gtest/gtest.h>

#include "tests/data/table_support.h"

namespace calor::data {
namespace {

using namespace calor::data::testing;

TEST(TableOptions, DeclarationsOfEveryKind) {
  const auto all = parse_declarations(
      "age:integer, size : ordinal( small < medium<large ),price:numeric(quantum=0.01),"
      "\"a,\"\"b\"\"\":ignore, code:categorical, n:integer(quantum=5)");
  ASSERT_EQ(all.size(), 6U);
  EXPECT_EQ(all[0].name, "age");
  EXPECT_EQ(all[0].type, ColumnType::integer);
  EXPECT_FALSE(all[0].step);
  EXPECT_EQ(all[1].name, "size");
  EXPECT_EQ(all[1].order, (std::vector<std::string>{"small", "medium", "large"}));
  EXPECT_EQ(to_text(all[2].step.value()), "0.01");
  EXPECT_EQ(all[3].name, "a,\"b\"");
  EXPECT_EQ(all[3].type, ColumnType::ignore);
  EXPECT_EQ(to_text(all[5].step.value()), "5");
  EXPECT_TRUE(parse_declarations("").empty());
}

TEST(TableOptions, BadDeclarationsAreRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"age", "no ':'"},
      {"age:", "nothing before"},
      {":integer", "nothing before"},
      {"age:intger", "did you mean integer?"},
      {"age:integer x:ignore", "integer x:ignore"},
      {"age:ignore, age:integer", "\"age\" twice"},
      {"a:numeric(step=1)", "in place of quantum"},
      {"a:numeric(quantum=1e-2)", "no decimal number"},
      {"a:numeric(quantum=1", "no ')'"},
      {"a:ordinal(x<x)", "\"x\" twice"},
      {"a:ordinal(x<)", "nothing before"},
      {"a:ignore(x)", "nothing in brackets"},
      {"\"a:ignore", "not closed"},
  };
  for (const auto& [text, answer] : cases) {
    const std::string error = error_of([&, t = text] { parse_declarations(t); });
    EXPECT_TRUE(has(error, answer)) << text;
    EXPECT_TRUE(has(error, "data.columns")) << text;
  }
}

TEST(TableOptions, AreDeclaredOnce) {
  TableOptions options;
  config::Options declared;
  options.declare(declared);
  for (const char* key : {"columns", "header", "separator", "missing", "encoding", "knots",
                          "dequantise", "condition"}) {
    EXPECT_NE(declared.find(std::string("data.") + key), nullptr) << key;
  }
  declared.assign("data.separator=semicolon", "test");
  declared.assign("data.header=no", "test");
  declared.assign("data.encoding=standardise", "test");
  declared.assign("data.missing=\"-9, none\"", "test");
  EXPECT_EQ(options.separator, ';');
  EXPECT_EQ(options.header, io::CsvHeader::no);
  EXPECT_EQ(options.encoding, NumberEncoding::standardise);
  EXPECT_EQ(options.missing_words(), (std::vector<std::string>{"-9", "none", ""}));
}

}  // namespace
}  // namespace calor::data
