#include "calor/config/options.h"

#include <gtest/gtest.h>

#include "calor/core/error.h"
#include "calor/train/run_config.h"

namespace calor::config {
namespace {

enum class Colour { red, green };

struct Sample {
  bool flag = false;
  std::int64_t count = 3;
  double rate = 0.1;
  std::string name = "x";
  Colour colour = Colour::red;

  Options options() {
    static constexpr Choice<Colour> colours[] = {{"red", Colour::red, "warm"},
                                                 {"green", Colour::green, "cool"}};
    Options options;
    options.add("a.flag", flag, "a flag");
    options.add("a.count", count, {1, 10}, "things", "a count");
    options.add("b.rate", rate, {0, 1}, "", "a rate");
    options.add("b.name", name, "a name");
    options.add("b.colour", colour, colours, "a colour");
    return options;
  }
};

std::string message(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_status(), 2);
    return error.what();
  }
  return "no error";
}

TEST(Options, ReadsTomlAndSettings) {
  Sample sample;
  Options options = sample.options();
  options.load_toml("[a]\nflag = true\ncount = 7\n[b]\nrate = 1\ncolour = \"green\"\n",
                    "test.toml");
  options.assign("b.name=some words, 'quoted'", "command line");
  options.assign("a.count=1e1", "command line");
  EXPECT_TRUE(sample.flag);
  EXPECT_EQ(sample.count, 10);
  EXPECT_EQ(sample.rate, 1.0);
  EXPECT_EQ(sample.name, "some words, 'quoted'");
  EXPECT_EQ(sample.colour, Colour::green);
}

// What a person calls a file may look like a number, a truth or a remark.
TEST(Options, TextsNeedNoQuotationMarks) {
  Sample sample;
  Options options = sample.options();
  for (const std::string name : {"2024", "true", "1#x", "[1]", "a=b"}) {
    options.assign("b.name=" + name, "command line");
    EXPECT_EQ(sample.name, name);
  }
  options.assign("b.name=\"in marks\"", "command line");
  EXPECT_EQ(sample.name, "in marks");
}

TEST(Options, ErrorsNameKeyFileAndRemedy) {
  Sample sample;
  Options options = sample.options();
  const auto load = [&](const char* toml) {
    return message([&] { options.load_toml(toml, "test.toml"); });
  };
  EXPECT_NE(load("[a]\ncuont = 1").find("did you mean 'a.count'?"), std::string::npos);
  EXPECT_NE(load("[a]\ncount = 11").find("an integer 1 to 10 for 'a.count'"), std::string::npos);
  EXPECT_NE(load("[a]\ncount = \"many\"").find("test.toml: a.count = \"many\""), std::string::npos);
  EXPECT_NE(load("[b]\nrate = nan").find("a number 0 to 1"), std::string::npos);
  EXPECT_NE(load("[b]\ncolour = \"blue\"").find("one of red|green"), std::string::npos);
  EXPECT_NE(load("[b]\nrate = ['x']").find("another kind of list"), std::string::npos);
  EXPECT_NE(load("[b]\nrate = [1]").find("a number"), std::string::npos);
  EXPECT_NE(load("[b\n").find("test.toml, line 1"), std::string::npos);
  EXPECT_NE(message([&] { options.assign("a.count", "command line"); }).find("key=value"),
            std::string::npos);
  EXPECT_NE(message([&] { options.assign("rate=0.5", "command line"); }).find("'b.rate'"),
            std::string::npos);
  EXPECT_EQ(sample.count, 3);  // nothing was changed by what was refused
}

TEST(Options, ReadsListsAsPeopleTypeThem) {
  std::vector<double> numbers;
  Options options;
  options.add("c.numbers", numbers, {0, 10}, "", "some numbers");
  for (const char* text : {"1,2.5", "[1, 2.5]", " [ 1 2.5 ] ", "1 2.5"}) {
    numbers.clear();
    options.assign(std::string("c.numbers=") + text, "command line");
    EXPECT_EQ(numbers, (std::vector<double>{1, 2.5})) << text;
  }
  options.assign("c.numbers=[]", "command line");
  EXPECT_TRUE(numbers.empty());
  for (const char* text : {"[1,2", "1,2]", "]1,2[", "[[1,2]]", "[1],[2]", "1,x"}) {
    EXPECT_NE(message([&] {
                options.assign(std::string("c.numbers=") + text, "command line");
              }).find("a list of numbers"),
              std::string::npos)
        << text;
  }
}

TEST(Options, SavedTomlReadsBackBitForBit) {
  Sample sample;
  sample.rate = 0.1 + 0.2;
  sample.name = "a \"quote\", a \\ and a\nline";
  const std::string toml = sample.options().to_toml();
  Sample read;
  read.options().load_toml(toml, "saved");
  EXPECT_EQ(read.rate, sample.rate);
  EXPECT_EQ(read.name, sample.name);
  EXPECT_EQ(read.options().to_toml(true), sample.options().to_toml(true));
}

TEST(RunConfig, EverySettingSurvivesTheSavedFile) {
  train::RunConfig config;
  config.train.lr = 1.0 / 3;
  config.model.path.kind = path::PathKind::blurring;
  train::RunConfig read = train::parse_config(config.options().to_toml(), "saved", {});
  EXPECT_TRUE(Options::differing_keys(config.options(), read.options()).empty());
}

TEST(RunConfig, ResumeRefusesChangedSettingsAndNamesThem) {
  train::RunConfig stored;
  stored.train.precision = net::Precision::fp32;
  stored.train.products = net::Products::standard;
  train::RunConfig wanted = stored;
  wanted.train.precision = net::Precision::automatic;  // takes what the run began with
  wanted.train.log_every = 1;                          // changes no result
  EXPECT_EQ(train::merge_for_resume(stored, wanted, false, "run").train.precision,
            net::Precision::fp32);
  wanted.train.lr = 0.5;
  EXPECT_NE(message([&] {
              train::merge_for_resume(stored, wanted, false, "run");
            }).find("train.lr = 0.5, was 0.002"),
            std::string::npos);
  EXPECT_EQ(train::merge_for_resume(stored, wanted, true, "run").train.lr, 0.5);
}

}  // namespace
}  // namespace calor::config
