// The checksums of atomic_file.h: XXH3 with 128 bits, in its canonical (big-endian) order, as
// xxhsum -H128 prints it.
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <memory>
#include <new>

#include "calor/io/atomic_file.h"
#include "calor/io/file.h"

namespace calor::io {
namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 20;

std::string hexadecimal(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  std::string text;
  for (const unsigned char byte : canonical.digest) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace

std::string checksum(std::span<const std::byte> bytes) {
  return hexadecimal(XXH3_128bits(bytes.data(), bytes.size()));
}

struct RunningChecksum::State {
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> hash{XXH3_createState()};
};

RunningChecksum::RunningChecksum() : state_(std::make_unique<State>()) {
  if (!state_->hash) throw std::bad_alloc();
  XXH3_128bits_reset(state_->hash.get());
}

RunningChecksum::~RunningChecksum() = default;

void RunningChecksum::add(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_->hash.get(), bytes.data(), bytes.size());
}

std::string RunningChecksum::text() const {
  return hexadecimal(XXH3_128bits_digest(state_->hash.get()));
}

std::string checksum_of_file(const std::filesystem::path& path) {
  const File file = File::open_to_read(path);
  RunningChecksum running;
  std::vector<std::byte> piece(piece_bytes);
  const std::uint64_t size = file.size();
  for (std::uint64_t offset = 0; offset < size;) {
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(piece_bytes, size - offset));
    file.read_exactly(offset, std::span(piece).first(length));
    running.add(std::span(piece).first(length));
    offset += length;
  }
  return running.text();
}

}  // namespace calor::io
