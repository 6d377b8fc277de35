#include "calor/policy/numpy_random.h"

#include <bit>
#include <cmath>

namespace calor::policy {

double NumpyRandom::uniform() {
  const auto high = static_cast<double>(words_() >> 5);   // 27 bits
  const auto low = static_cast<double>(words_() >> 6);    // 26 bits
  return (high * 67108864.0 + low) / 9007199254740992.0;  // (2^26 high + low) / 2^53
}

std::int64_t NumpyRandom::integer(std::int64_t low, std::int64_t high) {
  // Differences and sums without sign, where they wrap instead of overflowing.
  const auto base = static_cast<std::uint64_t>(low);
  const std::uint64_t range = static_cast<std::uint64_t>(high) - base - 1;
  if (range == 0) return low;  // no word is drawn
  const std::uint64_t mask = ~std::uint64_t{0} >> std::countl_zero(range);
  const bool one_word = range <= 0xFFFFFFFFU;
  std::uint64_t value = 0;
  do {
    value = words_();
    if (!one_word) value = value << 32 | words_();
    value &= mask;
  } while (value > range);
  return static_cast<std::int64_t>(base + value);
}

double NumpyRandom::normal() {
  if (spare_normal_) {
    const double kept = *spare_normal_;
    spare_normal_.reset();
    return kept;
  }
  double x = 0, y = 0, square = 0;
  do {
    x = 2 * uniform() - 1;
    y = 2 * uniform() - 1;
    square = x * x + y * y;
  } while (square >= 1 || square == 0);
  const double factor = std::sqrt(-2 * std::log(square) / square);
  spare_normal_ = factor * x;
  return factor * y;
}

}  // namespace calor::policy
