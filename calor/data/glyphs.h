// The embedded data set: characters drawn with FreeType from the fonts of the system, labelled by
// character, so that a first model can be trained without any download.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "calor/data/array_sets.h"
#include "calor/data/dataset.h"

namespace calor::data {

struct GlyphOptions {
  // One class each (printable ASCII). The default leaves out what people and machines confuse in
  // small pictures of many fonts: O/0, I/1, B/8, S/5, G/6, Z/2, D/0 keep at most one of a pair.
  std::string characters = "ABEHKMRSTXY23467";
  std::int64_t size = 28;     // side in pixels
  std::int64_t variants = 0;  // jittered copies per font and character; 0: about 40,000 in all
  std::uint64_t seed = 0;
  std::vector<std::filesystem::path> font_folders = {"/usr/share/fonts"};
  // Where the drawn set is kept for the next time; empty: the user's cache.
  std::filesystem::path cache_folder = {};
};

// Deterministic: the same fonts and options give the same bytes, on any number of threads. White on
// black, antialiased; variants differ by size, proportion, small rotation, slant, offset and weight
// (from the seed). Fonts that lack a character or draw it blank, symbol fonts, ornaments, hairlines
// and copies are left out. The result is cached in one raw file, keyed by the options, FreeType's
// version and the fonts' paths and sizes; a damaged file there is made again, and where nothing can
// be written the set is simply drawn each time.
// Error naming Debian's font packages where fewer than 10 usable fonts are found.
ArraySet draw_glyphs(const GlyphOptions& options);
std::shared_ptr<ImageDataset> make_glyphs(const GlyphOptions& options);

}  // namespace calor::data
