#include "calor/data/glyphs.h"

#include "calor/data/font_choice.h"
#include "calor/data/open.h"
#include "tests/data/support.h"
#include "tests/support/threads.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

using testing::error_of;
using testing::has;
using testing::put;
using testing::TemporaryFolder;
using testing::WithVariable;

// The text fonts of this machine, spread over all there are; as many as a set needs, or none.
const std::vector<fs::path>& some_fonts() {
  static const std::vector<fs::path> fonts = [] {
    const auto all = choose_fonts(find_font_files({"/usr/share/fonts"}), "AB27");
    std::vector<fs::path> some;
    for (std::size_t i = 0; i < 12 && all.size() >= 12; ++i)
      some.push_back(all[i * all.size() / 12]);
    return some;
  }();
  return fonts;
}

#define REQUIRE_FONTS                                                      \
  if (some_fonts().empty()) {                                              \
    GTEST_SKIP() << "fewer than 12 text fonts are installed on this host"; \
  }

// A folder with these fonts and one for the cache, for small sets made quickly.
struct Workshop {
  TemporaryFolder fonts, cache;

  Workshop() {
    int i = 0;
    for (const fs::path& font : some_fonts()) {
      fs::copy_file(font, fonts / fmt::format("{:02}{}", i++, font.extension().string()));
    }
  }
  GlyphOptions options() const {
    return {.characters = "AB27",
            .size = 20,
            .variants = 2,
            .font_folders = {fonts.path()},
            .cache_folder = cache.path()};
  }
};

TEST(Glyphs, AreTheSameOnAnyNumberOfThreadsAndFromTheCache) {
  REQUIRE_FONTS
  const Workshop workshop;
  const TemporaryFolder other_cache;
  GlyphOptions options = workshop.options();
  const auto make = [&] { return make_glyphs(options)->fingerprint(); };
  const std::string one = test::on_threads({1}, make).front();
  EXPECT_EQ(make(), one);  // from the cache
  EXPECT_EQ(std::distance(fs::directory_iterator(workshop.cache.path()), fs::directory_iterator()),
            1);
  options.cache_folder = other_cache.path();
  EXPECT_EQ(test::on_threads({3}, make).front(), one);
}

TEST(Glyphs, FollowTheirOptions) {
  REQUIRE_FONTS
  const Workshop workshop;
  GlyphOptions options = workshop.options();
  const auto first = make_glyphs(options);
  EXPECT_EQ(first->size(), 12 * 4 * 2);
  EXPECT_EQ(first->spec(), (ItemSpec{1, 20, 20, {"A", "B", "2", "7"}}));
  for (std::int64_t i = 0; i < first->size(); ++i) EXPECT_EQ(first->label(i), i / 24);
  options.seed = 1;
  EXPECT_NE(make_glyphs(options)->fingerprint(), first->fingerprint());
  options.size = 33;
  EXPECT_EQ(make_glyphs(options)->spec().width, 33);
}

TEST(Glyphs, RebuildADamagedCache) {
  REQUIRE_FONTS
  const Workshop workshop;
  const std::string good = make_glyphs(workshop.options())->fingerprint();
  const fs::path file = fs::directory_iterator(workshop.cache.path())->path();
  const std::string contents = testing::get(file);
  std::string flipped = contents;
  flipped[flipped.size() / 2] ^= 4;
  const std::string cut = contents.substr(0, contents.size() - 400);
  for (const std::string& damaged : {flipped, cut, std::string("x"), std::string()}) {
    put(file, damaged);
    EXPECT_EQ(make_glyphs(workshop.options())->fingerprint(), good);
    EXPECT_EQ(testing::get(file), contents);
  }
}

TEST(Glyphs, DoWithoutACache) {
  REQUIRE_FONTS
  const Workshop workshop;
  GlyphOptions options = workshop.options();
  const std::string cached = make_glyphs(options)->fingerprint();
  put(workshop.cache / "file", "a file where a folder should be");
  options.cache_folder = workshop.cache / "file/below";
  EXPECT_EQ(make_glyphs(options)->fingerprint(), cached);
}

TEST(SlowGlyphs, AreCentredBrightAndWhole) {
  REQUIRE_FONTS
  const TemporaryFolder cache;
  GlyphOptions options;
  options.variants = 2;
  options.cache_folder = cache.path();
  const ArraySet set = draw_glyphs(options);
  const at::Tensor pictures = set.pictures.squeeze(1);
  EXPECT_EQ(set.class_names.size(), options.characters.size());
  const at::Tensor inner = pictures.slice(1, 1, 27).slice(2, 1, 27);
  EXPECT_EQ(pictures.sum().item<std::int64_t>(), inner.sum().item<std::int64_t>()) << "clipped";
  EXPECT_GT(pictures.amax({1, 2}).to(at::kFloat).quantile(0.01).item<float>(), 150.0F);

  // The box of what is not black: its centre near the picture's, its height about 20 of 28 pixels.
  const at::Tensor rows = (pictures > 40).any(2).to(at::kFloat);
  const at::Tensor top = rows.argmax(1).to(at::kFloat);
  const at::Tensor bottom = 28 - rows.flip({1}).argmax(1).to(at::kFloat);
  EXPECT_LE(((top + bottom) / 2 - 14).abs().max().item<float>(), 2.6F);
  const at::Tensor height = bottom - top;
  EXPECT_NEAR(height.mean().item<float>(), 20.0F, 2.0F);
}

// Each character's nearest mean (Pearson correlation) is mostly its own: the classes are distinct.
TEST(SlowGlyphs, ClassesAreDistinct) {
  REQUIRE_FONTS
  const TemporaryFolder cache;
  GlyphOptions options;
  options.variants = 2;
  options.cache_folder = cache.path();
  const ArraySet set = draw_glyphs(options);
  const auto classes = static_cast<std::int64_t>(set.class_names.size());
  at::Tensor x = set.pictures.flatten(1).to(at::kFloat);
  x = x - x.mean(1, true);
  x = x / x.norm(2, 1, true);
  const at::Tensor means = x.view({classes, -1, x.size(1)}).mean(1);
  const at::Tensor read = at::matmul(x, means.t()).argmax(1);
  EXPECT_GT((read == set.labels).to(at::kFloat).mean().item<float>(), 0.8F);
}

TEST(Glyphs, NameFontPackagesWhereFontsAreMissing) {
  const TemporaryFolder folder;
  put(folder / "fake.ttf", "no font");
  GlyphOptions options;
  options.font_folders = {folder.path(), folder / "missing"};
  options.cache_folder = folder / "cache";
  const std::string error = error_of([&] { make_glyphs(options); });
  EXPECT_TRUE(has(error, "0 usable of 1 font files"));
  EXPECT_TRUE(has(error, "fonts-dejavu"));
  EXPECT_FALSE(fs::exists(folder / "cache"));
}

TEST(Glyphs, RefuseSenselessOptions) {
  const auto error = [](const GlyphOptions& options) {
    return error_of([&] { make_glyphs(options); });
  };
  EXPECT_TRUE(has(error({.characters = ""}), "printable ASCII"));
  EXPECT_TRUE(has(error({.characters = "ABA"}), "\"ABA\""));
  EXPECT_TRUE(has(error({.characters = "A B"}), "\"A B\""));
  EXPECT_TRUE(has(error({.size = 7}), "7"));
  EXPECT_TRUE(has(error({.variants = -1}), "variants"));
}

TEST(SlowGlyphs, AreBroughtToTheShapeAskedFor) {
  REQUIRE_FONTS
  const TemporaryFolder cache;
  const WithVariable home("XDG_CACHE_HOME", cache.path().string());
  const auto plain = open_dataset({.source = "glyphs"});
  EXPECT_EQ(plain->spec().classes(), 16);
  EXPECT_GT(plain->size(), 5000);
  EXPECT_LT(plain->size(), 60'000);
  const auto other = open_dataset({.channels = 3, .pad = 2, .labels = false});
  EXPECT_EQ(other->spec(), (ItemSpec{3, 32, 32, {}}));
  EXPECT_TRUE(
      at::equal(other->picture(5)[1].slice(0, 2, 30).slice(1, 2, 30), plain->picture(5)[0]));
}

TEST(FontChoice, FindsFontFilesSorted) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "b");
  for (const char* name : {"b/z.otf", "b/a.ttf", "a.ttf", "notes.txt", "old.pfb"}) {
    put(folder / name, "");
  }
  EXPECT_EQ(find_font_files({folder.path(), folder / "b", folder / "missing"}),
            (std::vector<fs::path>{folder / "a.ttf", folder / "b/a.ttf", folder / "b/z.otf"}));
}

TEST(FontChoice, LeavesOutCopies) {
  REQUIRE_FONTS
  const TemporaryFolder folder;
  for (std::size_t i = 0; i < 3; ++i) {
    fs::copy_file(some_fonts()[i], folder / fmt::format("{}-a.ttf", i));
    fs::copy_file(some_fonts()[i], folder / fmt::format("{}-b.ttf", i));
  }
  EXPECT_EQ(choose_fonts(find_font_files({folder.path()}), "AB27").size(), 3U);
}

}  // namespace
}  // namespace calor::data
