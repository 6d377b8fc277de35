// Sets of items in fp32: rows of tables, points, and the particles between the stages of a chain.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>
#include <utility>

#include "calor/core/error.h"
#include "calor/data/dataset.h"
#include "calor/io/atomic_file.h"
#include "calor/io/bytes.h"

namespace calor::data {
namespace {

class FloatDataset final : public Dataset {
 public:
  FloatDataset(ItemSpec spec, at::Tensor items, at::Tensor labels, at::Tensor condition,
               ObservedPictures pictures)
      : spec_(std::move(spec)),
        items_(std::move(items)),
        labels_(std::move(labels)),
        condition_(std::move(condition)),
        pictures_(std::move(pictures)) {}

  const ItemSpec& spec() const override { return spec_; }
  std::int64_t size() const override { return items_.size(0); }
  std::int64_t label(std::int64_t i) const override {
    return labels_.defined() ? labels_.const_data_ptr<std::int64_t>()[i] : 0;
  }

  void fill(Batch& batch, std::int64_t /*first_position*/, std::uint64_t /*seed*/,
            bool /*flip*/) const override {
    const auto count = static_cast<std::int64_t>(batch.indices.size());
    batch.items = at::empty({count, spec_.channels, spec_.height, spec_.width}, at::kFloat);
    if (items_.scalar_type() == at::kHalf) {
      gather<at::Half>(items_, batch.indices, batch.items);
    } else {
      gather<float>(items_, batch.indices, batch.items);
    }
    batch.labels = at::empty({count}, at::kLong);
    auto* labels = batch.labels.data_ptr<std::int64_t>();
    for (const std::int64_t i : batch.indices) *labels++ = label(i);
    if (pictures_.frames.defined()) batch.pictures = gather_pictures(batch.indices);
    if (!condition_.defined()) return;
    batch.condition = at::empty({count, spec_.condition_width}, at::kFloat);
    gather<float>(condition_, batch.indices, batch.condition);
  }

  ObservedPictures observed() const override { return pictures_; }

  std::string fingerprint() const override {
    std::string parts =
        fmt::format("{} {}", fmt::join(items_.sizes(), "x"), io::checksum(io::bytes_of(items_)));
    for (const at::Tensor& tensor : {labels_, condition_}) {
      parts += ' ' + (tensor.defined() ? io::checksum(io::bytes_of(tensor)) : std::string("-"));
    }
    if (pictures_.frames.defined()) {
      parts +=
          fmt::format(" {} {}", pictures_.checksum, io::checksum(io::bytes_of(pictures_.rows)));
    }
    for (const std::string& name : spec_.class_names) parts += '\n' + name;
    return io::checksum(io::as_bytes(parts));
  }

 private:
  at::Tensor gather_pictures(std::span<const std::int64_t> indices) const {
    const auto& [count, channels, height, width] = spec_.observed;
    const at::Tensor out = at::empty(
        {static_cast<std::int64_t>(indices.size()), count, height, width, channels}, at::kByte);
    const std::int64_t bytes = channels * height * width;
    const auto* source = pictures_.frames.const_data_ptr<std::uint8_t>();
    const auto* rows = pictures_.rows.const_data_ptr<std::int64_t>();
    auto* target = out.data_ptr<std::uint8_t>();
    for (const std::int64_t i : indices) {
      for (std::int64_t k = 0; k < count; ++k) {
        target = std::copy_n(source + rows[i * count + k] * bytes, bytes, target);
      }
    }
    return out.permute({0, 1, 4, 2, 3});
  }

  template <class T>
  static void gather(const at::Tensor& from, std::span<const std::int64_t> indices,
                     const at::Tensor& to) {
    const std::int64_t numbers = to.numel() / to.size(0);
    const T* source = from.const_data_ptr<T>();
    auto* target = to.data_ptr<float>();
    for (const std::int64_t i : indices)
      target = std::copy_n(source + i * numbers, numbers, target);
  }

  ItemSpec spec_;
  at::Tensor items_, labels_, condition_;
  ObservedPictures pictures_;
};

void require(bool holds, const std::string& expected, const at::Tensor& found) {
  if (holds) return;
  throw Error(expected,
              found.defined() ? fmt::format("{} [{}]", c10::toString(found.scalar_type()),
                                            fmt::join(found.sizes(), ", "))
                              : "no tensor",
              "give one entry for each item, in the same order");
}

void check_pictures(const ObservedPictures& pictures, const ObservedShape& shape, std::int64_t n) {
  const auto& [count, channels, height, width] = shape;
  const at::Tensor& frames = pictures.frames;
  require(frames.defined() && frames.scalar_type() == at::kByte && frames.is_contiguous() &&
              frames.dim() == 4 &&
              frames.sizes().slice(1) == at::IntArrayRef{height, width, channels},
          fmt::format("pictures [steps, {}, {}, {}] in uint8", height, width, channels), frames);
  const at::Tensor& rows = pictures.rows;
  require(rows.defined() && rows.scalar_type() == at::kLong && rows.is_contiguous() &&
              rows.sizes() == at::IntArrayRef{n, count} && rows.ge(0).all().item<bool>() &&
              rows.lt(frames.size(0)).all().item<bool>(),
          fmt::format("places of pictures [{}, {}], from 0 to {}", n, count, frames.size(0) - 1),
          rows);
}

}  // namespace

std::shared_ptr<Dataset> make_float_dataset(ItemSpec spec, at::Tensor items, at::Tensor labels,
                                            at::Tensor condition, ObservedPictures pictures) {
  const bool whole = items.defined() && items.dim() >= 1 && items.size(0) > 0 &&
                     items.numel() == items.size(0) * spec.numbers();
  const bool stored =
      whole && (items.scalar_type() == at::kFloat || items.scalar_type() == at::kHalf);
  require(stored && items.is_contiguous(),
          fmt::format("at least one item of {} numbers in fp32 or fp16", spec.numbers()), items);
  const std::int64_t n = items.size(0);
  if (spec.class_names.empty()) labels = at::Tensor();
  require(spec.class_names.empty() ||
              (labels.defined() && labels.scalar_type() == at::kLong && labels.numel() == n),
          fmt::format("one label for each of {} items (int64)", n), labels);
  require(spec.condition_width == 0 ||
              (condition.defined() && condition.dim() == 2 && condition.size(0) == n &&
               condition.size(1) == spec.condition_width && condition.scalar_type() == at::kFloat),
          fmt::format("conditions [{}, {}] in fp32", n, spec.condition_width), condition);
  if (spec.condition_width == 0) condition = at::Tensor();
  if (condition.defined()) condition = condition.contiguous();
  if (spec.observed.count > 0) check_pictures(pictures, spec.observed, n);
  return std::make_shared<FloatDataset>(std::move(spec), std::move(items), std::move(labels),
                                        std::move(condition), std::move(pictures));
}

}  // namespace calor::data
