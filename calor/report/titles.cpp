#include "calor/report/titles.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "calor/core/error.h"

namespace calor::report {
namespace {

// Letters of 5 x 8 dots, the last row below the line, with a blank column after each.
struct Letters {
  std::string_view characters;
  std::array<std::string_view, 8> rows;
};

// clang-format off
constexpr Letters sheet[] = {
    {R"(ABCDEFGHIJKLMN)",
     {".###. ####. .###. ####. ##### ##### .###. #...# .###. ..### #...# #.... #...# #...#",
      "#...# #...# #...# #...# #.... #.... #...# #...# ..#.. ...#. #..#. #.... ##.## #...#",
      "#...# #...# #.... #...# #.... #.... #.... #...# ..#.. ...#. #.#.. #.... #.#.# ##..#",
      "##### ####. #.... #...# ####. ####. #.### ##### ..#.. ...#. ##... #.... #.#.# #.#.#",
      "#...# #...# #.... #...# #.... #.... #...# #...# ..#.. ...#. #.#.. #.... #...# #..##",
      "#...# #...# #...# #...# #.... #.... #...# #...# ..#.. #..#. #..#. #.... #...# #...#",
      "#...# ####. .###. ####. ##### #.... .#### #...# .###. .##.. #...# ##### #...# #...#",
      "..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ....."}},
    {R"(OPQRSTUVWXYZab)",
     {".###. ####. .###. ####. .#### ##### #...# #...# #...# #...# #...# ##### ..... #....",
      "#...# #...# #...# #...# #.... ..#.. #...# #...# #...# #...# #...# ....# ..... #....",
      "#...# #...# #...# #...# #.... ..#.. #...# #...# #...# .#.#. .#.#. ...#. .###. ####.",
      "#...# ####. #...# ####. .###. ..#.. #...# #...# #.#.# ..#.. ..#.. ..#.. ....# #...#",
      "#...# #.... #.#.# #.#.. ....# ..#.. #...# #...# #.#.# .#.#. ..#.. .#... .#### #...#",
      "#...# #.... #..#. #..#. ....# ..#.. #...# .#.#. #.#.# #...# ..#.. #.... #...# #...#",
      ".###. #.... .##.# #...# ####. ..#.. .###. ..#.. .#.#. #...# ..#.. ##### .#### ####.",
      "..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ....."}},
    {R"(cdefghijklmnop)",
     {"..... ....# ..... ..##. ..... #.... ..#.. ...#. #.... .##.. ..... ..... ..... .....",
      "..... ....# ..... .#..# ..... #.... ..... ..... #.... ..#.. ..... ..... ..... .....",
      ".###. .#### .###. .#... .#### ####. .##.. ..##. #..#. ..#.. ##.#. ####. .###. ####.",
      "#.... #...# #...# ###.. #...# #...# ..#.. ...#. #.#.. ..#.. #.#.# #...# #...# #...#",
      "#.... #...# ##### .#... #...# #...# ..#.. ...#. ##... ..#.. #.#.# #...# #...# #...#",
      "#...# #...# #.... .#... .#### #...# ..#.. ...#. #.#.. ..#.. #.#.# #...# #...# ####.",
      ".###. .#### .###. .#... ....# #...# .###. #..#. #..#. .###. #.#.# #...# .###. #....",
      "..... ..... ..... ..... .###. ..... ..... .##.. ..... ..... ..... ..... ..... #...."}},
    {R"(qrstuvwxyz0123)",
     {"..... ..... ..... .#... ..... ..... ..... ..... ..... ..... .###. ..#.. .###. #####",
      "..... ..... ..... .#... ..... ..... ..... ..... ..... ..... #...# .##.. #...# ...#.",
      ".#### #.##. .#### ###.. #...# #...# #...# #...# #...# ##### #..## ..#.. ....# ..#..",
      "#...# ##..# #.... .#... #...# #...# #...# .#.#. #...# ...#. #.#.# ..#.. ...#. ...#.",
      "#...# #.... .###. .#... #...# #...# #.#.# ..#.. #...# ..#.. ##..# ..#.. ..#.. ....#",
      ".#### #.... ....# .#..# #..## .#.#. #.#.# .#.#. .#### .#... #...# ..#.. .#... #...#",
      "....# #.... ####. ..##. .##.# ..#.. .#.#. #...# ....# ##### .###. .###. ##### .###.",
      "....# ..... ..... ..... ..... ..... ..... ..... .###. ..... ..... ..... ..... ....."}},
    {R"(456789.,:;-+=()",
     {"...#. ##### ..##. ##### .###. .###. ..... ..... ..... ..... ..... ..... ..... ...#.",
      "..##. #.... .#... ....# #...# #...# ..... ..... .##.. .##.. ..... ..#.. ..... ..#..",
      ".#.#. ####. #.... ...#. #...# #...# ..... ..... .##.. .##.. ..... ..#.. ##### .#...",
      "#..#. ....# ####. ..#.. .###. .#### ..... ..... ..... ..... ##### ##### ..... .#...",
      "##### ....# #...# .#... #...# ....# ..... ..... ..... ..... ..... ..#.. ##### .#...",
      "...#. #...# #...# .#... #...# ...#. .##.. .##.. .##.. .##.. ..... ..#.. ..... ..#..",
      "...#. .###. .###. .#... .###. .##.. .##.. ..#.. .##.. ..#.. ..... ..... ..... ...#.",
      "..... ..... ..... ..... ..... ..... ..... .#... ..... .#... ..... ..... ..... ....."}},
    {R"()/%_'<>*!?|~&#)",
     {".#... ....# ##..# ..... ..#.. ...#. .#... ..... ..#.. .###. ..#.. ..... .##.. .#.#.",
      "..#.. ....# ##..# ..... ..#.. ..#.. ..#.. ..#.. ..#.. #...# ..#.. ..... #..#. .#.#.",
      "...#. ...#. ...#. ..... ..... .#... ...#. #.#.# ..#.. ....# ..#.. .#... #.#.. #####",
      "...#. ..#.. ..#.. ..... ..... #.... ....# .###. ..#.. ...#. ..#.. #.#.# .#... .#.#.",
      "...#. .#... .#... ..... ..... .#... ...#. #.#.# ..#.. ..#.. ..#.. ...#. #.#.# #####",
      "..#.. #.... #..## ..... ..... ..#.. ..#.. ..#.. ..... ..... ..#.. ..... #..#. .#.#.",
      ".#... #.... #..## ##### ..... ...#. .#... ..... ..#.. ..#.. ..#.. ..... .##.# .#.#.",
      "..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ....."}},
};
// clang-format on

constexpr std::int64_t letter_width = 5;
constexpr std::int64_t letter_height = 8;
constexpr std::int64_t advance = letter_width + 1;

// Whether the letter has a dot there. A character that is not on the sheet is a box.
bool has_dot(char character, std::size_t row, std::size_t column) {
  if (character == ' ') return false;
  for (const Letters& letters : sheet) {
    const std::size_t place = letters.characters.find(character);
    if (place == std::string_view::npos) continue;
    return letters.rows[row][place * static_cast<std::size_t>(advance) + column] == '#';
  }
  return row < 7 && (row == 0 || row == 6 || column == 0 || column == 4);
}

void check_panel(const at::Tensor& panel) {
  const bool right = panel.defined() && panel.scalar_type() == at::kByte && panel.dim() == 3 &&
                     (panel.size(0) == 1 || panel.size(0) == 3) && panel.numel() > 0;
  if (right) return;
  throw Error("a panel that is a picture, uint8 of shape [1 or 3, H, W]",
              panel.defined() ? fmt::format("{} of shape [{}]", c10::toString(panel.scalar_type()),
                                            fmt::join(panel.sizes(), ", "))
                              : "no tensor",
              "make it with density_picture or scatter_picture");
}

}  // namespace

at::Tensor text_picture(const std::string& text, std::int64_t dot) {
  // Of a character beyond ASCII, in UTF-8, the first byte alone counts.
  std::string characters = text;
  std::erase_if(characters, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; });
  const auto n = static_cast<std::int64_t>(characters.size());
  at::Tensor picture = at::zeros({letter_height, n * advance}, at::kByte);
  auto* const dots = picture.data_ptr<std::uint8_t>();
  for (std::int64_t row = 0; row < letter_height; ++row) {
    for (std::int64_t x = 0; x < n * advance; ++x) {
      const char character = characters[static_cast<std::size_t>(x / advance)];
      const bool ink =
          x % advance < letter_width &&
          has_dot(character, static_cast<std::size_t>(row), static_cast<std::size_t>(x % advance));
      dots[row * n * advance + x] = ink ? 255 : 0;
    }
  }
  return picture.repeat_interleave(dot, 0).repeat_interleave(dot, 1);
}

at::Tensor with_title(const at::Tensor& panel, const std::string& title) {
  check_panel(panel);
  const std::int64_t width = panel.size(2);
  const std::int64_t dot = std::max<std::int64_t>(1, width / 200);
  at::Tensor out = at::full({3, panel.size(1) + (letter_height + 4) * dot, width}, 255, at::kByte);
  out.narrow(1, (letter_height + 4) * dot, panel.size(1)).copy_(panel);
  const at::Tensor text = text_picture(title, dot);
  const std::int64_t shown = std::min(text.size(1), width);
  const at::Tensor paper = 255 - text.narrow(1, 0, shown);
  out.narrow(1, 2 * dot, letter_height * dot).narrow(2, (width - shown) / 2, shown).copy_(paper);
  return out;
}

at::Tensor side_by_side(const std::vector<at::Tensor>& panels, std::int64_t gap) {
  if (panels.empty() || gap < 0) {
    throw Error("at least one panel and a gap of at least 0",
                fmt::format("{} panels, gap {}", panels.size(), gap), "give the panels to show");
  }
  std::int64_t width = gap;
  for (const at::Tensor& panel : panels) {
    check_panel(panel);
    width += panel.size(2) + gap;
    if (panel.size(1) != panels[0].size(1)) {
      throw Error("panels of one height",
                  fmt::format("heights {} and {}", panels[0].size(1), panel.size(1)),
                  "make all panels with the same side");
    }
  }
  at::Tensor out = at::full({3, panels[0].size(1) + 2 * gap, width}, 255, at::kByte);
  std::int64_t left = gap;
  for (const at::Tensor& panel : panels) {
    out.narrow(1, gap, panel.size(1)).narrow(2, left, panel.size(2)).copy_(panel);
    left += panel.size(2) + gap;
  }
  return out;
}

}  // namespace calor::report
