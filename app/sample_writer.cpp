#include "app/sample_writer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "calor/core/error.h"
#include "calor/data/dequantise.h"
#include "calor/data/point_sets.h"
#include "calor/io/atomic_file.h"
#include "calor/io/csv.h"
#include "calor/io/npy.h"
#include "calor/io/picture.h"
#include "calor/io/picture_pixels.h"
#include "calor/report/density_plot.h"
#include "calor/report/grid.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t scatter_side = 512;
constexpr std::int64_t grid_side = 48;  // of a picture in a grid, at least

bool one_of(const std::string& extension, std::initializer_list<const char*> known) {
  return std::ranges::any_of(known, [&](const char* e) { return extension == e; });
}

}  // namespace

SampleWriter::SampleWriter(std::string out, const data::ItemSpec& items,
                           std::optional<data::TableCodecs> codecs)
    : out_(std::move(out)),
      extension_(fs::path(out_).extension().string()),
      items_(items),
      codecs_(std::move(codecs)) {
  check();
}

void SampleWriter::check() const {
  if (items_.kind == data::ItemKind::pictures) {
    if (one_of(extension_, {"", ".png", ".npy"})) return;
    throw usage_error(
        "--out FILE.png, FILE.npy or a folder", fmt::format("'{}'", out_),
        ".png makes a grid, .npy an array [N, C, H, W] in [-1, 1], a folder single PNGs");
  }
  if (codecs_) {
    if (one_of(extension_, {".csv", ".tsv", ".npy"})) return;
    throw usage_error("--out FILE.csv, FILE.tsv or FILE.npy for a model of a table",
                      fmt::format("'{}'", out_), "name the file with one of these endings");
  }
  if (one_of(extension_, {".csv", ".npy"})) return;
  if (extension_ == ".png" && items_.numbers() == 2) return;
  throw usage_error("--out FILE.png, FILE.npy or FILE.csv for a model of points",
                    fmt::format("'{}'", out_), "name the file with one of these endings");
}

bool SampleWriter::fits(std::int64_t count, std::int64_t columns) const {
  const auto [height, width] =
      report::tiled_size(count, items_.height, items_.width, columns, grid_side);
  constexpr auto most_side = static_cast<std::int64_t>(io::picture_max_side);
  constexpr auto most_pixels = static_cast<std::int64_t>(io::picture_max_pixels);
  return height <= most_side && width <= most_side && height * width <= most_pixels;
}

void SampleWriter::check_count(std::int64_t count) const {
  if (items_.kind != data::ItemKind::pictures) return;
  if (extension_ == ".png") {
    require_usage(fits(count, 0), "so many pictures as one grid can hold",
                  fmt::format("--count {}", count), "name a folder, or a file .npy");
  }
  std::error_code ignored;
  if (!extension_.empty() || !fs::is_directory(out_, ignored)) return;
  for (const auto& entry : fs::directory_iterator(out_, ignored)) {
    const std::string name = entry.path().stem().string();
    const bool number =
        name.size() == 6 && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
    if (entry.path().extension() != ".png" || (number && std::stoll(name) < count)) continue;
    throw usage_error("a folder whose pictures are all written anew",
                      fmt::format("{}: {} is another one", out_, entry.path().filename().string()),
                      "empty the folder, or name another");
  }
}

void SampleWriter::write(const at::Tensor& items, std::int64_t columns) const {
  if (items_.kind == data::ItemKind::pictures) return write_pictures(items, columns);
  const at::Tensor rows = items.flatten(1);
  if (!codecs_) return write_points(rows);
  data::write_table(out_, codecs_->targets.decode(rows.to(at::kDouble)));
}

void SampleWriter::write_pictures(const at::Tensor& items, std::int64_t columns) const {
  const fs::path path = out_;
  if (extension_ == ".npy") return io::write_npy(path, items);
  const at::Tensor bytes = data::to_bytes(items, items_);
  if (extension_ == ".png") {
    const std::int64_t fitting = fits(bytes.size(0), columns) ? columns : 0;
    return io::write_png(path, report::tile(bytes, fitting, grid_side));
  }
  io::make_folder(path);
  for (std::int64_t i = 0; i < bytes.size(0); ++i) {
    io::write_png(path / fmt::format("{:06}.png", i), bytes[i]);
  }
}

void SampleWriter::write_points(const at::Tensor& rows) const {
  if (extension_ == ".npy") return io::write_npy(out_, rows);
  if (extension_ == ".png") {
    return io::write_png(out_, report::scatter_picture(rows, data::point_box, scatter_side));
  }
  std::vector<std::string> header;
  for (std::int64_t k = 0; k < rows.size(1); ++k) header.push_back(fmt::format("x{}", k + 1));
  const at::Tensor plain = rows.contiguous();
  const float* numbers = plain.const_data_ptr<float>();
  const auto width = static_cast<std::size_t>(rows.size(1));
  io::write_csv(out_, header, static_cast<std::size_t>(rows.size(0)), width,
                [&](std::size_t row, std::size_t column) {
                  return fmt::format("{}", numbers[row * width + column]);
                });
}

}  // namespace calor::app
