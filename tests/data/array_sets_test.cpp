#include "calor/data/array_sets.h"

#include "tests/data/support.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using testing::error_of;
using testing::gzip;
using testing::has;
using testing::idx;
using testing::noise;
using testing::put;
using testing::put_npz;
using testing::TemporaryFolder;

const at::Tensor three_labels = at::tensor({1, 0, 2}, at::kLong);

TEST(IdxSet, FindsItsLabelsPackedOrNot) {
  const TemporaryFolder folder;
  const at::Tensor pictures = noise({3, 4, 5});
  const std::string images = idx({3, 4, 5}, bytes_of(pictures));
  const std::string labels = idx({3}, std::string("\1\0\2", 3));
  put(folder / "train-images-idx3-ubyte", images);
  put(folder / "train-labels-idx1-ubyte.gz", gzip(labels));
  put(folder / "t10k-images-idx3-ubyte.gz", gzip(images));
  put(folder / "t10k-labels-idx1-ubyte", labels);
  for (const char* name : {"train-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz"}) {
    const ArraySet set = read_idx_set(folder / name, true);
    EXPECT_TRUE(at::equal(set.pictures, pictures.unsqueeze(1)));
    EXPECT_TRUE(at::equal(set.labels, three_labels));
    EXPECT_EQ(set.class_names, (std::vector<std::string>{"0", "1", "2"}));
  }
}

TEST(IdxSet, SaysWhatIsWrongWithTheLabels) {
  const TemporaryFolder folder;
  const std::string images = idx({3, 2, 2}, std::string(12, 'x'));
  put(folder / "a-images-idx3-ubyte", images);
  const auto error = [&] {
    return error_of([&] { read_idx_set(folder / "a-images-idx3-ubyte", true); });
  };
  EXPECT_TRUE(has(error(), "a-labels-idx1-ubyte is not there"));
  EXPECT_FALSE(read_idx_set(folder / "a-images-idx3-ubyte", false).labels.defined());
  put(folder / "a-labels-idx1-ubyte", idx({2}, "\1\1"));
  EXPECT_TRUE(has(error(), "a-labels-idx1-ubyte is Byte [2]"));
  put(folder / "digits-idx", images);
  EXPECT_TRUE(read_idx_set(folder / "digits-idx", true).class_names.empty());
}

std::string cifar_records(char label, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += label + std::string(3072, static_cast<char>(i));
  return text;
}

TEST(CifarSet, ReadsAFileOrAFolderOfBatches) {
  const TemporaryFolder folder;
  put(folder / "data_batch_2.bin", cifar_records('\7', 2));
  put(folder / "data_batch_1.bin", cifar_records('\3', 1));
  put(folder / "test_batch.bin", cifar_records('\0', 1));
  const ArraySet all = read_cifar_set(folder.path(), true);
  EXPECT_EQ(all.pictures.sizes(), at::IntArrayRef({3, 3, 32, 32}));
  EXPECT_TRUE(at::equal(all.labels, at::tensor({3, 7, 7}, at::kLong)));
  EXPECT_EQ(all.class_names.at(7), "horse");
  EXPECT_EQ(read_cifar_set(folder / "test_batch.bin", true).pictures.size(0), 1);
  EXPECT_FALSE(read_cifar_set(folder.path(), false).labels.defined());
  put(folder / "data_batch_2.bin", cifar_records('\7', 2) + "x");
  EXPECT_TRUE(has(error_of([&] { read_cifar_set(folder.path(), true); }), "data_batch_2.bin"));
}

TEST(NumpySet, TakesEveryLayout) {
  const TemporaryFolder folder;
  const at::Tensor grey = noise({3, 4, 5});
  const at::Tensor colour = noise({2, 3, 4, 5});
  const auto read = [&](const at::Tensor& array) {
    io::write_npy(folder / "a.npy", array);
    return read_numpy_set(folder / "a.npy", true).pictures;
  };
  EXPECT_TRUE(at::equal(read(grey), grey.unsqueeze(1)));
  EXPECT_TRUE(at::equal(read(grey.unsqueeze(1)), grey.unsqueeze(1)));
  EXPECT_TRUE(at::equal(read(grey.unsqueeze(3)), grey.unsqueeze(1)));
  EXPECT_TRUE(at::equal(read(colour), colour));
  EXPECT_TRUE(at::equal(read(colour.permute({0, 2, 3, 1})), colour));
}

TEST(NumpySet, TakesTheUsualNames) {
  const TemporaryFolder folder;
  const at::Tensor pictures = noise({3, 4, 5});
  for (const std::string name : {"images", "x", "arr_0"}) {
    const fs::path path = folder / (name + ".npz");
    put_npz(path, {{name, pictures}, {"y", three_labels.to(at::kInt).unsqueeze(1)}});
    const ArraySet set = read_numpy_set(path, true);
    EXPECT_TRUE(at::equal(set.pictures, pictures.unsqueeze(1)));
    EXPECT_TRUE(at::equal(set.labels, three_labels));
    EXPECT_FALSE(read_numpy_set(path, false).labels.defined());
  }
  put_npz(folder / "plain.npz", {{"images", pictures}});
  EXPECT_TRUE(read_numpy_set(folder / "plain.npz", true).class_names.empty());
}

TEST(NumpySet, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  int count = 0;
  const auto error = [&](const std::map<std::string, at::Tensor>& arrays) {
    const fs::path path = folder / fmt::format("{}.npz", count++);
    put_npz(path, arrays);
    return error_of([&] { read_numpy_set(path, true); });
  };
  const at::Tensor pictures = noise({3, 4, 5});
  EXPECT_TRUE(has(error({{"faces", pictures}, {"z", pictures}}), "0.npz holds faces, z"));
  EXPECT_TRUE(has(error({{"x", pictures.to(at::kFloat)}}), "x is Float [3, 4, 5]"));
  EXPECT_TRUE(has(error({{"x", pictures[0]}}), "x is Byte [4, 5]"));
  EXPECT_TRUE(has(error({{"x", noise({3, 4, 5, 6})}}), "Byte [3, 4, 5, 6]"));
  EXPECT_TRUE(has(error({{"x", at::empty({0, 4, 5}, at::kByte)}}), "Byte [0, 4, 5]"));
  EXPECT_TRUE(has(error({{"x", pictures}, {"y", at::zeros({2}, at::kLong)}}), "y is Long [2]"));
  EXPECT_TRUE(has(error({{"x", pictures}, {"y", at::zeros({3})}}), "y is Float [3]"));
  EXPECT_TRUE(has(error({{"x", pictures}, {"y", three_labels - 1}}), "labels from -1 to 1"));
  EXPECT_TRUE(
      has(error({{"x", pictures}, {"y", three_labels * 1'000'000'000'000}}), "2000000000000"));
}

}  // namespace
}  // namespace calor::data
