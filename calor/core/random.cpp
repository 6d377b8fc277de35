#include "calor/core/random.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <numbers>
#include <numeric>

namespace calor {
namespace {

// The finaliser of SplitMix64 (Steele, Lea, Flood, 2014): a bijection that mixes all bits.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

std::array<std::uint32_t, 4> block(RandomKey key, std::uint64_t index) {
  return philox(
      {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), 0, 0},
      {static_cast<std::uint32_t>(key.value), static_cast<std::uint32_t>(key.value >> 32)});
}

// 53 random bits, centred in their cell: never 0, never 1.
double uniform_double(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = ((std::uint64_t{high} << 32) | low) >> 12;
  return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}

// Four 32-bit words make two pairs of fp32 normals or one pair of fp64 normals.
void normals(const std::array<std::uint32_t, 4>& words, std::array<float, 4>& out) {
  for (std::size_t pair = 0; pair < 2; ++pair) {
    const float u = (static_cast<float>(words[2 * pair] >> 8) + 0.5F) * 0x1p-24F;
    const float angle =
        2 * std::numbers::pi_v<float> * (static_cast<float>(words[2 * pair + 1] >> 8) * 0x1p-24F);
    const float radius = std::sqrt(-2 * std::log(u));
    out[2 * pair] = radius * std::cos(angle);
    out[2 * pair + 1] = radius * std::sin(angle);
  }
}

void normals(const std::array<std::uint32_t, 4>& words, std::array<double, 2>& out) {
  const double u = uniform_double(words[0], words[1]);
  const double angle = 2 * std::numbers::pi * uniform_double(words[2], words[3]);
  const double radius = std::sqrt(-2 * std::log(u));
  out = {radius * std::cos(angle), radius * std::sin(angle)};
}

template <class T, std::size_t per_block>
void fill_normal_blocks(RandomKey key, std::span<T> out) {
  std::array<T, per_block> values{};
  for (std::size_t start = 0; start < out.size(); start += per_block) {
    normals(block(key, start / per_block), values);
    for (std::size_t i = 0; i < per_block && start + i < out.size(); ++i)
      out[start + i] = values[i];
  }
}

}  // namespace

RandomKey RandomKey::child(std::uint64_t index) const { return {mix(value ^ mix(index))}; }

std::vector<RandomKey> RandomKey::children(std::int64_t first, std::int64_t count) const {
  std::vector<RandomKey> keys;
  keys.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = first; i < first + count; ++i) {
    keys.push_back(child(static_cast<std::uint64_t>(i)));
  }
  return keys;
}

RandomKey random_key(std::uint64_t seed, RandomUse use) {
  return RandomKey{mix(seed)}.child(static_cast<std::uint64_t>(use));
}

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

void fill_uniform(RandomKey key, std::span<double> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto words = block(key, i / 2);
    const std::size_t half = 2 * (i % 2);
    out[i] = uniform_double(words[half], words[half + 1]);
  }
}

void fill_normal(RandomKey key, std::span<float> out) { fill_normal_blocks<float, 4>(key, out); }

void fill_normal(RandomKey key, std::span<double> out) { fill_normal_blocks<double, 2>(key, out); }

at::Tensor normal_by_item(std::span<const RandomKey> keys, at::IntArrayRef item_shape,
                          at::Device device) {
  std::vector<std::int64_t> shape{static_cast<std::int64_t>(keys.size())};
  shape.insert(shape.end(), item_shape.begin(), item_shape.end());
  at::Tensor noise = at::empty(shape, at::kFloat);
  const auto n = static_cast<std::int64_t>(keys.size());
  const auto item = n == 0 ? 0 : static_cast<std::size_t>(noise.numel() / n);
  float* data = noise.data_ptr<float>();
  at::parallel_for(0, n, 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      fill_normal(keys[i], std::span(data + i * item, item));
    }
  });
  return noise.to(device);
}

void seed_device(RandomKey key, at::Device device) {
  at::Generator generator = at::globalContext().defaultGenerator(device);
  generator.set_current_seed(key.value);
}

std::vector<std::int64_t> random_permutation(RandomKey key, std::int64_t n) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::uint64_t i = order.size(); i > 1; --i) {
    const auto words = block(key, i);
    // The remainder's bias is below i / 2^64.
    const std::uint64_t j = ((std::uint64_t{words[0]} << 32) | words[1]) % i;
    std::swap(order[i - 1], order[j]);
  }
  return order;
}

}  // namespace calor
