// Encoding and decoding of tables: cells come back as they were, densities are corrected exactly,
// what does not fit is refused where it is.
#include "calor/data/table_codec.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/data/table_support.h"
#include "tests/fuzz/fuzz.h"

namespace calor::data {
namespace {

using namespace calor::data::testing;

const RandomKey key = random_key(11, RandomUse::test);

// A table of every kind of column: 400 rows, made by rule.
std::string mixed_text(bool with_missing = true) {
  std::string text = "age,income,group,level,noise,id\n";
  std::vector<double> normal(800);
  fill_normal(random_key(2, RandomUse::test), normal);
  const char* groups[] = {"red", "green", "blue, dark"};
  const char* levels[] = {"low", "mid", "high"};
  for (std::size_t i = 0; i < 400; ++i) {
    const bool missing = with_missing && i % 7 == 3;
    text += fmt::format("{},{},\"{}\",{},{:.17g},{}\n", std::round(40 + 9 * normal[i]),
                        missing ? "?" : fmt::format("{:.2f}", std::exp(3 + normal[i + 400])),
                        groups[(i * i) % 3 == 1 && i % 2 == 0 ? 2 : i % 2],
                        with_missing && i % 11 == 5 ? "?" : levels[i % 3],
                        normal[i] + normal[i + 400] / 3, i);
  }
  return text;
}

TableOptions mixed_options() { return with_columns("level:ordinal(low<mid<high), id:ignore"); }

double log_normal(const at::Tensor& rows, std::int64_t row, std::int64_t column) {
  const double z = rows[row][column].item<double>();
  return -0.5 * z * z - 0.5 * std::log(2 * M_PI);
}

std::vector<double> numbers_of(const at::Tensor& tensor) {
  const double* begin = tensor.data_ptr<double>();
  return {begin, begin + tensor.numel()};
}

// Cells of the decoded table that are spelled otherwise than those of `table` (numbers without a
// step: that differ by more than 1e-9 of the column's largest).
std::size_t different_cells(const Table& table, const Table& decoded) {
  std::size_t different = 0;
  for (const TableColumn& column : decoded.columns) {
    const TableColumn& before = *table.find(column.name);
    const bool exact = !before.holds_numbers || before.grid;
    double largest = 0;
    for (const double number : before.numbers) largest = std::fmax(largest, std::abs(number));
    for (std::size_t row = 0; row < table.rows(); ++row) {
      bool same = column.is_missing(row) == before.is_missing(row);
      if (same && exact) same = column.text(row) == before.text(row);
      if (same && !exact && !before.is_missing(row)) {
        same = std::abs(column.numbers[row] - before.numbers[row]) <= 1e-9 * largest;
      }
      if (!same && ++different < 4) {
        ADD_FAILURE() << table.place(row, before) << ": " << before.text(row) << " became "
                      << column.text(row);
      }
    }
  }
  return different;
}

TEST(TableCodec, CellsComeBackSpelledAsTheyWere) {
  const Table table = table_of(mixed_text(), mixed_options());
  for (const NumberEncoding encoding : {NumberEncoding::quantile, NumberEncoding::standardise}) {
    TableOptions options = mixed_options();
    options.encoding = encoding;
    const TableCodec codec = TableCodec::fit(table, options);
    EXPECT_EQ(codec.width(), 7) << "five columns, two of them with missing cells";
    EXPECT_EQ(codec.column_names(),
              (std::vector<std::string>{"age", "income", "group", "level", "noise"}));
    for (const std::uint64_t stream : {0, 1, 2}) {
      const Encoded encoded = codec.encode(table, key.child(stream));
      EXPECT_EQ(encoded.rows.sizes(), (std::vector<std::int64_t>{400, 7}));
      const Table decoded = codec.decode(encoded.rows);
      EXPECT_EQ(decoded.names(), codec.column_names());
      EXPECT_EQ(different_cells(table, decoded), 0U);
    }
  }
}

TEST(TableCodec, SurvivesItsJsonBitForBit) {
  const Table table = table_of(mixed_text(), mixed_options());
  for (const NumberEncoding encoding : {NumberEncoding::quantile, NumberEncoding::standardise}) {
    TableOptions options = mixed_options();
    options.encoding = encoding;
    const TableCodec codec = TableCodec::fit(table, options);
    const TableCodec loaded = TableCodec::from_json(codec.to_json(), "m");
    EXPECT_EQ(loaded.to_json(), codec.to_json());
    EXPECT_EQ(loaded.describe(), codec.describe());
    const Encoded a = codec.encode(table, key);
    const Encoded b = loaded.encode(table, key);
    EXPECT_TRUE(at::equal(a.rows, b.rows));
    EXPECT_TRUE(at::equal(a.to_original, b.to_original));
    EXPECT_TRUE(at::equal(a.to_standardised, b.to_standardised));
    const TemporaryFolder folder;
    write_table(folder / "a.csv", codec.decode(a.rows));
    write_table(folder / "b.csv", loaded.decode(a.rows));
    EXPECT_EQ(io::testing::get(folder / "a.csv"), io::testing::get(folder / "b.csv"));
  }
}

// Where the encoded density is N(0, I), a standardised column's density in the file's units is
// N(mean, deviation^2), with both moments computed here from the dequantised values.
TEST(TableCodec, CorrectionsOfStandardisedColumns) {
  std::vector<double> values(500);
  fill_normal(random_key(3, RandomUse::test), values);
  for (double& value : values) value = std::round(50 + 20 * value) / 2;  // a step of 0.5
  const Table table = table_of(column_text("x", values));
  TableOptions options;
  options.encoding = NumberEncoding::standardise;
  const TableCodec codec = TableCodec::fit(table, options);
  const Encoded encoded = codec.encode(table, key);
  const at::Tensor x = at::tensor(values, at::kDouble);
  const double mean = x.mean().item<double>();
  const double deviation = std::sqrt((x - mean).square().mean().item<double>() + 0.5 * 0.5 / 12);
  double worst = 0;
  for (std::int64_t i = 0; i < 500; ++i) {
    const double z = encoded.rows[i][0].item<double>();
    const double y = mean + deviation * z;
    EXPECT_LE(std::abs(y - values[static_cast<std::size_t>(i)]), 0.25 + 1e-9);
    const double density =
        -0.5 * std::pow((y - mean) / deviation, 2) - std::log(deviation) - 0.5 * std::log(2 * M_PI);
    const double base = log_normal(encoded.rows, i, 0);
    worst = std::max(worst, std::abs(base + encoded.to_original[i].item<double>() - density));
    worst = std::max(worst, std::abs(encoded.to_standardised[i].item<double>()));
  }
  EXPECT_LT(worst, 1e-12);
}

// The same for quantiles: the density in the file's units is that of the fitted distribution, here
// a histogram: rows of a value / (rows x step), up to the half row added to each bin.
TEST(TableCodec, CorrectionsOfQuantileColumns) {
  std::string text = "x,y\n";
  std::vector<double> count(10);
  for (int i = 0; i < 5000; ++i) {
    const int value = (i * i) % 10;
    ++count[static_cast<std::size_t>(value)];
    text += fmt::format("{},{}\n", value * 4, i % 2 == 0 ? "a" : "b");
  }
  const Table table = table_of(text);
  const TableCodec codec = TableCodec::fit(table, {});
  const Encoded encoded = codec.encode(table, key);
  const double mean = at::tensor(table.columns[0].numbers).mean().item<double>();
  const double deviation = std::sqrt(
      (at::tensor(table.columns[0].numbers, at::kDouble) - mean).square().mean().item<double>() +
      16.0 / 12);
  double worst = 0;
  double worst_difference = 0;
  for (std::int64_t i = 0; i < 5000; ++i) {
    const auto value = static_cast<std::size_t>(table.columns[0].numbers[std::size_t(i)] / 4);
    const double expected = std::log(count[value] / 5000 / 4) + std::log(0.5);
    const double base = log_normal(encoded.rows, i, 0) + log_normal(encoded.rows, i, 1);
    const double original = base + encoded.to_original[i].item<double>();
    worst = std::max(worst, std::abs(original - expected));
    worst_difference =
        std::max(worst_difference, std::abs(base + encoded.to_standardised[i].item<double>() -
                                            original - std::log(deviation)));
  }
  EXPECT_LT(worst, 3e-3);  // the half rows and the tails: 0.5 / 500 + 7 / 5000
  EXPECT_LT(worst_difference, 1e-6);
}

// Categories and flags under N(0, I): exactly the logarithms of the shares.
TEST(TableCodec, CorrectionsOfCategoriesAndMissingCells) {
  std::string text = "c,x\n";
  for (int i = 0; i < 300; ++i) {
    text += fmt::format("{},{}\n",
                        i % 3 == 0   ? "a"
                        : i % 5 == 0 ? "?"
                                     : "b",
                        i % 10 == 0 ? "" : "1.5");
  }
  text += "a,2.5\n";
  const Table table = table_of(text);
  const TableCodec codec = TableCodec::fit(table, {});
  ASSERT_EQ(codec.width(), 4);
  const Encoded encoded = codec.encode(table, key);
  const auto share = [&](const TableColumn& column, auto belongs) {
    double count = 0.5;
    for (std::size_t i = 0; i < table.rows(); ++i) count += belongs(column, i) ? 1 : 0;
    return count;
  };
  const double n = static_cast<double>(table.rows());
  const auto is_missing = [](const TableColumn& c, std::size_t i) { return c.is_missing(i); };
  const double missing_c = share(table.columns[0], is_missing) / (n + 1);
  const double missing_x = share(table.columns[1], is_missing) / (n + 1);
  const auto is_a = [](const TableColumn& c, std::size_t i) { return c.text(i) == "a"; };
  const double a = share(table.columns[0], is_a) / (n - (missing_c * (n + 1) - 0.5) + 1);
  double worst = 0;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    double got = encoded.to_original[row].item<double>();
    for (std::int64_t j = 0; j < 4; ++j) got += log_normal(encoded.rows, row, j);
    double expected = table.columns[0].is_missing(i)    ? std::log(missing_c)
                      : table.columns[0].text(i) == "a" ? std::log1p(-missing_c) + std::log(a)
                                                        : std::log1p(-missing_c) + std::log1p(-a);
    if (!table.columns[1].is_missing(i)) continue;
    expected += std::log(missing_x);
    worst = std::max(worst, std::abs(got - expected));
    EXPECT_EQ(encoded.to_original[row].item<double>(), encoded.to_standardised[row].item<double>());
  }
  EXPECT_LT(worst, 1e-12);
}

TEST(TableCodec, NoiseBelongsToTheRowAndNotToItsBatch) {
  const Table table = table_of(mixed_text(), mixed_options());
  const TableCodec codec = TableCodec::fit(table, mixed_options());
  const Encoded whole = codec.encode(table, key);
  const std::vector<std::int64_t> some{17, 3, 250};
  const Encoded part = codec.encode(table.subset(some), key);
  EXPECT_TRUE(at::equal(part.rows, whole.rows.index_select(0, at::tensor(some))));
  EXPECT_FALSE(at::equal(codec.encode(table, key.child(1)).rows, whole.rows));
}

TEST(TableCodec, DequantisationCanBeTurnedOffForNumericColumns) {
  std::string text = "x,n\n";
  for (int i = 0; i < 100; ++i) text += fmt::format("{:.1f},{}\n", 0.1 * ((i * i) % 37), i);
  TableOptions options;
  options.dequantise = false;
  const Table table = table_of(text, options);
  const TableCodec codec = TableCodec::fit(table, options);
  const Encoded a = codec.encode(table, key);
  const Encoded b = codec.encode(table, key.child(1));
  EXPECT_TRUE(at::equal(a.rows.select(1, 0), b.rows.select(1, 0)));
  EXPECT_FALSE(at::equal(a.rows.select(1, 1), b.rows.select(1, 1)));
  EXPECT_EQ(different_cells(table, codec.decode(a.rows)), 0U);
  EXPECT_TRUE(has(codec.likelihood_note(), "little meaning for x"));
}

TEST(TableCodec, SaysWhatItsLikelihoodIs) {
  const Table table = table_of(mixed_text(), mixed_options());
  const TableCodec codec = TableCodec::fit(table, mixed_options());
  EXPECT_TRUE(codec.is_bound());
  EXPECT_EQ(codec.likelihood_note(),
            "exact density of noise; density of the dequantised columns age, income (with the log "
            "of their steps added, a lower bound on the log-probability of their values); lower "
            "bound on the log-probability of the categories of group, level; a bound, too, for "
            "which cells of income, level are missing.");
  const TableCodec exact = TableCodec::fit(table, mixed_options(), {"noise"});
  EXPECT_FALSE(exact.is_bound());
  EXPECT_EQ(exact.likelihood_note(), "exact density of noise.");
  EXPECT_TRUE(has(codec.describe(), "age: integer, step 1"));
  EXPECT_TRUE(has(codec.describe(), "group: categorical, 3 categories (\"green\""));
}

TEST(TableCodec, BadTrainingTablesAreRefused) {
  const auto refusal = [](std::string_view text, const std::string& columns = "") {
    return error_of([&] {
      const TableOptions options = with_columns(columns);
      TableCodec::fit(table_of(text, options), options);
    });
  };
  EXPECT_TRUE(has(refusal("a,b\n1,2\n1,3\n"), "column \"a\" holds only 1"));
  EXPECT_TRUE(has(refusal("a,b\n1,2\n1,3\n"), "a:ignore"));
  EXPECT_TRUE(has(refusal("a,b\nx,2\nx,3\n"), "only \"x\""));
  EXPECT_TRUE(has(refusal("a,b\n?,2\n?,3\n"), "only missing cells"));
  EXPECT_TRUE(has(refusal("1,2\n"), "1 row"));
  EXPECT_TRUE(has(refusal("a,b\n1,2\n2,3\n", "a:ignore, b:ignore"), "all columns are ignored"));
  Table twice = table_of("a,b\n1,2\n2,3\n");
  twice.columns[1].name = "a";
  EXPECT_TRUE(has(error_of([&] { TableCodec::fit(twice, {}); }), "\"a\" twice"));
  EXPECT_TRUE(has(refusal("a,b\n1e-200,2\n2e-200,3\n"), "column \"a\""));
  Table infinite = table_of("a,b\n1,2\n2,3\n");
  infinite.columns[1].numbers[0] = INFINITY;
  EXPECT_TRUE(has(error_of([&] { TableCodec::fit(infinite, {}); }), "row 2, column \"b\""));
}

TEST(TableCodec, BadCellsAreRefusedWhereTheyAre) {
  const TableOptions options = with_columns("id:ignore");
  const Table train = table_of("n,w,id\n1,red,1\n2,green,2\n3,red,3\n", options);
  const TableCodec codec = TableCodec::fit(train, options);
  const auto refusal = [&](std::string_view text, const TableOptions& reading = {}) {
    return error_of([&] { codec.encode(table_of(text, reading), key); });
  };
  EXPECT_TRUE(has(refusal("n,w\n1,red\n2,gren\n"), "row 3, column \"w\": \"gren\""));
  EXPECT_TRUE(has(refusal("n,w\n1,red\n2,gren\n"), "did you mean green?"));
  EXPECT_TRUE(has(refusal("n,w\n1,red\nx,green\n"), "row 3, column \"n\": \"x\""));
  EXPECT_TRUE(has(refusal("n,w\n1,red\n,green\n"), "row 3, column \"n\": an empty cell"));
  EXPECT_TRUE(has(refusal("n,w\n1,?\n2,green\n"), "row 2, column \"w\": \"?\""));
  EXPECT_TRUE(has(refusal("m,w\n1,red\n2,red\n"), "the column \"m\""));
  EXPECT_TRUE(has(refusal("n\n1\n2\n"), "lacks the column \"w\""));
  EXPECT_TRUE(has(refusal("n,w,more\n1,red,1\n2,red,2\n"), "the column \"more\""));
  EXPECT_TRUE(has(refusal("1,red,5,6\n2,red,5,6\n"), "has 4 columns"));
  Table infinite = train;
  infinite.columns[0].numbers[1] = INFINITY;
  EXPECT_TRUE(has(error_of([&] { codec.encode(infinite, key); }), "row 3, column \"n\": inf"));
  // In any order, with or without what is ignored, by position where there is no header.
  TableOptions no_header;
  no_header.header = io::CsvHeader::no;
  const Encoded expected = codec.encode(train, key);
  for (const auto& [text, reading] :
       {std::pair{"w,n\nred,1\ngreen,2\nred,3\n", TableOptions{}},
        std::pair{"id,w,n\n1,red,1\n2,green,2\n3,red,3\n", TableOptions{}},
        std::pair{"\n1,red,1\n2,green,2\n3,red,3\n", no_header},
        std::pair{"\n1,red\n2,green\n3,red\n", no_header}}) {
    EXPECT_TRUE(at::equal(codec.encode(table_of(text, reading), key).rows, expected.rows)) << text;
  }
}

TEST(TableCodec, BadRowsAreNotDecoded) {
  const Table table = table_of("a,b\n1,2\n2,3\n3,5\n");
  const TableCodec codec = TableCodec::fit(table, {});
  EXPECT_TRUE(has(error_of([&] { codec.decode(at::zeros({2, 3})); }), "[2, 3]"));
  EXPECT_TRUE(has(error_of([&] { codec.decode(at::zeros({2, 2}, at::kLong)); }), "Long"));
  at::Tensor rows = at::zeros({4, 2});
  rows[2][1] = NAN;
  EXPECT_TRUE(has(error_of([&] { codec.decode(rows); }), "the first is row 2"));
  // Every finite point of the encoded space is a row of the table.
  const Table far = codec.decode(at::full({1, 2}, 1e30));
  EXPECT_TRUE(std::isfinite(far.columns[0].numbers[0]));
  EXPECT_EQ(codec.decode(at::zeros({0, 2})).rows(), 0U);
}

TEST(TableCodec, CategoriesOfTheWholeTableAreKnown) {
  std::string text = "w,x\nrare,1\n";
  for (int i = 0; i < 50; ++i) text += fmt::format("{},{}\n", i % 2 == 0 ? "a" : "b", i);
  const Table table = table_of(text);
  std::vector<std::int64_t> rows(50);
  for (std::int64_t i = 0; i < 50; ++i) rows[static_cast<std::size_t>(i)] = i + 1;
  const TableCodec codec = TableCodec::fit(table.subset(rows), {});
  EXPECT_EQ(different_cells(table, codec.decode(codec.encode(table, key).rows)), 0U);
}

TEST(TableCodec, DamagedJsonIsRefusedOrHarmless) {
  const Table table = table_of(mixed_text(), mixed_options());
  TableOptions options = mixed_options();
  options.knots = 4;
  const std::string quantile = TableCodec::fit(table, options).to_json();
  options.encoding = NumberEncoding::standardise;
  const std::string standardised = TableCodec::fit(table, options).to_json();
  EXPECT_TRUE(has(error_of([] { TableCodec::from_json("{}", "model"); }), "model"));
  EXPECT_TRUE(has(error_of([] { TableCodec::from_json("", "model"); }), "model"));
  for (std::size_t length = 0; length < quantile.size(); ++length) {
    EXPECT_THROW(TableCodec::from_json(quantile.substr(0, length), "m"), Error) << length;
  }
  fuzz::run({{quantile, standardised},
             [&](const std::string& json) {
               const TableCodec codec = TableCodec::from_json(json, "m");
               if (codec.width() > 100) return;
               const Table decoded = codec.decode(at::zeros({1, codec.width()}));
               for (const auto& column : decoded.columns) column.text(0);
               codec.likelihood_note();
               codec.describe();
             }},
            3000);
}

// Whatever a file holds: an error in three parts, or a table whose cells come back.
TEST(TableCodec, AnyFileIsATableOrAnError) {
  const TemporaryFolder folder;
  const std::string mixed = mixed_text();
  const std::string head = mixed.substr(0, mixed.find("\n20", 700));
  const std::vector<std::string> good{head + "\n", "x,y\n1,0.25\n2,1e3\n5,-1\n5,7\n100,0.5\n",
                                      "a;b\nx;1\ny;2\nx;?\n"};
  fuzz::run({good,
             [&](const std::string& bytes) {
               std::filesystem::remove(folder / "t.csv");
               io::testing::put(folder / "t.csv", bytes);
               const Table table = read_table(folder / "t.csv", {});
               const TableCodec codec = TableCodec::fit(table, {});
               const Encoded encoded = codec.encode(table, key);
               EXPECT_TRUE(encoded.rows.isfinite().all().item<bool>());
               EXPECT_TRUE(encoded.to_original.isfinite().all().item<bool>());
               const Table decoded =
                   TableCodec::from_json(codec.to_json(), "m").decode(encoded.rows);
               EXPECT_EQ(different_cells(table, decoded), 0U) << bytes;
             }},
            2000);
}

// The real tables: cells come back, also by way of the JSON, and training rows are nearly normal.
void check_real(const std::filesystem::path& path, const TableOptions& options) {
  const Table table = read_table(path, options);
  const TableSplit parts = split(table, 1, 0.1, 0.1);
  const TableCodec codec = TableCodec::fit(parts.train, options);
  const Encoded encoded = codec.encode(table, key);
  EXPECT_TRUE(encoded.rows.isfinite().all().item<bool>());
  EXPECT_TRUE(encoded.to_original.isfinite().all().item<bool>());
  const Table decoded = TableCodec::from_json(codec.to_json(), "m").decode(encoded.rows);
  EXPECT_EQ(different_cells(table, decoded), 0U);
  const at::Tensor mean = encoded.rows.mean(0);
  const at::Tensor deviation = encoded.rows.std(0);
  // Of n rows the mean has an error of 1 / sqrt(n), at most .026 here. A tenth of Miniboone's x5 is
  // exactly 0 without a step, so that it stays a spike, at .92 in place of 1.
  for (const double m : numbers_of(mean)) EXPECT_NEAR(m, 0, 0.08);
  for (const double s : numbers_of(deviation)) EXPECT_NEAR(s, 1, 0.1);
}

TEST(TableCodec, Adult) {
  CALOR_REAL_FILE(path, "tabular/adult.data");
  check_real(path, {});
}

TEST(TableCodec, CaliforniaHousing) {
  CALOR_REAL_FILE(path, "tabular/cal_housing.data");
  check_real(path, {});
}

TEST(TableCodec, OceanProximity) {
  CALOR_REAL_FILE(path, "tabular/housing_ocean_proximity.csv");
  check_real(path, {});
}

TEST(TableCodec, Miniboone) {
  CALOR_REAL_FILE(path, "miniboone_partial/miniboone_first_rows.npy");
  check_real(path, {});
}

}  // namespace
}  // namespace calor::data
