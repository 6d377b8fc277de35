#include "calor/train/particle_store.h"

#include <ATen/ATen.h>
#include <ATen/ops/from_file.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <sstream>

#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/io/atomic_file.h"
#include "calor/io/bytes.h"
#include "calor/io/file.h"

namespace calor::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Store {
  fs::path file;
  std::int64_t rows, row_bytes, chunk;
  std::string identity;
  at::ScalarType type;

  fs::path journal() const { return file.string() + ".journal"; }
  std::int64_t chunks() const { return (rows + chunk - 1) / chunk; }
  std::int64_t rows_of(std::int64_t c) const { return std::min(chunk, rows - c * chunk); }
};

// The checksum of one chunk of the file; empty where the file is shorter.
std::string chunk_checksum(const Store& store, std::int64_t c) {
  const auto length = static_cast<std::uint64_t>(store.rows_of(c) * store.row_bytes);
  const auto offset = static_cast<std::uint64_t>(c * store.chunk * store.row_bytes);
  const io::File file = io::File::open_to_read(store.file);
  if (file.size() < offset + length) return {};
  std::vector<std::byte> bytes(length);
  file.read_exactly(offset, bytes);
  return io::checksum(bytes);
}

Error foreign_store(const Store& store) {
  return {"particles of this run and of these weights",
          fmt::format("{} belongs to another run, or to other settings", store.file.string()),
          "remove it and its .journal to make it again"};
}

// How many chunks are whole on disk, by the journal and the checksums in it.
std::int64_t chunks_done(const Store& store) {
  std::error_code ignored;
  if (!fs::exists(store.journal(), ignored) || !fs::exists(store.file, ignored)) return 0;
  std::istringstream lines(io::read_text(store.journal()));
  std::string line;
  if (!std::getline(lines, line)) return 0;
  const json head = json::parse(line, nullptr, false);
  if (!head.is_object() || head.value("identity", "") != store.identity) {
    throw foreign_store(store);
  }
  std::int64_t done = 0;
  while (done < store.chunks() && std::getline(lines, line)) {
    const json entry = json::parse(line, nullptr, false);
    if (!entry.is_object() || entry.value("chunk", std::int64_t{-1}) != done) break;
    if (entry.value("checksum", "") != chunk_checksum(store, done)) break;
    ++done;
  }
  return done;
}

// Leaves the journal with the chunks that are whole, and the file cut to them.
void begin_journal(const Store& store, std::int64_t done) {
  std::string text = json{{"identity", store.identity}}.dump() + "\n";
  for (std::int64_t c = 0; c < done; ++c) {
    text += json{{"chunk", c}, {"checksum", chunk_checksum(store, c)}}.dump() + "\n";
  }
  io::write_file_atomically(store.journal(), text);
}

io::File open_store(const Store& store, std::int64_t done) {
  io::File file(store.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  const std::int64_t kept = done * store.chunk * store.row_bytes;
  if (!file.is_open() || ftruncate(file.descriptor(), kept) != 0 ||
      lseek(file.descriptor(), 0, SEEK_END) < 0) {
    io::throw_system_error("write", store.file, errno);
  }
  return file;
}

at::Tensor map_store(const Store& store, const data::ItemSpec& spec) {
  return at::from_file(store.file.string(), /*shared=*/false, store.rows * spec.numbers(),
                       at::TensorOptions(store.type))
      .view({store.rows, spec.channels, spec.height, spec.width});
}

}  // namespace

std::optional<at::Tensor> fill_store(
    const StoreRequest& request, const std::function<at::Tensor(std::int64_t, std::int64_t)>& make,
    const std::function<void(std::int64_t)>& progress) {
  const at::ScalarType type = request.kind == ParticleStore::fp16 ? at::kHalf : at::kFloat;
  const Store store{
      .file = request.file,
      .rows = request.rows,
      .row_bytes = request.spec.numbers() * static_cast<std::int64_t>(c10::elementSize(type)),
      .chunk = request.chunk,
      .identity = request.identity,
      .type = type};
  const std::int64_t done = chunks_done(store);
  if (done < store.chunks()) {
    begin_journal(store, done);
    const io::File out = open_store(store, done);
    for (std::int64_t c = done; c < store.chunks(); ++c) {
      if (interrupted()) return std::nullopt;
      progress(c * store.chunk);
      const at::Tensor made = make(c * store.chunk, store.rows_of(c)).to(type).contiguous();
      if (interrupted()) return std::nullopt;
      out.write_all(io::bytes_of(made));
      out.flush_to_disk();
      io::append_line(store.journal(),
                      json{{"chunk", c}, {"checksum", io::checksum(io::bytes_of(made))}}.dump());
    }
  }
  progress(store.rows);
  return map_store(store, request.spec);
}

const char* store_ending(ParticleStore kind) { return kind == ParticleStore::fp16 ? "f16" : "f32"; }

std::int64_t push_chunk_rows(std::int64_t numbers) {
  constexpr std::int64_t most_numbers = std::int64_t{1} << 20;
  return std::clamp<std::int64_t>(most_numbers / numbers, 64, 32768);
}

}  // namespace calor::train
