// One font file, whose characters are drawn as small grey pictures with FreeType.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace calor::data {

// How a character is put into a square picture.
struct GlyphPose {
  double height = 0.72;  // of the font's tallest character, as a share of the picture's side
  double stretch = 1;    // width over height, relative to the font's own
  double rotation = 0;   // radians, counter-clockwise
  double slant = 0;      // sideways shift per unit of height, to the right at the top
  double weight = 0;     // thickening of the strokes, as a share of the em
  double offset_x = 0;   // of the centre of the bounding box from the picture's centre, as shares
  double offset_y = 0;   // of the side, to the right and upwards
};

// Not to be used by two threads at once; each thread opens its own.
class Font {
 public:
  // Nothing where the file is no scalable font with a Unicode character map (symbol fonts have
  // none), or where it lacks one of the characters or draws it blank.
  static std::optional<Font> open(const std::filesystem::path& path, std::string_view characters);

  Font(Font&&) noexcept;
  Font& operator=(Font&&) noexcept;
  ~Font();

  // White on black into size x size bytes. A character that would touch the border, offsets
  // included, is drawn smaller: no stroke is ever clipped.
  void draw(char character, const GlyphPose& pose, std::int64_t size,
            std::span<std::uint8_t> picture) const;

 private:
  struct Face;
  explicit Font(std::unique_ptr<Face> face);
  std::unique_ptr<Face> face_;
};

// The version of FreeType that draws, e.g. "2.12.1": other versions may round differently.
std::string font_library_version();

}  // namespace calor::data
