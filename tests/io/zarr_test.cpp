// Zarr stores: the demonstrations' archive against the same arrays as .npz, stores written here,
// and what must be refused.
#include "calor/io/zarr.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "calor/data/open.h"
#include "calor/io/npy.h"
#include "calor/io/zarr_array.h"
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
                                                         {"[1e300, 5]", "shape"},
                                                         {"[9223372036854775808, 5]", "shape"},
                                                         {"1e300", "zarr_format"},
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

// Deep enough to exhaust the stack of whoever copies it.
TEST(Zarr, RefusesDescriptionsThatAreNestedOrLarge) {
  SmallStore store;
  const std::string nested = std::string(500'000, '[') + std::string(500'000, ']');
  store.describe(nested, "filters");
  EXPECT_TRUE(has(store.error(), "filters"));
  store.describe(nested, "shape");
  EXPECT_TRUE(has(store.error(), "shape"));
  store.describe(nested, "fill_value");
  EXPECT_TRUE(at::equal(store.read(), at::arange(15, at::kInt).view({3, 5})));
  store.describe(std::string(1 << 20, ' ') + "null", "filters");
  EXPECT_TRUE(has(store.error(), "descriptions of at most"));
}

c10::Scalar fill_value(const std::string& type, const std::string& value) {
  const std::string json = fmt::format(
      R"({{"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "{}", "order": "C",
          "compressor": null, "filters": null, "fill_value": {}}})",
      type, value);
  return parse_zarray("x", json, "a.zarr").fill.value();
}

TEST(Zarr, RefusesFillValuesThatTheArrayCannotHold) {
  for (const auto& [type, value] :
       std::vector<std::pair<std::string, std::string>>{{"<i4", "1e300"},
                                                        {"<i4", "2147483648"},
                                                        {"<i4", "-2147483649"},
                                                        {"<i4", "0.5"},
                                                        {"<i8", "9223372036854775808"},
                                                        {"<i8", "-1e19"},
                                                        {"|i1", "128"},
                                                        {"|u1", "-1"},
                                                        {"|u1", "256"},
                                                        {"|b1", "2"},
                                                        {"<f2", "70000"},
                                                        {"<f4", "-1e39"}}) {
    const std::string error = error_of([&] { fill_value(type, value); });
    EXPECT_TRUE(has(error, "a.zarr, array \"x\": fill_value")) << type << ' ' << value;
  }
  EXPECT_EQ(fill_value("<i4", "2147483647").toLong(), 2147483647);
  EXPECT_EQ(fill_value("<i4", "-2147483648.0").toLong(), -2147483648);
  EXPECT_EQ(fill_value("<i8", "9223372036854775807").toLong(), 9223372036854775807);
  EXPECT_EQ(fill_value("|u1", "255").toLong(), 255);
  EXPECT_EQ(fill_value("<f2", "65504").toDouble(), 65504);
  EXPECT_EQ(fill_value("<f8", "1e300").toDouble(), 1e300);
  SmallStore store;
  store.describe("1e300", "fill_value");
  EXPECT_TRUE(has(store.error(), store.path().string()));
}

// 43 GB, of which only four chunks are there.
TEST(Zarr, AsksForNoMemoryBeforeTheChunksAreThere) {
  SmallStore store;
  store.describe("[2147483648, 5]", "shape");
  EXPECT_TRUE(has(store.error(), "4 of them"));
}

TEST(Zarr, TakesChunksByTheOneNameOnly) {
  for (const char* other : {"01.1", "1.1.", "1.01", "1.+1"}) {
    const SmallStore store;
    fs::rename(store.path() / "x" / "1.1", store.path() / "x" / other);
    EXPECT_TRUE(has(store.error(), fmt::format("a file \"{}\"", other)));
  }
  SmallStore scalar;
  fs::remove_all(scalar.path() / "x");
  fs::create_directory(scalar.path() / "x");
  put(scalar.path() / "x" / ".zarray",
      R"({"zarr_format": 2, "shape": [], "chunks": [], "dtype": "<i4", "order": "C",
          "compressor": null, "filters": null, "fill_value": null})");
  put(scalar.path() / "x" / "no", little(std::int32_t(7)));
  EXPECT_TRUE(has(scalar.error(), "a file \"no\""));
  fs::rename(scalar.path() / "x" / "no", scalar.path() / "x" / "0");
  EXPECT_EQ(scalar.read().item<int>(), 7);
}

// The files of a small store, their array x called data/action, under this name in an archive.
Members members_under(const std::string& root) {
  const SmallStore store;
  Members members{{root + ".zgroup", R"({"zarr_format": 2})"},
                  {root + "data/.zgroup", R"({"zarr_format": 2})"}};
  for (const auto& entry : fs::directory_iterator(store.path() / "x")) {
    const std::string name = entry.path().filename().string();
    members.emplace_back(root + "data/action/" + name, get(entry.path()));
  }
  return members;
}

TEST(Zarr, FindsTheStoreWithinAnArchive) {
  const TemporaryFolder folder;
  for (const char* archive : {"a.zip", "a.tar", "a.tar.gz"}) {
    for (const char* root : {"", "./", "store/", "./store/", "a/store/", "a.zarr/", "a/b.zarr/"}) {
      Members members = members_under(root);
      const bool all_of_it = std::string_view(root).size() < 3;
      if (!all_of_it) members.emplace_back("other/.zarray", "none that is read");
      put_archive(folder / archive, members);
      const auto arrays = list_zarr(folder / archive);
      ASSERT_EQ(arrays.size(), 1U) << archive << ' ' << root;
      EXPECT_EQ(arrays[0].name, "data/action");
      const at::Tensor x = read_zarr(folder / archive, {"data/action"}).at("data/action");
      EXPECT_TRUE(at::equal(x, at::arange(15, at::kInt).view({3, 5})));
    }
  }
}

// A folder named .zarr is the store whatever groups lie beside it.
TEST(Zarr, TakesTheNamedFolderOfAnArchive) {
  const TemporaryFolder folder;
  Members members = members_under("a/store.zarr/");
  members.emplace_back(".zgroup", R"({"zarr_format": 2})");
  put_archive(folder / "a.zip", members);
  EXPECT_EQ(list_zarr(folder / "a.zip").at(0).name, "data/action");
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
