// Fonts are judged by what they draw, not by their names: each draws every character once in a
// plain pose, and the drawings are compared among the characters and among the fonts.
#include "calor/data/font_choice.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <system_error>

#include "calor/data/font.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t side = 28;
constexpr std::size_t pixels = static_cast<std::size_t>(side * side);

// Strokes whose brightest pixel is below this on average are hairlines.
constexpr double least_peak = 225;
// Correlation with the mean drawing of all fonts, averaged over the characters. Measured on
// Debian's fonts with 16 capitals and digits: condensed light italics 0.52, most text faces 0.7 to
// 0.93, keycaps 0.24.
constexpr double least_likeness = 0.45;

// One font's characters one after another, pixels bytes each; empty where it is unfit by itself.
using Drawings = std::vector<std::uint8_t>;

std::span<const std::uint8_t> drawing(const Drawings& drawings, std::size_t character) {
  return std::span(drawings).subspan(character * pixels, pixels);
}

bool all_distinct(const Drawings& drawings, std::size_t characters) {
  std::set<std::vector<std::uint8_t>> seen;
  for (std::size_t c = 0; c < characters; ++c) {
    const auto one = drawing(drawings, c);
    if (!seen.emplace(one.begin(), one.end()).second) return false;
  }
  return true;
}

double mean_peak(const Drawings& drawings, std::size_t characters) {
  double sum = 0;
  for (std::size_t c = 0; c < characters; ++c)
    sum += *std::ranges::max_element(drawing(drawings, c));
  return sum / static_cast<double>(characters);
}

Drawings draw_characters(const fs::path& file, std::string_view characters) {
  const std::optional<Font> font = Font::open(file, characters);
  if (!font) return {};
  Drawings drawings(characters.size() * pixels);
  for (std::size_t c = 0; c < characters.size(); ++c) {
    font->draw(characters[c], GlyphPose{}, side, std::span(drawings).subspan(c * pixels, pixels));
  }
  const bool fit = all_distinct(drawings, characters.size()) &&
                   mean_peak(drawings, characters.size()) >= least_peak;
  return fit ? drawings : Drawings{};
}

// Pearson's correlation of two drawings.
double correlation(std::span<const std::uint8_t> a, std::span<const double> b) {
  double sum_a = 0, sum_b = 0, sum_aa = 0, sum_bb = 0, sum_ab = 0;
  for (std::size_t i = 0; i < pixels; ++i) {
    sum_a += a[i];
    sum_b += b[i];
    sum_aa += static_cast<double>(a[i]) * a[i];
    sum_bb += b[i] * b[i];
    sum_ab += a[i] * b[i];
  }
  constexpr auto n = static_cast<double>(pixels);
  const double variance = (sum_aa - sum_a * sum_a / n) * (sum_bb - sum_b * sum_b / n);
  return variance > 0 ? (sum_ab - sum_a * sum_b / n) / std::sqrt(variance) : 0;
}

double likeness(const Drawings& drawings, std::span<const double> mean, std::size_t characters) {
  double sum = 0;
  for (std::size_t c = 0; c < characters; ++c) {
    sum += correlation(drawing(drawings, c), mean.subspan(c * pixels, pixels));
  }
  return sum / static_cast<double>(characters);
}

std::vector<double> mean_drawings(const std::vector<Drawings>& fonts, std::size_t values) {
  std::vector<double> mean(values);
  for (const Drawings& drawings : fonts) {
    for (std::size_t i = 0; i < drawings.size(); ++i) mean[i] += drawings[i];
  }
  return mean;  // a sum in fact: correlation does not mind the scale
}

}  // namespace

std::vector<fs::path> find_font_files(const std::vector<fs::path>& folders) {
  std::vector<fs::path> files;
  for (const fs::path& folder : folders) {
    std::error_code error;  // folders that are missing or closed hold no fonts for us
    const auto lenient = fs::directory_options::skip_permission_denied;
    for (fs::recursive_directory_iterator it(folder, lenient, error), end; !error && it != end;
         it.increment(error)) {
      const std::string extension = it->path().extension().string();
      std::error_code ignored;
      if ((extension == ".ttf" || extension == ".otf") && it->is_regular_file(ignored)) {
        files.push_back(it->path());
      }
    }
  }
  std::ranges::sort(files);
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

std::vector<fs::path> choose_fonts(const std::vector<fs::path>& files,
                                   std::string_view characters) {
  std::vector<Drawings> fonts(files.size());
  const auto draw_some = [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      fonts[i] = draw_characters(files[i], characters);
    }
  };
  at::parallel_for(0, static_cast<std::int64_t>(files.size()), 1, draw_some);
  std::set<Drawings> seen;
  for (Drawings& drawings : fonts) {
    if (!drawings.empty() && !seen.insert(drawings).second) drawings.clear();
  }
  const std::vector<double> mean = mean_drawings(fonts, characters.size() * pixels);
  std::vector<fs::path> chosen;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (fonts[i].empty()) continue;
    if (likeness(fonts[i], mean, characters.size()) >= least_likeness) chosen.push_back(files[i]);
  }
  return chosen;
}

}  // namespace calor::data
