// Sets held in memory, and the two ways between bytes and the numbers that a network sees.
#include "calor/data/dataset.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "calor/core/error.h"
#include "calor/core/random.h"
#include "calor/io/atomic_file.h"
#include "calor/io/bytes.h"

namespace calor::data {
namespace {

class TensorDataset final : public ImageDataset {
 public:
  TensorDataset(ItemSpec spec, at::Tensor pictures, at::Tensor labels)
      : spec_(std::move(spec)), pictures_(std::move(pictures)), labels_(std::move(labels)) {}

  const ItemSpec& spec() const override { return spec_; }
  std::int64_t size() const override { return pictures_.size(0); }
  at::Tensor picture(std::int64_t i) const override { return pictures_.select(0, i); }

  std::int64_t label(std::int64_t i) const override {
    return labels_.defined() ? labels_.const_data_ptr<std::int64_t>()[i] : 0;
  }

  std::string fingerprint() const override {
    std::string parts = fmt::format("{} {} {}", fmt::join(pictures_.sizes(), "x"),
                                    io::checksum(io::bytes_of(pictures_)),
                                    labels_.defined() ? io::checksum(io::bytes_of(labels_)) : "-");
    for (const std::string& name : spec_.class_names) parts += '\n' + name;
    return io::checksum(std::as_bytes(std::span(parts)));
  }

 private:
  ItemSpec spec_;
  at::Tensor pictures_;  // uint8 [n, channels, height, width], contiguous
  at::Tensor labels_;    // int64 [n], or undefined
};

void mirror_rows(std::uint8_t* picture, std::int64_t rows, std::int64_t width) {
  for (std::int64_t row = 0; row < rows; ++row, picture += width) {
    std::reverse(picture, picture + width);
  }
}

bool is_flipped(RandomKey key, std::int64_t position) {
  double uniform = 0;
  fill_uniform(key.child(static_cast<std::uint64_t>(position)), {&uniform, 1});
  return uniform < 0.5;
}

at::Tensor checked_picture(const ImageDataset& set, std::int64_t i) {
  const ItemSpec& spec = set.spec();
  at::Tensor picture = set.picture(i).contiguous();
  const bool right = picture.scalar_type() == at::kByte &&
                     picture.sizes() == at::IntArrayRef({spec.channels, spec.height, spec.width});
  if (!right) {
    throw Error(
        fmt::format("pictures as uint8 [{}, {}, {}]", spec.channels, spec.height, spec.width),
        fmt::format("item {} is {} [{}]", i, c10::toString(picture.scalar_type()),
                    fmt::join(picture.sizes(), ", ")),
        "report this: the data set breaks its own promise");
  }
  return picture;
}

void check_pictures(const ItemSpec& spec, const at::Tensor& pictures) {
  const bool right = pictures.defined() && pictures.scalar_type() == at::kByte &&
                     pictures.dim() == 4 && pictures.size(0) > 0 &&
                     pictures.size(1) == spec.channels && pictures.size(2) == spec.height &&
                     pictures.size(3) == spec.width;
  if (right && (spec.channels == 1 || spec.channels == 3) && spec.height > 0 && spec.width > 0) {
    return;
  }
  throw Error(fmt::format("at least one picture as uint8 [n, {}, {}, {}], 1 or 3 channels",
                          spec.channels, spec.height, spec.width),
              pictures.defined() ? fmt::format("{} [{}]", c10::toString(pictures.scalar_type()),
                                               fmt::join(pictures.sizes(), ", "))
                                 : "no tensor",
              "convert the pictures to uint8 of that shape");
}

void check_labels(const ItemSpec& spec, const at::Tensor& labels, std::int64_t n) {
  if (labels.scalar_type() != at::kLong || labels.dim() != 1 || labels.size(0) != n) {
    throw Error(fmt::format("one label per picture: int64 [{}]", n),
                fmt::format("{} [{}]", c10::toString(labels.scalar_type()),
                            fmt::join(labels.sizes(), ", ")),
                "give the labels of the same items as the pictures, in the same order");
  }
  const auto low = labels.min().item<std::int64_t>();
  const auto high = labels.max().item<std::int64_t>();
  if (low < 0 || high >= spec.classes()) {
    throw Error(fmt::format("labels from 0 to {} (the set has {} classes)", spec.classes() - 1,
                            spec.classes()),
                fmt::format("labels from {} to {}", low, high),
                "number the classes from 0, or correct the class names");
  }
}

}  // namespace

std::string ItemSpec::shape_text() const {
  return fmt::format("{} x {} x {}", channels, height, width);
}

std::string class_difference(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  if (a.size() != b.size()) return fmt::format("{} classes and {}", a.size(), b.size());
  const auto [ours, theirs] = std::ranges::mismatch(a, b);
  if (ours == a.end()) return "";
  return fmt::format("'{}' and '{}' as class {}", *ours, *theirs, ours - a.begin());
}

void ImageDataset::fill(Batch& batch, std::int64_t first_position, std::uint64_t seed,
                        bool flip) const {
  const ItemSpec& s = spec();
  const auto count = static_cast<std::int64_t>(batch.indices.size());
  batch.items = at::empty({count, s.channels, s.height, s.width}, at::kByte);
  batch.labels = at::empty({count}, at::kLong);
  const RandomKey flip_key = random_key(seed, RandomUse::flip);
  const std::int64_t item_bytes = s.numbers();
  auto* out = batch.items.data_ptr<std::uint8_t>();
  auto* labels = batch.labels.data_ptr<std::int64_t>();
  for (std::int64_t k = 0; k < count; ++k, out += item_bytes) {
    const std::int64_t i = batch.indices[static_cast<std::size_t>(k)];
    const at::Tensor picture = checked_picture(*this, i);
    std::memcpy(out, picture.const_data_ptr<std::uint8_t>(), static_cast<std::size_t>(item_bytes));
    if (flip && is_flipped(flip_key, first_position + k)) {
      mirror_rows(out, s.channels * s.height, s.width);
    }
    labels[k] = label(i);
  }
}

namespace {

class Mirrored final : public Dataset {
 public:
  explicit Mirrored(std::shared_ptr<const Dataset> pictures) : pictures_(std::move(pictures)) {}

  const ItemSpec& spec() const override { return pictures_->spec(); }
  std::int64_t size() const override { return 2 * pictures_->size(); }
  std::int64_t label(std::int64_t i) const override {
    return pictures_->label(i % pictures_->size());
  }

  void fill(Batch& batch, std::int64_t first_position, std::uint64_t seed,
            bool /*flip*/) const override {
    const std::int64_t n = pictures_->size();
    const auto wanted = batch.indices;
    for (std::int64_t& i : batch.indices) i %= n;
    pictures_->fill(batch, first_position, seed, /*flip=*/false);
    batch.indices = wanted;
    for (std::size_t k = 0; k < wanted.size(); ++k) {
      if (wanted[k] < n) continue;
      at::Tensor item = batch.items[static_cast<std::int64_t>(k)];
      item.copy_(item.flip({-1}));
    }
  }

  std::string fingerprint() const override { return "mirrored " + pictures_->fingerprint(); }

 private:
  std::shared_ptr<const Dataset> pictures_;
};

}  // namespace

std::shared_ptr<const Dataset> with_mirrored(std::shared_ptr<const Dataset> pictures) {
  return std::make_shared<Mirrored>(std::move(pictures));
}

std::shared_ptr<ImageDataset> make_tensor_dataset(ItemSpec spec, at::Tensor pictures,
                                                  at::Tensor labels) {
  check_pictures(spec, pictures);
  pictures = pictures.cpu().contiguous();
  if (spec.class_names.empty()) {
    labels = at::Tensor();
  } else {
    if (!labels.defined()) labels = at::empty({0}, at::kLong);
    check_labels(spec, labels, pictures.size(0));
    labels = labels.cpu().contiguous();
  }
  return std::make_shared<TensorDataset>(std::move(spec), std::move(pictures), std::move(labels));
}

at::Tensor to_unit_range(const at::Tensor& bytes) {
  return bytes.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true).div_(127.5).sub_(1.0);
}

at::Tensor to_model_range(const at::Tensor& items) {
  return items.scalar_type() == at::kByte ? to_unit_range(items) : items;
}

at::Tensor to_bytes(const at::Tensor& unit_range) {
  // A number that is none has no brightness; black is at least defined (converting it is not).
  return at::nan_to_num(unit_range.to(at::kFloat).add(1.0).mul_(127.5), 0.0)
      .round_()
      .clamp_(0.0, 255.0)
      .to(at::kByte);
}

}  // namespace calor::data
