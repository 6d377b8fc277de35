// Random streams with explicit keys and no global state: Philox4x32-10 (Salmon et al., "Parallel
// random numbers: as easy as 1, 2, 3", 2011). A number is a pure function of (key, index), so noise
// can be drawn for item 17 alone, in any order, on any number of threads, always the same.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace calor {

// The key of a stream. Streams are derived, never advanced: key.child(epoch).child(item).
struct RandomKey {
  std::uint64_t value = 0;

  // A key that is, for all practical purposes, independent of this one and of its other children.
  RandomKey child(std::uint64_t index) const;
  // The children `first`, `first` + 1, ...: one for each of `count` items.
  std::vector<RandomKey> children(std::int64_t first, std::int64_t count) const;
};

// What the streams of one seed are used for, so that no two uses share numbers.
enum class RandomUse : std::uint64_t {
  initial_weights = 1,
  data_order = 2,
  flip = 3,
  training_time = 4,
  training_noise = 5,
  label_dropout = 6,
  dropout = 7,
  sampling_noise = 8,
  glyphs = 9,
  test = 10,
  validation = 11,
  particle_noise = 12,
  dequantisation = 13,
  split = 14,
  points = 15,
  step_noise = 16,
  later_dequantisation = 17,  // of the draws after the first
  measurement_noise = 18,
  divergence_probe = 20,
};

RandomKey random_key(std::uint64_t seed, RandomUse use);

// One block of Philox4x32-10: four 32-bit words for a 128-bit counter and a 64-bit key.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

// Fills `out` with the stream's numbers from its start: uniform in the open interval (0, 1), or
// standard normal (Box-Muller). Longer spans of one key begin with the shorter ones' numbers.
void fill_uniform(RandomKey key, std::span<double> out);
void fill_normal(RandomKey key, std::span<float> out);
void fill_normal(RandomKey key, std::span<double> out);

// A standard normal tensor of `shape` [n, ...] on `device`, fp32: item i along the first dimension
// is the stream `keys[i]`, so that it does not depend on who shares its batch.
at::Tensor normal_by_item(std::span<const RandomKey> keys, at::IntArrayRef item_shape,
                          at::Device device);

// Sets the device's own generator from a key: for numbers that a device draws by itself (dropout,
// the noise of training on a GPU), a function of the key alone on one kind of device.
void seed_device(RandomKey key, at::Device device);

// A permutation of 0..n-1 (Fisher-Yates driven by the stream).
std::vector<std::int64_t> random_permutation(RandomKey key, std::int64_t n);

}  // namespace calor
