// Sets of pictures or rows behind one interface, whatever file they come from.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace calor::data {

// Pictures, or rows of numbers (points, tables): a row of d numbers is an item of d channels of one
// pixel, so that paths, losses and samplers are the same code for both.
enum class ItemKind { pictures, rows };

// Pictures that an item is conditioned on: of its last `count` observed steps, C bytes a pixel.
struct ObservedShape {
  std::int64_t count = 0;  // 0: none
  std::int64_t channels = 0, height = 0, width = 0;

  bool operator==(const ObservedShape&) const = default;
};

// What a model must know of the items it is made for; it travels in the model file.
struct ItemSpec {
  std::int64_t channels = 0;  // pictures: 1 (grey) or 3 (RGB); rows: d
  std::int64_t height = 0;    // rows: 1
  std::int64_t width = 0;
  std::vector<std::string> class_names;  // empty: no labels
  ItemKind kind = ItemKind::pictures;
  std::int64_t condition_width = 0;  // numbers that an item is conditioned on; 0: none
  bool dequantised = false;          // pictures: bytes made continuous (dequantise.h)
  ObservedShape observed = {};       // pictures that an item is conditioned on

  std::int64_t classes() const { return static_cast<std::int64_t>(class_names.size()); }
  std::int64_t numbers() const { return channels * height * width; }
  std::string shape_text() const;  // "3 x 32 x 32": channels, height, width
  bool operator==(const ItemSpec&) const = default;
};

// How the classes of two sets differ, in words: "10 classes and 7", "'boot' and 'shoe' as class 3";
// empty where they are the same in the same order.
std::string class_difference(const std::vector<std::string>& a, const std::vector<std::string>& b);

// Items of one training step.
struct Batch {
  std::int64_t step = 0;
  at::Tensor items;                   // uint8 or fp32 [batch, channels, height, width]
  at::Tensor labels;                  // int64 [batch]
  at::Tensor condition;               // fp32 [batch, condition_width], or undefined
  at::Tensor pictures = {};           // uint8 [batch, count, C, H, W] (ObservedShape), or undefined
  std::vector<std::int64_t> indices;  // of the items in the set
};

// The pictures that the items of a set are conditioned on, each held once: windows that overlap
// share them.
struct ObservedPictures {
  at::Tensor frames;     // uint8 [steps, H, W, C], or undefined
  at::Tensor rows;       // int64 [n, count]: the frames of each item, oldest first
  std::string checksum;  // of the frames, which are too many to be read at each checkpoint
};

class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual const ItemSpec& spec() const = 0;
  virtual std::int64_t size() const = 0;

  // The class of item i, 0 where the set has no labels.
  virtual std::int64_t label(std::int64_t i) const = 0;

  // The pictures that items are conditioned on, where the spec has some.
  virtual ObservedPictures observed() const { return {}; }

  // Items, labels, conditions and observed pictures of `batch.indices`, on the calling thread
  // alone. Position `first_position` + k of the run, and the seed, decide what is random about the
  // k-th (flips). Safe to call from several threads.
  virtual void fill(Batch& batch, std::int64_t first_position, std::uint64_t seed,
                    bool flip) const = 0;

  // A checksum of what the set holds (contents for sets in memory; names, sizes and labels for
  // folders): a resumed run must find the set that it began with.
  virtual std::string fingerprint() const = 0;
};

class ImageDataset : public Dataset {
 public:
  // Item i as uint8 [channels, height, width]. Safe to call from several threads.
  virtual at::Tensor picture(std::int64_t i) const = 0;

  void fill(Batch& batch, std::int64_t first_position, std::uint64_t seed,
            bool flip) const override;
};

// Items in fp32, or fp16 in memory and fp32 where they are used, [n, channels, height, width] or
// [n, d] for rows: particles, points, encoded rows. `labels` int64 [n], `condition` fp32 [n, c] and
// `pictures` where the spec has them. Nothing is copied.
std::shared_ptr<Dataset> make_float_dataset(ItemSpec spec, at::Tensor items, at::Tensor labels = {},
                                            at::Tensor condition = {},
                                            ObservedPictures pictures = {});

// Each picture of a set and, after all of them, each one mirrored left-right: 2 n items.
std::shared_ptr<const Dataset> with_mirrored(std::shared_ptr<const Dataset> pictures);

// A set held in memory.
std::shared_ptr<ImageDataset> make_tensor_dataset(ItemSpec spec, at::Tensor pictures,
                                                  at::Tensor labels);

// Where the pixels of a network live: uint8 0..255 <-> fp32 [-1, 1], x = u / 127.5 - 1.
at::Tensor to_unit_range(const at::Tensor& bytes);
// A batch's items as a network takes them: bytes to the unit range, fp32 as they are.
at::Tensor to_model_range(const at::Tensor& items);
// Rounds and clamps; any shape.
at::Tensor to_bytes(const at::Tensor& unit_range);

}  // namespace calor::data
