#include "calor/data/dequantise.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "calor/core/error.h"

namespace calor::data {
namespace {

class Dequantised final : public Dataset {
 public:
  explicit Dequantised(std::shared_ptr<const Dataset> pictures)
      : pictures_(std::move(pictures)), spec_(pictures_->spec()) {
    spec_.dequantised = true;
  }

  const ItemSpec& spec() const override { return spec_; }
  std::int64_t size() const override { return pictures_->size(); }
  std::int64_t label(std::int64_t i) const override { return pictures_->label(i); }

  void fill(Batch& batch, std::int64_t first_position, std::uint64_t seed,
            bool flip) const override {
    pictures_->fill(batch, first_position, seed, flip);
    const RandomKey key = random_key(seed, RandomUse::dequantisation);
    std::vector<RandomKey> keys;
    for (std::int64_t k = 0; k < batch.items.size(0); ++k) {
      keys.push_back(key.child(static_cast<std::uint64_t>(first_position + k)));
    }
    batch.items = dequantise(batch.items, keys, level_cells(spec_));
  }

  std::string fingerprint() const override { return "dequantised " + pictures_->fingerprint(); }

 private:
  std::shared_ptr<const Dataset> pictures_;
  ItemSpec spec_;
};

}  // namespace

LevelCells level_cells(const ItemSpec& pictures) {
  if (pictures.dequantised) return {.scale = 2.0 / 256, .shift = -1};
  return {.scale = 2.0 / 255, .shift = -1 - 1.0 / 255};
}

at::Tensor dequantise(const at::Tensor& bytes, std::span<const RandomKey> keys,
                      const LevelCells& cells) {
  if (!bytes.defined() || bytes.scalar_type() != at::kByte || bytes.dim() < 1 ||
      bytes.size(0) != static_cast<std::int64_t>(keys.size())) {
    throw Error(fmt::format("bytes (uint8) of {} items", keys.size()),
                bytes.defined() ? fmt::format("{}, {} numbers", c10::toString(bytes.scalar_type()),
                                              bytes.numel())
                                : "no tensor",
                "give pictures of 8 bits and one key for each");
  }
  const at::Tensor levels = bytes.cpu().contiguous();
  at::Tensor out = at::empty(levels.sizes(), at::kFloat);
  const auto* level = levels.const_data_ptr<std::uint8_t>();
  auto* number = out.data_ptr<float>();
  std::vector<double> noise(keys.empty() ? 0
                                         : static_cast<std::size_t>(levels.numel()) / keys.size());
  for (const RandomKey key : keys) {
    fill_uniform(key, noise);
    for (const double n : noise) {
      *number++ = static_cast<float>(cells.scale * (*level++ + n) + cells.shift);
    }
  }
  return out;
}

std::shared_ptr<const Dataset> with_dequantised(std::shared_ptr<const Dataset> pictures) {
  return std::make_shared<Dequantised>(std::move(pictures));
}

at::Tensor to_bytes(const at::Tensor& items, const ItemSpec& pictures) {
  if (!pictures.dequantised) return to_bytes(items);
  const LevelCells cells = level_cells(pictures);
  return at::nan_to_num(items.to(at::kFloat).sub(cells.shift).div_(cells.scale), 0.0)
      .floor_()
      .clamp_(0.0, 255.0)
      .to(at::kByte);
}

}  // namespace calor::data
