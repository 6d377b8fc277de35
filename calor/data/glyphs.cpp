// The embedded data set: every usable font draws every character a number of times, each time a
// little differently, and the whole is kept in one file of the user's cache.
#include "calor/data/glyphs.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numbers>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "calor/core/error.h"
#include "calor/core/random.h"
#include "calor/data/font.h"
#include "calor/data/font_choice.h"
#include "calor/data/user_folders.h"
#include "calor/io/atomic_file.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t least_fonts = 10;
constexpr std::int64_t usual_pictures = 40'000;
constexpr std::int64_t most_bytes = std::int64_t{8} << 30;
// To be raised with any change of what is drawn, so that older cache files are not taken for it.
constexpr int drawing_version = 1;

void check(const GlyphOptions& options) {
  std::string sorted = options.characters;
  std::ranges::sort(sorted);
  const bool printable = std::ranges::all_of(sorted, [](char c) { return c > ' ' && c <= '~'; });
  if (sorted.empty() || !printable || std::ranges::adjacent_find(sorted) != sorted.end()) {
    throw usage_error("one or more different characters of printable ASCII for the glyphs",
                      fmt::format("\"{}\"", options.characters), "for example 0123456789");
  }
  const auto within = [](const char* what, std::int64_t value, std::int64_t low,
                         std::int64_t high) {
    if (value >= low && value <= high) return;
    throw usage_error(fmt::format("{} from {} to {}", what, low, high), fmt::format("{}", value),
                      "choose a number in that range");
  };
  within("a glyph size in pixels", options.size, 8, 1024);
  within("a number of variants per font and character", options.variants, 0, 100'000);
}

// How one variant is drawn: a pure function of its key. The ranges keep every character upright
// enough to be read at 28 pixels.
GlyphPose random_pose(RandomKey key) {
  std::array<double, 7> uniform{};
  fill_uniform(key, uniform);
  auto between = [&uniform, i = std::size_t{0}](double low, double high) mutable {
    return low + (high - low) * uniform[i++];
  };
  constexpr double degree = std::numbers::pi / 180;
  GlyphPose pose;
  pose.height = between(0.64, 0.76);
  pose.stretch = between(0.92, 1.08);
  pose.rotation = between(-6 * degree, 6 * degree);
  pose.slant = between(-0.10, 0.10);
  pose.weight = between(0, 0.02);
  pose.offset_x = between(-0.04, 0.04);
  pose.offset_y = between(-0.04, 0.04);
  return pose;
}

// Where things lie in the set: character by character, font by font, variant by variant.
struct Layout {
  std::size_t characters, fonts, variants, pixels;

  std::size_t count() const { return characters * fonts * variants; }
  std::size_t start(std::size_t character, std::size_t font) const {
    return (character * fonts + font) * variants * pixels;
  }
};

Layout make_layout(const GlyphOptions& options, std::size_t fonts) {
  const std::size_t characters = options.characters.size();
  const auto usual = static_cast<std::size_t>(usual_pictures);
  const std::size_t variants = options.variants > 0
                                   ? static_cast<std::size_t>(options.variants)
                                   : std::max(std::size_t{1}, usual / (characters * fonts));
  const Layout layout{characters, fonts, variants,
                      static_cast<std::size_t>(options.size * options.size)};
  if (layout.count() > static_cast<std::size_t>(most_bytes) / layout.pixels) {
    throw usage_error(
        "a glyph set of at most 8 GiB",
        fmt::format("{} pictures of {} x {}", layout.count(), options.size, options.size),
        "ask for smaller pictures or fewer variants");
  }
  return layout;
}

// All variants of all characters of one font.
void draw_font(const fs::path& file, std::size_t f, const GlyphOptions& options,
               const Layout& layout, std::span<std::uint8_t> pictures) {
  const std::optional<Font> font = Font::open(file, options.characters);
  if (!font) {
    throw Error("the font to stay readable while glyphs are drawn", file.string(),
                "start again; if it happens again, reinstall the font's package");
  }
  const RandomKey font_key = random_key(options.seed, RandomUse::glyphs).child(f);
  for (std::size_t c = 0; c < layout.characters; ++c) {
    const RandomKey key = font_key.child(c);
    for (std::size_t v = 0; v < layout.variants; ++v) {
      font->draw(options.characters[c], random_pose(key.child(v)), options.size,
                 pictures.subspan(layout.start(c, f) + v * layout.pixels, layout.pixels));
    }
  }
}

Error too_few_fonts(const GlyphOptions& options, std::size_t usable, std::size_t files) {
  std::vector<std::string> folders;
  for (const fs::path& folder : options.font_folders) folders.push_back(folder.string());
  return {fmt::format("at least {} text fonts (.ttf, .otf) with the characters {}", least_fonts,
                      options.characters),
          fmt::format("{} usable of {} font files in {}", usable, files, fmt::join(folders, ", ")),
          "install Debian's fonts: apt-get install fonts-dejavu fonts-liberation2 "
          "fonts-freefont-ttf fonts-lato fonts-open-sans"};
}

// uint8 [n, 1, size, size], in the order of Layout.
at::Tensor draw(const GlyphOptions& options, const std::vector<fs::path>& files) {
  const std::vector<fs::path> fonts = choose_fonts(files, options.characters);
  if (fonts.size() < least_fonts) throw too_few_fonts(options, fonts.size(), files.size());
  const Layout layout = make_layout(options, fonts.size());
  const auto n = static_cast<std::int64_t>(layout.count());
  at::Tensor pictures = at::empty({n, 1, options.size, options.size}, at::kByte);
  const std::span all(pictures.data_ptr<std::uint8_t>(), pictures.nbytes());
  const auto draw_some = [&](std::int64_t begin, std::int64_t end) {
    for (auto f = static_cast<std::size_t>(begin); f < static_cast<std::size_t>(end); ++f) {
      draw_font(fonts[f], f, options, layout, all);
    }
  };
  at::parallel_for(0, static_cast<std::int64_t>(fonts.size()), 1, draw_some);
  return pictures;
}

// --- the cache: 32 hexadecimal digits (checksum of the rest), then the pictures' bytes ---

constexpr std::size_t checksum_digits = 32;

fs::path cache_file(const GlyphOptions& options, const std::vector<fs::path>& files) {
  const fs::path folder = options.cache_folder.empty() ? user_cache_folder() : options.cache_folder;
  if (folder.empty()) return {};
  std::string key = fmt::format("{} {} {} {} {} {}\n", drawing_version, font_library_version(),
                                options.characters, options.size, options.variants, options.seed);
  for (const fs::path& file : files) {
    std::error_code error;
    key += fmt::format("{} {}\n", file.string(), fs::file_size(file, error));
  }
  return folder / fmt::format("glyphs-{}.bin", io::checksum(std::as_bytes(std::span(key))));
}

// Undefined where there is no file, or one that is damaged.
at::Tensor read_cache(const fs::path& path, const GlyphOptions& options) {
  std::error_code error;
  if (path.empty() || !fs::exists(path, error)) return {};
  try {
    const std::vector<std::byte> file = io::read_file(path, most_bytes + checksum_digits);
    const std::int64_t picture = options.size * options.size;
    const std::int64_t group = static_cast<std::int64_t>(options.characters.size()) * picture;
    if (file.size() <= checksum_digits) return {};
    const auto pixels = std::span(file).subspan(checksum_digits);
    const auto bytes = static_cast<std::int64_t>(pixels.size());
    const std::string_view sum(reinterpret_cast<const char*>(file.data()), checksum_digits);
    if (bytes % group != 0 || io::checksum(pixels) != sum) return {};
    at::Tensor pictures = at::empty({bytes / picture, 1, options.size, options.size}, at::kByte);
    std::memcpy(pictures.data_ptr(), pixels.data(), pixels.size());
    return pictures;
  } catch (const Error&) {
    return {};  // unreadable: drawn again
  }
}

void write_cache(const fs::path& path, const at::Tensor& pictures) {
  if (path.empty()) return;
  try {
    const std::span pixels(static_cast<const std::byte*>(pictures.const_data_ptr()),
                           pictures.nbytes());
    const std::string sum = io::checksum(pixels);
    io::make_folder(path.parent_path());
    io::write_file_atomically(path, [&](const io::ByteSink& sink) {
      sink(std::as_bytes(std::span(sum)));
      sink(pixels);
    });
  } catch (const Error&) {
    // A cache is a convenience: a full disk or a home that cannot be written costs only time.
  }
}

}  // namespace

ArraySet draw_glyphs(const GlyphOptions& options) {
  check(options);
  const std::vector<fs::path> files = find_font_files(options.font_folders);
  const fs::path cache = cache_file(options, files);
  ArraySet set{.pictures = read_cache(cache, options), .labels = {}, .class_names = {}};
  if (!set.pictures.defined()) {
    set.pictures = draw(options, files);
    write_cache(cache, set.pictures);
  }
  for (const char c : options.characters) set.class_names.emplace_back(1, c);
  const auto classes = static_cast<std::int64_t>(set.class_names.size());
  set.labels = at::arange(classes, at::kLong).repeat_interleave(set.pictures.size(0) / classes);
  return set;
}

std::shared_ptr<ImageDataset> make_glyphs(const GlyphOptions& options) {
  ArraySet set = draw_glyphs(options);
  ItemSpec spec{.channels = 1,
                .height = options.size,
                .width = options.size,
                .class_names = std::move(set.class_names)};
  return make_tensor_dataset(std::move(spec), std::move(set.pictures), std::move(set.labels));
}

}  // namespace calor::data
