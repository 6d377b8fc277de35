#include "calor/report/gif.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gif_lib.h>

#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <string>

#include "calor/core/error.h"
#include "calor/io/atomic_file.h"

namespace calor::report {
namespace {

constexpr std::size_t most_colours = 256;

// A frame's pixels row by row, three bytes each.
using Pixels = std::vector<std::array<std::uint8_t, 3>>;

Pixels pixels_of(const at::Tensor& frame) {
  const at::Tensor rows =
      frame.expand({3, frame.size(1), frame.size(2)}).permute({1, 2, 0}).contiguous();
  const auto* bytes = rows.const_data_ptr<std::uint8_t>();
  Pixels pixels(static_cast<std::size_t>(rows.numel() / 3));
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = {bytes[3 * i], bytes[3 * i + 1], bytes[3 * i + 2]};
  }
  return pixels;
}

// Colours that share their highest 8 - `dropped` bits are one.
struct Palette {
  int dropped = 0;
  std::map<std::uint32_t, std::uint8_t> index;
  std::vector<GifColorType> colours;

  std::uint32_t key(const std::array<std::uint8_t, 3>& c) const {
    const std::uint32_t kept = 0xFFU >> dropped << dropped;
    return (c[0] & kept) << 16 | (c[1] & kept) << 8 | (c[2] & kept);
  }
};

// How often each colour occurs; in the order of the colours, so that the palette has one too.
std::map<std::array<std::uint8_t, 3>, std::int64_t> count_colours(
    const std::vector<Pixels>& frames) {
  std::map<std::array<std::uint8_t, 3>, std::int64_t> counts;
  for (const Pixels& frame : frames) {
    for (const auto& pixel : frame) ++counts[pixel];
  }
  return counts;
}

// Drops as few bits as need be; six leave 4^3 colours.
Palette make_palette(const std::vector<Pixels>& frames) {
  struct Cell {
    std::array<std::int64_t, 3> sum{};
    std::int64_t count = 0;
  };
  const auto counts = count_colours(frames);
  Palette palette;
  std::map<std::uint32_t, Cell> cells;
  do {
    cells.clear();
    for (const auto& [colour, count] : counts) {
      Cell& cell = cells[palette.key(colour)];
      for (std::size_t c = 0; c < 3; ++c) cell.sum[c] += count * colour[c];
      cell.count += count;
    }
  } while (cells.size() > most_colours && ++palette.dropped < 7);
  for (const auto& [key, cell] : cells) {
    const auto mean = [&cell = cell](std::size_t c) {
      return static_cast<GifByteType>((cell.sum[c] + cell.count / 2) / cell.count);
    };
    palette.index[key] = static_cast<std::uint8_t>(palette.colours.size());
    palette.colours.push_back({mean(0), mean(1), mean(2)});
  }
  return palette;
}

int append(GifFileType* gif, const GifByteType* bytes, int count) {
  auto& text = *static_cast<std::string*>(gif->UserData);
  for (int i = 0; i < count; ++i) text.push_back(static_cast<char>(bytes[i]));
  return count;
}

struct FreeMap {
  void operator()(ColorMapObject* map) const { GifFreeMapObject(map); }
};

std::unique_ptr<ColorMapObject, FreeMap> to_map(const Palette& palette) {
  int size = 2;  // a power of two, as the format wants it
  while (size < static_cast<int>(palette.colours.size())) size *= 2;
  std::vector<GifColorType> colours = palette.colours;
  colours.resize(static_cast<std::size_t>(size));
  return std::unique_ptr<ColorMapObject, FreeMap>(GifMakeMapObject(size, colours.data()));
}

// Plays again and again: the application extension that browsers know.
bool put_loop(GifFileType* gif) {
  constexpr std::array<GifByteType, 3> for_ever{1, 0, 0};
  return EGifPutExtensionLeader(gif, APPLICATION_EXT_FUNC_CODE) == GIF_OK &&
         EGifPutExtensionBlock(gif, 11, "NETSCAPE2.0") == GIF_OK &&
         EGifPutExtensionBlock(gif, for_ever.size(), for_ever.data()) == GIF_OK &&
         EGifPutExtensionTrailer(gif) == GIF_OK;
}

bool put_frame(GifFileType* gif, const Pixels& frame, const Palette& palette, int hundredths) {
  const GraphicsControlBlock control{.DisposalMode = DISPOSE_DO_NOT,
                                     .UserInputFlag = false,
                                     .DelayTime = hundredths,
                                     .TransparentColor = NO_TRANSPARENT_COLOR};
  std::array<GifByteType, 4> bytes{};
  EGifGCBToExtension(&control, bytes.data());
  if (EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, bytes.size(), bytes.data()) != GIF_OK ||
      EGifPutImageDesc(gif, 0, 0, gif->SWidth, gif->SHeight, false, nullptr) != GIF_OK) {
    return false;
  }
  std::vector<GifPixelType> indices;
  indices.reserve(frame.size());
  for (const auto& pixel : frame) indices.push_back(palette.index.at(palette.key(pixel)));
  return EGifPutLine(gif, indices.data(), static_cast<int>(indices.size())) == GIF_OK;
}

bool put_all(GifFileType* gif, const std::vector<Pixels>& frames, int width, int height,
             int hundredths) {
  const Palette palette = make_palette(frames);
  const auto map = to_map(palette);
  EGifSetGifVersion(gif, true);
  bool good = map != nullptr && EGifPutScreenDesc(gif, width, height, 8, 0, map.get()) == GIF_OK &&
              put_loop(gif);
  for (const Pixels& frame : frames) good = good && put_frame(gif, frame, palette, hundredths);
  return good;
}

void check(const std::vector<at::Tensor>& frames, double fps) {
  require_usage(!frames.empty(), "frames for a moving picture", "none", "draw at least one");
  require_usage(fps >= 0.1 && fps <= 100, "0.1 to 100 frames a second", fmt::format("{}", fps),
                "choose a rate in between");
  const at::Tensor& first = frames.front();
  for (const at::Tensor& frame : frames) {
    const bool picture = frame.dim() == 3 && (frame.size(0) == 1 || frame.size(0) == 3) &&
                         frame.scalar_type() == at::kByte;
    const bool fits = picture && frame.size(1) >= 1 && frame.size(2) >= 1 &&
                      frame.size(1) <= 4096 && frame.size(2) <= 4096;
    require_usage(fits && frame.sizes().slice(1) == first.sizes().slice(1),
                  "frames uint8 [1 or 3, H, W] of one size, at most 4096 pixels a side",
                  fmt::format("one of [{}]", fmt::join(frame.sizes(), ", ")),
                  "draw all frames alike");
  }
}

}  // namespace

void write_gif(const std::filesystem::path& path, const std::vector<at::Tensor>& frames,
               double fps) {
  check(frames, fps);
  std::vector<Pixels> pixels;
  pixels.reserve(frames.size());
  for (const at::Tensor& frame : frames) pixels.push_back(pixels_of(frame));
  const auto hundredths = static_cast<int>(std::lround(100 / fps));
  std::string bytes;
  int status = 0;
  GifFileType* gif = EGifOpen(&bytes, append, &status);
  bool good = gif != nullptr;
  if (good) {
    good = put_all(gif, pixels, static_cast<int>(frames[0].size(2)),
                   static_cast<int>(frames[0].size(1)), hundredths);
    good = EGifCloseFile(gif, &status) == GIF_OK && good;
  }
  if (!good) {
    throw Error("a moving picture encoded",
                "giflib could not (code " + std::to_string(status) + ")",
                "free some memory, or write fewer frames");
  }
  io::write_file_atomically(path, bytes);
}

}  // namespace calor::report
