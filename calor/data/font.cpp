// FreeType behind a small door. Outlines are loaded unhinted (hints would bend them to a pixel grid
// that the jitter then moves), posed by one affine map and filled with exact area coverage.
#include "calor/data/font.h"

#include <fmt/format.h>
#include <ft2build.h>

#include FT_FREETYPE_H
#include FT_BBOX_H
#include FT_OUTLINE_H

#include <algorithm>
#include <cmath>
#include <new>
#include <utility>

namespace calor::data {
namespace {

constexpr FT_UInt em_pixels = 256;   // outlines are loaded at this size, finely rounded
constexpr double margin = 1.0 / 28;  // of black that stays around every character

FT_Fixed fixed(double x) { return std::lround(x * 65536); }
FT_Pos subpixels(double x) { return std::lround(x * 64); }

struct Box {
  double width, height, centre_x, centre_y;  // in subpixels (1/64)
};

Box bounding_box(FT_Outline& outline) {
  FT_BBox box{};
  FT_Outline_Get_BBox(&outline, &box);
  return {static_cast<double>(box.xMax - box.xMin), static_cast<double>(box.yMax - box.yMin),
          static_cast<double>(box.xMax + box.xMin) / 2,
          static_cast<double>(box.yMax + box.yMin) / 2};
}

void transform(FT_Outline& outline, double xx, double xy, double yx, double yy) {
  const FT_Matrix matrix{fixed(xx), fixed(xy), fixed(yx), fixed(yy)};
  FT_Outline_Transform(&outline, &matrix);
}

}  // namespace

struct Font::Face {
  FT_Library library = nullptr;
  FT_Face face = nullptr;
  double tallest = 0;  // character's height in subpixels at em_pixels

  Face() {
    if (FT_Init_FreeType(&library) != 0) throw std::bad_alloc();
  }
  ~Face() {
    if (face != nullptr) FT_Done_Face(face);
    FT_Done_FreeType(library);
  }
  Face(const Face&) = delete;
  Face& operator=(const Face&) = delete;

  bool open(const std::filesystem::path& path) {
    return FT_New_Face(library, path.c_str(), 0, &face) == 0 && FT_IS_SCALABLE(face) &&
           FT_Select_Charmap(face, FT_ENCODING_UNICODE) == 0 &&
           FT_Set_Pixel_Sizes(face, 0, em_pixels) == 0;
  }

  // The character's outline in the face's slot; null where there is none.
  FT_Outline* load(char character) const {
    const FT_UInt glyph = FT_Get_Char_Index(face, static_cast<unsigned char>(character));
    if (glyph == 0) return nullptr;
    if (FT_Load_Glyph(face, glyph, FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP) != 0) return nullptr;
    if (face->glyph->format != FT_GLYPH_FORMAT_OUTLINE) return nullptr;
    return &face->glyph->outline;
  }

  bool measure(std::string_view characters) {
    for (const char character : characters) {
      FT_Outline* outline = load(character);
      if (outline == nullptr) return false;
      const Box box = bounding_box(*outline);
      if (box.width <= 0 || box.height <= 0) return false;
      tallest = std::max(tallest, box.height);
    }
    return true;
  }
};

Font::Font(std::unique_ptr<Face> face) : face_(std::move(face)) {}
Font::Font(Font&&) noexcept = default;
Font& Font::operator=(Font&&) noexcept = default;
Font::~Font() = default;

std::optional<Font> Font::open(const std::filesystem::path& path, std::string_view characters) {
  auto face = std::make_unique<Face>();
  if (!face->open(path) || !face->measure(characters)) return std::nullopt;
  return Font(std::move(face));
}

void Font::draw(char character, const GlyphPose& pose, std::int64_t size,
                std::span<std::uint8_t> picture) const {
  std::ranges::fill(picture, std::uint8_t{0});
  FT_Outline* outline = face_->load(character);
  if (outline == nullptr) return;  // open() has seen it, so only a file that changed meanwhile
  FT_Outline_Embolden(outline, subpixels(pose.weight * em_pixels));

  // Stretch, then slant, then turn, then scale.
  const double side = static_cast<double>(size) * 64;
  const double scale = pose.height * side / face_->tallest;
  const double c = scale * std::cos(pose.rotation);
  const double s = scale * std::sin(pose.rotation);
  transform(*outline, c * pose.stretch, c * pose.slant - s, s * pose.stretch, s * pose.slant + c);

  const double room_x = side * (1 - 2 * (margin + std::abs(pose.offset_x)));
  const double room_y = side * (1 - 2 * (margin + std::abs(pose.offset_y)));
  const Box natural = bounding_box(*outline);
  const double shrink = std::min({1.0, room_x / natural.width, room_y / natural.height});
  if (shrink < 1) transform(*outline, shrink, 0, 0, shrink);

  const Box box = bounding_box(*outline);
  FT_Outline_Translate(outline, std::lround(side * (0.5 + pose.offset_x) - box.centre_x),
                       std::lround(side * (0.5 + pose.offset_y) - box.centre_y));

  FT_Bitmap bitmap{};
  bitmap.rows = static_cast<unsigned int>(size);
  bitmap.width = static_cast<unsigned int>(size);
  bitmap.pitch = static_cast<int>(size);  // positive: rows run from top to bottom
  bitmap.buffer = picture.data();
  bitmap.num_grays = 256;
  bitmap.pixel_mode = FT_PIXEL_MODE_GRAY;
  FT_Outline_Get_Bitmap(face_->library, outline, &bitmap);
}

std::string font_library_version() {
  FT_Library library = nullptr;
  if (FT_Init_FreeType(&library) != 0) throw std::bad_alloc();
  FT_Int major = 0;
  FT_Int minor = 0;
  FT_Int patch = 0;
  FT_Library_Version(library, &major, &minor, &patch);
  FT_Done_FreeType(library);
  return fmt::format("{}.{}.{}", major, minor, patch);
}

}  // namespace calor::data
