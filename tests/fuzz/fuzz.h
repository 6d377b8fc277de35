// Structure-aware mutation fuzzing without a fuzzing engine: from a fixed seed, good files are
// damaged in ways that reach deep into a parser, and each result must be accepted or end in a
// calor::Error. The damage is random, the run is not: a failure prints the number that repeats it.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "calor/core/error.h"

namespace calor::fuzz {

using Bytes = std::string;

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  // 0 .. n - 1
  std::size_t below(std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(random_() % n); }

  // One to four kinds of damage, one after the other.
  Bytes mutate(Bytes bytes, const Bytes& other) {
    for (std::size_t times = 1 + below(4); times > 0; --times) damage(bytes, other);
    return bytes;
  }

 private:
  void damage(Bytes& bytes, const Bytes& other) {
    const std::size_t at = below(bytes.size());
    const std::size_t length = 1 + below(1 + below(std::min<std::size_t>(bytes.size(), 64)));
    switch (below(11)) {
      case 0:
        flip_bit(bytes, at);
        break;
      case 1:
        if (!bytes.empty()) bytes[at] = static_cast<char>(random_());
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.erase(at, length);
        break;
      case 4:
        bytes.insert(at, bytes.substr(at, length));
        break;
      case 5:
        bytes.insert(at, length, static_cast<char>(random_()));
        break;
      case 6:
        overwrite(bytes, at, number(1U << below(4)));
        break;
      case 7:
        overwrite(bytes, below(std::min<std::size_t>(bytes.size(), 32)), number(4));
        break;
      case 8:
        replace_decimal(bytes);
        break;
      case 9:
        splice(bytes, at, other);
        break;
      default:
        overwrite(bytes, at, bytes.substr(below(bytes.size()), length));
        break;
    }
  }

  static void flip_bit_of(char& c, std::size_t bit) { c = static_cast<char>(c ^ (1 << bit)); }
  void flip_bit(Bytes& bytes, std::size_t at) {
    if (!bytes.empty()) flip_bit_of(bytes[at], below(8));
  }

  static void overwrite(Bytes& bytes, std::size_t at, const Bytes& with) {
    for (std::size_t i = 0; i < with.size() && at + i < bytes.size(); ++i) bytes[at + i] = with[i];
  }

  // A length or size that parsers trip over, in either byte order.
  Bytes number(std::size_t width) {
    static constexpr std::array<std::uint64_t, 16> traps{0,
                                                         1,
                                                         2,
                                                         7,
                                                         8,
                                                         0x7f,
                                                         0xff,
                                                         0x100,
                                                         0x7fff,
                                                         0xffff,
                                                         0x10000,
                                                         0x7fffffff,
                                                         0xffffffff,
                                                         0x100000000,
                                                         0x7fffffffffffffff,
                                                         0xffffffffffffffff};
    std::uint64_t value = traps[below(traps.size())] + below(3) - 1;
    Bytes text;
    for (std::size_t i = 0; i < width; ++i, value >>= 8) {
      text.push_back(static_cast<char>(value & 0xff));
    }
    return below(2) == 0 ? text : Bytes(text.rbegin(), text.rend());
  }

  // Text formats: another number in the place of one.
  void replace_decimal(Bytes& bytes) {
    static constexpr std::array<std::string_view, 14> traps{"0",
                                                            "1",
                                                            "-1",
                                                            "00",
                                                            "1.5",
                                                            "1e9",
                                                            "255",
                                                            "65536",
                                                            "2147483648",
                                                            "4294967296",
                                                            "4194305",
                                                            "211106198978564",
                                                            "9223372036854775808",
                                                            "18446744073709551616"};
    constexpr std::string_view digits = "0123456789";
    const std::size_t begin = bytes.find_first_of(digits, below(bytes.size()));
    if (begin == Bytes::npos) return;
    const std::size_t end = std::min(bytes.find_first_not_of(digits, begin), bytes.size());
    bytes.replace(begin, end - begin, traps[below(traps.size())]);
  }

  // The head of one good file with the tail of another.
  void splice(Bytes& bytes, std::size_t at, const Bytes& other) {
    bytes.resize(at);
    bytes += other.substr(below(other.size()));
  }

  std::mt19937_64 random_;
};

struct Target {
  std::vector<Bytes> good;
  std::function<void(const Bytes&)> parse;
  // Makes outer checksums and lengths right again, so that the damage gets past them.
  std::function<Bytes(const Bytes&)> repair = [](const Bytes& bytes) { return bytes; };
};

// Runs `rounds` mutations; half of them are repaired.
inline void run(const Target& target, int rounds) {
  for (const Bytes& good : target.good) ASSERT_NO_THROW(target.parse(good));
  int accepted = 0;
  for (int round = 0; round < rounds; ++round) {
    Mutator mutator(static_cast<std::uint64_t>(round));
    const Bytes& from = target.good[mutator.below(target.good.size())];
    const Bytes& other = target.good[mutator.below(target.good.size())];
    Bytes bytes = mutator.mutate(from, other);
    if (round % 2 == 0) bytes = target.repair(bytes);
    try {
      target.parse(bytes);
      ++accepted;
    } catch (const Error&) {
    } catch (const std::exception& error) {
      ADD_FAILURE() << "round " << round << " ended in " << error.what();
    }
  }
  ::testing::Test::RecordProperty("accepted", accepted);
}

}  // namespace calor::fuzz
