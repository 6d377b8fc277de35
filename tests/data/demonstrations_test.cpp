#include "calor/data/demonstrations.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "calor/core/error.h"
#include "calor/data/open.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

fs::path pusht(const char* file) {
  for (const auto& folder : data_folders()) {
    if (fs::exists(folder / "pusht" / file)) return folder / "pusht" / file;
  }
  return {};
}

// Two episodes of 3 and 6 steps; the action at step k is k, -k, the observation 100 + k.
Demonstrations counted() {
  const at::Tensor k = at::arange(9, at::kFloat);
  return {.actions = at::stack({k, -k}, 1), .observations = (100 + k).unsqueeze(1), .ends = {3, 9}};
}

const RangeScaler as_it_is = RangeScaler::fit(at::tensor({-1.0, 1.0}).unsqueeze(1));

RangeScaler identity(std::int64_t width) {
  return RangeScaler::fit(at::tensor({-1.0, 1.0}).unsqueeze(1).repeat({1, width}));
}

TEST(RangeScaler, CarriesRangesToMinusOneAndOne) {
  const at::Tensor rows = at::tensor({0.0, 7.0, 4.0, 7.0, 1.0, 7.0}).view({3, 2});
  const RangeScaler scaler = RangeScaler::fit(rows);
  const at::Tensor unit = scaler.to_unit(rows);
  EXPECT_TRUE(at::equal(unit, at::tensor({-1.0, 0.0, 1.0, 0.0, -0.5, 0.0}).view({3, 2})));
  EXPECT_TRUE(at::equal(scaler.from_unit(unit), rows));
  const RangeScaler back = RangeScaler::from_json(scaler.to_json(), "test");
  EXPECT_TRUE(at::equal(back.to_unit(rows), unit));
  EXPECT_THROW(RangeScaler::from_json(R"({"low":[1],"high":[0]})", "test"), Error);
  EXPECT_THROW(RangeScaler::from_json("[]", "test"), Error);
}

// Windows of 4 actions from 2 observations, 2 executed: starts run from one step before an
// episode's begin to where one action lies beyond its end.
TEST(Demonstrations, WindowsRepeatTheEndsOfTheirEpisode) {
  const DemonstrationOptions options{.history = 2, .chunk = 4, .execute = 2};
  const std::int64_t both[] = {0, 1};
  const Windows w = cut_windows(counted(), both, options, identity(2), identity(1));
  const auto chunk = [&](std::int64_t i) {
    const at::Tensor first = w.chunks[i][0][0].contiguous();
    return std::vector<float>(first.const_data_ptr<float>(), first.const_data_ptr<float>() + 4);
  };
  // First episode: starts -1, 0; second: 2 to 6.
  ASSERT_EQ(w.chunks.sizes(), (std::vector<std::int64_t>{7, 2, 1, 4}));
  EXPECT_EQ(chunk(0), (std::vector<float>{0, 0, 1, 2}));
  EXPECT_EQ(chunk(1), (std::vector<float>{0, 1, 2, 2}));
  EXPECT_EQ(chunk(2), (std::vector<float>{3, 3, 4, 5}));
  EXPECT_EQ(chunk(6), (std::vector<float>{6, 7, 8, 8}));
  EXPECT_TRUE(at::equal(w.chunks.select(1, 0), -w.chunks.select(1, 1)));
  EXPECT_TRUE(at::equal(w.observations[2], at::tensor({103.0F, 103.0F})));
  EXPECT_TRUE(at::equal(w.observations[6], at::tensor({106.0F, 107.0F})));
}

TEST(Demonstrations, ReadTheSameFromBothFormats) {
  const fs::path plain = pusht("pusht_cchi_v7_lowdim.npz");
  const fs::path store = pusht("pusht_cchi_v7_replay.zarr.tar");
  if (plain.empty() || store.empty()) GTEST_SKIP() << "no pusht in a data folder";
  ASSERT_TRUE(holds_demonstrations(plain));
  ASSERT_TRUE(holds_demonstrations(store));
  const DemonstrationOptions options{.observations = "keypoint state[0:2]"};
  const Demonstrations a = read_demonstrations(plain, options);
  const Demonstrations b = read_demonstrations(store, options);
  EXPECT_EQ(a.episodes(), 206);
  EXPECT_EQ(a.ends.back(), 25650);
  EXPECT_EQ(a.observations.size(1), 20);
  EXPECT_TRUE(at::equal(a.actions, b.actions));
  EXPECT_TRUE(at::equal(a.observations, b.observations));
  EXPECT_EQ(a.ends, b.ends);
}

TEST(Demonstrations, PolicyCodecRoundTrips) {
  const PolicyCodec codec{.options = {.observations = "state[0:2] x", .history = 3, .execute = 5},
                          .actions = as_it_is,
                          .observations = identity(4)};
  const PolicyCodec back = PolicyCodec::from_json(codec.to_json(), "test");
  EXPECT_EQ(back.options.observations, "state[0:2] x");
  EXPECT_EQ(back.options.history, 3);
  EXPECT_EQ(back.options.execute, 5);
  EXPECT_EQ(back.observations.width(), 4);
  EXPECT_THROW(PolicyCodec::from_json("{}", "test"), Error);
}

TEST(Demonstrations, RefuseWhatDoesNotFit) {
  const fs::path plain = pusht("pusht_cchi_v7_lowdim.npz");
  if (plain.empty()) GTEST_SKIP() << "no pusht in a data folder";
  const auto found = [&](const DemonstrationOptions& options) -> std::string {
    try {
      read_demonstrations(plain, options);
    } catch (const Error& error) {
      return error.found();
    }
    return "";
  };
  EXPECT_NE(found({.observations = "stat"}).find("'state'"), std::string::npos);
  EXPECT_NE(found({.observations = "state[3:6]"}).find("[3:6]"), std::string::npos);
  EXPECT_NE(found({.observations = "state[2:1]"}).find("[2:1]"), std::string::npos);
  EXPECT_NE(found({.observations = "state]"}).find("'state]'"), std::string::npos);
  EXPECT_NE(found({.observations = " "}), "");
  EXPECT_NE(found({.actions = "nothing"}), "");
  EXPECT_NE(found({.chunk = 8, .execute = 8}), "");
  EXPECT_EQ(found({}), "");
}

}  // namespace
}  // namespace calor::data
