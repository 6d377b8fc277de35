#include "calor/data/demonstrations.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/core/error.h"
#include "calor/data/open.h"
#include "calor/data/training_data.h"
#include "calor/io/npy.h"
#include "tests/support/folder.h"

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
  const PolicyCodec blind{.options = {}, .actions = as_it_is, .observations = identity(0)};
  EXPECT_EQ(PolicyCodec::from_json(blind.to_json(), "test").observations.width(), 0);
  EXPECT_THROW(
      PolicyCodec::from_json(
          PolicyCodec{.options = {}, .actions = identity(0), .observations = as_it_is}.to_json(),
          "test"),
      Error);
}

// 5 steps of 6 x 4 pixels in two episodes: byte k of the picture of a step is 50 step + k % 50.
at::Tensor few_pictures() {
  const at::Tensor step = at::arange(5, at::kLong).view({5, 1}) * 50;
  return (step + at::arange(6 * 4 * 3, at::kLong).view({1, -1}) % 50)
      .to(at::kByte)
      .view({5, 6, 4, 3});
}

using Arrays = std::vector<std::pair<std::string, at::Tensor>>;

Arrays with_pictures(const at::Tensor& pictures) {
  return {{"action", at::arange(10, at::kFloat).view({5, 2})},
          {"img", pictures},
          {"state", at::arange(15, at::kFloat).view({5, 3})},
          {"episode_ends", at::tensor({2, 5}, at::kLong)}};
}

TEST(Demonstrations, PicturesAreReadAsBytes) {
  test::Folder folder;
  const fs::path file = folder.path() / "a.npz";
  const DemonstrationOptions options{.observations = "img state[0:2]"};
  for (const at::ScalarType type : {at::kByte, at::kFloat, at::kLong}) {
    io::write_npz(file, with_pictures(few_pictures().to(type == at::kLong ? at::kInt : type)));
    const Demonstrations read = read_demonstrations(file, options);
    EXPECT_TRUE(at::equal(read.pictures, few_pictures()));
    EXPECT_EQ(read.observations.sizes(), (std::vector<std::int64_t>{5, 2}));
  }
  const Demonstrations alone = read_demonstrations(file, {.observations = "img"});
  EXPECT_EQ(alone.observations.sizes(), (std::vector<std::int64_t>{5, 0}));
  EXPECT_TRUE(alone.pictures.defined());
  // By its columns it is numbers.
  const Demonstrations flat = read_demonstrations(file, {.observations = "img[0:72] state"});
  EXPECT_FALSE(flat.pictures.defined());
  EXPECT_EQ(flat.observations.sizes(), (std::vector<std::int64_t>{5, 75}));
}

// Each window sees the pictures of its own observed steps, and both the training and the held-out
// set share one copy of them.
TEST(Demonstrations, WindowsSeeTheirPictures) {
  test::Folder folder;
  DataOptions options;
  options.source = (folder.path() / "a.npz").string();
  options.validation = 0.5;
  options.demonstrations = {.observations = "state[1] img", .history = 2, .chunk = 4, .execute = 2};
  io::write_npz(options.source, with_pictures(few_pictures()));
  const TrainingData data = open_training_data(options);
  for (const auto& set : {data.train, data.validation}) {
    EXPECT_EQ(set->spec().condition_width, 2);
    EXPECT_EQ(set->spec().observed,
              (ObservedShape{.count = 2, .channels = 3, .height = 6, .width = 4}));
    Batch batch;
    for (std::int64_t i = set->size(); i-- > 0;) batch.indices.push_back(i);
    set->fill(batch, 0, 0, false);
    ASSERT_EQ(batch.pictures.sizes(), (std::vector<std::int64_t>{set->size(), 2, 3, 6, 4}));
    // state[1] of a step is 3 step + 1, from 1 to 13 in all; the picture must be of that step.
    const at::Tensor steps = (((batch.condition + 1) * 6).round() / 3).round().to(at::kLong);
    const at::Tensor expected = few_pictures().index_select(0, steps.flatten());
    EXPECT_TRUE(at::equal(batch.pictures.permute({0, 1, 3, 4, 2}).flatten(0, 1), expected));
  }
  EXPECT_EQ(data.train->observed().frames.const_data_ptr(),
            data.validation->observed().frames.const_data_ptr());
  const std::string before = data.train->fingerprint();
  io::write_npz(options.source, with_pictures(few_pictures().flip(1)));
  EXPECT_NE(open_training_data(options).train->fingerprint(), before);
}

TEST(Demonstrations, RefusePicturesThatAreNone) {
  test::Folder folder;
  const fs::path file = folder.path() / "a.npz";
  const auto found = [&](const at::Tensor& pictures, const char* observations) -> std::string {
    Arrays arrays = with_pictures(pictures);
    arrays.emplace_back("second", pictures);
    io::write_npz(file, arrays);
    try {
      read_demonstrations(file, {.observations = observations});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const auto refused = [&](const at::Tensor& pictures, const char* observations, const char* part) {
    const std::string text = found(pictures, observations);
    EXPECT_NE(text.find(part), std::string::npos) << part << ": " << text;
  };
  const at::Tensor good = few_pictures();
  EXPECT_EQ(found(good, "img"), "");
  refused(good, "img second", "one array of pictures");
  refused(good, "imh", "'img'");
  refused(good.permute({0, 3, 1, 2}).contiguous(), "img", "1 or 3");
  refused(good.to(at::kFloat) / 255, "img", "times 255");
  refused(good.to(at::kFloat) * 2, "img", "0 to 255");
  refused(good.to(at::kFloat) - 1, "img", "0 to 255");
  refused(at::full({5, 6, 4, 3}, NAN, at::kFloat), "img", "0 to 255");
  refused(good.narrow(0, 0, 4).contiguous(), "img", "one row for each step");
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
