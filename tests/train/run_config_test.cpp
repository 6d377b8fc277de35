#include "calor/train/run_config.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>

#include "calor/data/training_data.h"
#include "tests/support/folder.h"

namespace calor::train {
namespace {

RunConfig sized_for(const data::Dataset& set) {
  RunConfig config = parse_config("", "test", {"train.size_by_rows=true"});
  config.train.precision = net::Precision::fp32;
  config.train.products = net::Products::standard;
  resolve_automatic(config, at::kCPU, set);
  EXPECT_FALSE(config.train.size_by_rows);
  return config;
}

RunConfig sized_for(std::int64_t rows) {
  data::ItemSpec spec{.channels = 1, .height = 1, .width = 1, .class_names = {}};
  spec.kind = data::ItemKind::rows;
  return sized_for(*data::make_float_dataset(spec, at::zeros({rows, 1})));
}

// The sizes of docs/results.md: California housing's 11,559 training rows, eight encodings of each.
TEST(SizeByRows, CountsEncodedRows) {
  const RunConfig housing = sized_for(8 * 11'559);
  EXPECT_EQ(housing.train.steps, 4433);
  EXPECT_EQ(housing.train.batch, 1024);
  EXPECT_EQ(housing.model.mlp.width, 256);
  EXPECT_EQ(sized_for(3999).model.mlp.width, 128);
  EXPECT_EQ(sized_for(4000).model.mlp.width, 256);
  EXPECT_EQ(sized_for(4000).train.steps, 2394);
  EXPECT_EQ(sized_for(100'000).train.batch, 1024);  // ten encodings of 10,000 rows: no large table
  EXPECT_EQ(sized_for(100'001).train.batch, 4096);
}

// Of a table whose columns are dequantised: sixteen encodings of each of the rows that are left.
TEST(SizeByRows, CountsTheCopiesOfATable) {
  const test::Folder folder;
  const std::string file = (folder.path() / "table.csv").string();
  std::ofstream csv(file);
  csv << "a,b\n";
  for (int i = 0; i < 1000; ++i) csv << i % 7 << ',' << i % 5 << '\n';
  csv.close();
  data::DataOptions options;
  options.source = file;
  const auto data = data::open_training_data(options);
  EXPECT_EQ(data.train->size(), 16 * 900);
  EXPECT_EQ(sized_for(*data.train).model.mlp.width, 256);
  EXPECT_EQ(sized_for(900).model.mlp.width, 128);
}

}  // namespace
}  // namespace calor::train
