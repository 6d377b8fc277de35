// NumPy's legacy generator, numpy.random.RandomState(seed): the 32-bit Mersenne Twister MT19937
// (Matsumoto and Nishimura, 1998) and the three ways in which environments draw from it. Only so
// that a seed means the same start as in the published evaluations; everything else in Calor draws
// from calor/core/random.h.
#pragma once

#include <cstdint>
#include <optional>
#include <random>

namespace calor::policy {

class NumpyRandom {
 public:
  // RandomState(seed).
  explicit NumpyRandom(std::uint32_t seed) : words_(seed) {}

  // random_sample(): 53 random bits in [0, 1).
  double uniform();
  // randint(low, high): low <= result < high, for low < high. Words, cut to as many bits as high -
  // 1
  // - low has, are drawn until one is in range.
  std::int64_t integer(std::int64_t low, std::int64_t high);
  // randn(): standard normal by the polar method (Marsaglia and Bray, 1964), which makes two and
  // keeps one of them for the next call.
  double normal();

 private:
  std::mt19937 words_;  // the standard's seeding is NumPy's of an integer
  std::optional<double> spare_normal_;
};

}  // namespace calor::policy
