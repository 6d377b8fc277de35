// Zarr stores: the demonstrations' archive against the same arrays as .npz, stores written here,
// and what must be refused.
#include "calor/io/zarr.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "calor/data/open.h"
#include "calor/io/npy.h"
#include "tests/io/support.h"

namespace calor::io {
namespace {

using namespace calor::io::testing;
namespace fs = std::filesystem;

fs::path in_data_folders(const std::string& name) {
  for (const auto& folder : data::data_folders()) {
    if (fs::exists(folder / name)) return folder / name;
  }
  return {};
}

TEST(Zarr, ReadsBloscChunksOfAnArchive) {
  const fs::path store = in_data_folders("pusht/pusht_cchi_v7_replay.zarr.tar");
  const fs::path plain = in_data_folders("pusht/pusht_cchi_v7_lowdim.npz");
  if (store.empty() || plain.empty()) GTEST_SKIP() << "no pusht in a data folder";
  const auto arrays = list_zarr(store);
  ASSERT_EQ(arrays.size(), 6U);
  EXPECT_EQ(arrays[1].name, "data/img");
  EXPECT_EQ(arrays[1].shape, (std::vector<std::int64_t>{25650, 96, 96, 3}));
  const auto expected = read_npz(plain);
  const auto read =
      read_zarr(store, {"data/action", "data/keypoint", "data/state", "meta/episode_ends"});
  EXPECT_TRUE(at::equal(read.at("data/action"), expected.at("action")));
  EXPECT_TRUE(at::equal(read.at("data/keypoint"), expected.at("keypoint")));
  EXPECT_TRUE(at::equal(read.at("data/state"), expected.at("state")));
  EXPECT_TRUE(at::equal(read.at("meta/episode_ends"), expected.at("episode_ends")));
}

// An array 3 x 5 of int32 in chunks of 2 x 3, not packed: four chunks, three of them reaching over.
class SmallStore {
 public:
  SmallStore() {
    fs::create_directories(folder / "a.zarr" / "x");
    put(path() / ".zgroup", R"({"zarr_format": 2})");
    describe("");
    for (int row = 0; row < 2; ++row) {
      for (int column = 0; column < 2; ++column) {
        std::string bytes;
        for (int i = 0; i < 2; ++i) {
          for (int j = 0; j < 3; ++j)
            bytes += little(std::int32_t(5 * (2 * row + i) + 3 * column + j));
        }
        put(path() / "x" / (std::to_string(row) + "." + std::to_string(column)), bytes);
      }
    }
  }
  // `change` replaces the pair of the same key.
  void describe(const std::string& change, const std::string& key = "-") {
    std::string json = "{";
    for (const auto& [name, value] : std::map<std::string, std::string>{{"zarr_format", "2"},
                                                                        {"shape", "[3, 5]"},
                                                                        {"chunks", "[2, 3]"},
                                                                        {"dtype", "\"<i4\""},
                                                                        {"order", "\"C\""},
                                                                        {"compressor", "null"},
                                                                        {"filters", "null"},
                                                                        {"fill_value", "null"}}) {
      json += "\"" + name + "\": " + (name == key ? change : value) + ",";
    }
    json.back() = '}';
    put(path() / "x" / ".zarray", json);
  }
  fs::path path() const { return folder / "a.zarr"; }
  at::Tensor read() const { return read_zarr(path(), {"x"}).at("x"); }
  std::string error() const {
    return error_of([&] { read(); });
  }

  TemporaryFolder folder;
};

TEST(Zarr, PutsChunksThatReachOverTheEndsInPlace) {
  const SmallStore store;
  EXPECT_TRUE(is_zarr(store.path()));
  EXPECT_TRUE(at::equal(store.read(), at::arange(15, at::kInt).view({3, 5})));
}

TEST(Zarr, FillsChunksThatAreNotThere) {
  SmallStore store;
  fs::remove(store.path() / "x" / "1.1");
  EXPECT_TRUE(has(store.error(), "3 of them"));
  store.describe("-7", "fill_value");
  const at::Tensor x = store.read();
  EXPECT_EQ(x[2][3].item<int>(), -7);
  EXPECT_EQ(x[2][2].item<int>(), 12);
}

// Pictures saved as larger numbers; what lies beyond the array's ends does not count.
TEST(Zarr, TakesNumbersAsBytes) {
  SmallStore store;
  const auto read = [&] { return read_zarr(store.path(), {"x"}, {"x"}).at("x"); };
  EXPECT_TRUE(at::equal(read(), at::arange(15, at::kByte).view({3, 5})));
  const auto corner = [&](std::int32_t inside, std::int32_t beyond) {
    put(store.path() / "x" / "1.1", little(inside) + little(std::int32_t(255)) + little(beyond) +
                                        little(beyond) + little(beyond) + little(beyond));
  };
  corner(0, 1000);
  EXPECT_EQ(read()[2][4].item<int>(), 255);
  corner(256, 0);
  EXPECT_TRUE(has(error_of(read), "255 to 256"));
  corner(-1, 0);
  EXPECT_TRUE(has(error_of(read), "-1 to 255"));
  store.describe("-7", "fill_value");
  EXPECT_TRUE(has(error_of(read), "fill value"));
}

TEST(Zarr, RefusesWhatItDoesNotRead) {
  SmallStore store;
  const std::pair<const char*, const char*> changes[] = {{"3", "zarr_format"},
                                                         {"\"F\"", "order"},
                                                         {"[{\"id\": \"delta\"}]", "filters"},
                                                         {"{\"id\": \"lz5\"}", "compressor"},
                                                         {"[2]", "chunks"},
                                                         {"[0, 3]", "chunks"},
                                                         {"[-3, 5]", "shape"},
                                                         {"[4611686018427387904, 5]", "shape"},
                                                         {"\"|O\"", "dtype"},
                                                         {"\"three\"", "shape"}};
  for (const auto& [value, key] : changes) {
    store.describe(value, key);
    EXPECT_TRUE(has(store.error(), "x")) << key << " = " << value;
  }
  put(store.path() / "x" / ".zarray", "{");
  EXPECT_TRUE(has(store.error(), "a description of a zarr array"));
  fs::remove(store.path() / "x" / ".zarray");
  EXPECT_TRUE(has(store.error(), ".zarray"));
}

TEST(Zarr, RefusesDamagedChunks) {
  SmallStore store;
  put(store.path() / "x" / "0.1", "short");
  EXPECT_TRUE(has(store.error(), "0.1"));
  store.describe(R"({"id": "blosc"})", "compressor");
  EXPECT_TRUE(has(store.error(), "does not"));
  store.describe(R"({"id": "zlib"})", "compressor");
  EXPECT_TRUE(has(store.error(), "does not"));
  SmallStore other;
  put(other.path() / "x" / "7.0", std::string(24, '\0'));
  EXPECT_TRUE(has(other.error(), "7.0"));
}

TEST(Zarr, NamesTheNearestArray) {
  const SmallStore store;
  EXPECT_TRUE(has(error_of([&] { read_zarr(store.path(), {"y"}); }), "an array \"y\""));
  EXPECT_TRUE(has(error_of([&] { read_zarr(store.folder / "no.zarr", {"y"}); }), "does not exist"));
}

}  // namespace
}  // namespace calor::io
