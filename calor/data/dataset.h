// Sets of pictures behind one interface, whatever file they come from.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace calor::data {

// What a model must know of the pictures it is made for; it travels in the model file.
struct ImageSpec {
  std::int64_t channels = 0;  // 1 (grey) or 3 (RGB)
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<std::string> class_names;  // empty: no labels

  std::int64_t classes() const { return static_cast<std::int64_t>(class_names.size()); }
  bool operator==(const ImageSpec&) const = default;
};

class ImageDataset {
 public:
  virtual ~ImageDataset() = default;

  virtual const ImageSpec& spec() const = 0;
  virtual std::int64_t size() const = 0;

  // Item i as uint8 [channels, height, width]. Safe to call from several threads.
  virtual at::Tensor picture(std::int64_t i) const = 0;
  // The class of item i, 0 where the set has no labels.
  virtual std::int64_t label(std::int64_t i) const = 0;

  // A checksum of what the set holds (contents for sets in memory; names, sizes and labels for
  // folders): a resumed run must find the set that it began with.
  virtual std::string fingerprint() const = 0;
};

// A set held in memory.
std::shared_ptr<ImageDataset> make_tensor_dataset(ImageSpec spec, at::Tensor pictures,
                                                  at::Tensor labels);

// Where the pixels of a network live: uint8 0..255 <-> fp32 [-1, 1], x = u / 127.5 - 1.
at::Tensor to_unit_range(const at::Tensor& bytes);
// Rounds and clamps; any shape.
at::Tensor to_bytes(const at::Tensor& unit_range);

}  // namespace calor::data
