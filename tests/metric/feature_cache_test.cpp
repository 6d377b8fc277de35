#include "calor/metric/feature_cache.h"

#include <gtest/gtest.h>

#include <fstream>

#include "calor/io/atomic_file.h"
#include "tests/metric/tiny_lenet.h"
#include "tests/support/folder.h"

namespace calor::metric {
namespace {

class FeatureCacheTest : public ::testing::Test {
 protected:
  FeatureCacheTest() {
    io::write_safetensors(weights_, random_lenet());
    classifier_ = load_classifier(weights_);
  }
  CachedReading read(const at::Tensor& pictures) const {
    return FeatureCache(folder_.path() / "cache").read(*classifier_, weights_, pictures);
  }
  std::filesystem::path file() const {
    return FeatureCache(folder_.path() / "cache").file_of(weights_, pictures_);
  }

  test::Folder folder_;
  std::filesystem::path weights_ = folder_.path() / "lenet.safetensors";
  std::unique_ptr<Classifier> classifier_;
  at::Tensor pictures_ = at::randint(0, 256, {6, 1, 28, 28}, at::detail::createCPUGenerator(3),
                                     at::TensorOptions(at::kByte));
};

TEST_F(FeatureCacheTest, IsFoundAgainWithTheSameNumbers) {
  const auto first = read(pictures_);
  EXPECT_FALSE(first.found);
  EXPECT_TRUE(first.kept);
  EXPECT_TRUE(std::filesystem::exists(file()));
  const auto second = read(pictures_);
  EXPECT_TRUE(second.found);
  EXPECT_TRUE(second.reading.features.equal(first.reading.features));
  EXPECT_TRUE(second.reading.logits.equal(first.reading.logits));
  EXPECT_TRUE(second.reading.features.equal(classifier_->read(pictures_).features));
}

TEST_F(FeatureCacheTest, OtherPicturesOrWeightsAreNotFound) {
  read(pictures_);
  at::Tensor other = pictures_.clone();
  other[0][0][0][0] = other[0][0][0][0] + 1;
  EXPECT_FALSE(read(other).found);
  EXPECT_FALSE(read(pictures_.view({6, 1, 14, 56})).found);  // the same bytes in another shape
  io::write_safetensors(weights_, random_lenet(2));
  classifier_ = load_classifier(weights_);
  EXPECT_FALSE(read(pictures_).found);
}

// Cut short, or with one byte changed wherever it lies: made and written again.
TEST_F(FeatureCacheTest, DamageIsNoticed) {
  const auto first = read(pictures_);
  const std::string whole = io::read_text(file());
  const auto damage = [&](const std::string& text) {
    std::ofstream(file(), std::ios::binary | std::ios::trunc) << text;
    const auto found = read(pictures_);
    EXPECT_FALSE(found.found);
    EXPECT_TRUE(found.reading.features.equal(first.reading.features));
    EXPECT_EQ(io::read_text(file()), whole);
  };
  damage("");
  damage(whole.substr(0, whole.size() / 2));
  damage("no safetensors file, but long enough to be one");
  for (const std::size_t place : {whole.size() - 1, whole.size() / 2, whole.size() / 2 + 1}) {
    std::string changed = whole;
    changed[place] = static_cast<char>(changed[place] ^ 1);
    damage(changed);
  }
  EXPECT_TRUE(read(pictures_).found);
}

TEST_F(FeatureCacheTest, WorksWhereNothingCanBeKept) {
  const auto plain = FeatureCache("").read(*classifier_, weights_, pictures_);
  EXPECT_FALSE(plain.kept);
  EXPECT_EQ(plain.reading.features.size(0), 6);
  // The folder's name is that of a file.
  const auto blocked = FeatureCache(weights_).read(*classifier_, weights_, pictures_);
  EXPECT_FALSE(blocked.found);
  EXPECT_FALSE(blocked.kept);
  EXPECT_TRUE(blocked.reading.features.equal(plain.reading.features));
}

}  // namespace
}  // namespace calor::metric
