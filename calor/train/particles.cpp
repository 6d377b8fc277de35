#include "calor/train/particles.h"

#include <ATen/ATen.h>
#include <ATen/ops/from_file.h>
#include <c10/core/GradMode.h>
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
#include "calor/solve/stage_field.h"

namespace calor::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// What decides the bytes of a store.
std::string identity_of(const data::Dataset& left, const std::string& weights_checksum,
                        const PushOptions& o) {
  const std::string text =
      fmt::format("{} {} {} {} {} {} {} {} {} {}", left.fingerprint(), weights_checksum,
                  solve::ode_method_name(o.ode.method), o.ode.rtol, o.ode.atol, o.ode.steps,
                  o.ode.per_row, o.t_eps, o.chunk, o.store == ParticleStore::fp16 ? 16 : 32);
  return io::checksum(io::as_bytes(text));
}

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

at::Tensor push_chunk(const flow::Flow& flow, std::size_t stage, const data::Dataset& left,
                      std::int64_t first, std::int64_t count, const PushOptions& options) {
  data::Batch batch;
  for (std::int64_t i = first; i < first + count; ++i) batch.indices.push_back(i);
  left.fill(batch, first, 0, false);
  const at::Tensor items = data::to_model_range(batch.items.to(flow.device()));
  const flow::Given given =
      flow::Given{.labels = batch.labels, .condition = batch.condition}.to(flow.device());
  const solve::StageField field(flow.stage(stage), items.sizes().slice(1), given, options.t_eps);
  const auto derivative = [&](const at::Tensor& s, const at::Tensor& x) {
    return field.velocity(s, x);
  };
  return solve::integrate(derivative, items.flatten(1), field.s_min(), 1, options.ode)
      .y.cpu()
      .contiguous();
}

at::Tensor map_store(const Store& store, const data::ItemSpec& spec) {
  return at::from_file(store.file.string(), /*shared=*/false, store.rows * spec.numbers(),
                       at::TensorOptions(store.type))
      .view({store.rows, spec.channels, spec.height, spec.width});
}

// Labels and conditions, in order. Items with conditions are rows of a table, which are in memory;
// of others only the labels are asked for.
flow::Given given_of(const data::Dataset& set) {
  data::Batch batch;
  if (set.spec().condition_width > 0) {
    for (std::int64_t i = 0; i < set.size(); ++i) batch.indices.push_back(i);
    set.fill(batch, 0, 0, false);
    return {.labels = batch.labels, .condition = batch.condition};
  }
  const at::Tensor labels = at::empty({set.size()}, at::kLong);
  for (std::int64_t i = 0; i < set.size(); ++i) {
    labels.data_ptr<std::int64_t>()[i] = set.label(i);
  }
  return {.labels = labels, .condition = {}};
}

}  // namespace

std::int64_t push_chunk_rows(std::int64_t numbers) {
  constexpr std::int64_t most_numbers = std::int64_t{1} << 20;
  return std::clamp<std::int64_t>(most_numbers / numbers, 64, 32768);
}

std::shared_ptr<data::Dataset> push_particles(const flow::Flow& flow, std::size_t stage,
                                              const data::Dataset& left, const fs::path& file,
                                              const std::string& weights_checksum,
                                              const PushOptions& options,
                                              const std::function<void(std::int64_t)>& progress) {
  const c10::NoGradGuard no_grad;
  const at::ScalarType type = options.store == ParticleStore::fp16 ? at::kHalf : at::kFloat;
  const auto row_bytes =
      left.spec().numbers() * static_cast<std::int64_t>(c10::elementSize(type));
  const Store store{.file = file,
                    .rows = left.size(),
                    .row_bytes = row_bytes,
                    .chunk = options.chunk,
                    .identity = identity_of(left, weights_checksum, options),
                    .type = type};
  const std::int64_t done = chunks_done(store);
  if (done < store.chunks()) {
    begin_journal(store, done);
    const io::File out = open_store(store, done);
    for (std::int64_t c = done; c < store.chunks(); ++c) {
      if (interrupted()) return nullptr;
      progress(c * store.chunk);
      const at::Tensor moved =
          push_chunk(flow, stage, left, c * store.chunk, store.rows_of(c), options).to(type);
      out.write_all(io::bytes_of(moved));
      out.flush_to_disk();
      io::append_line(store.journal(),
                      json{{"chunk", c}, {"checksum", io::checksum(io::bytes_of(moved))}}.dump());
    }
  }
  progress(store.rows);
  const flow::Given given = given_of(left);
  return data::make_float_dataset(left.spec(), map_store(store, left.spec()), given.labels,
                                  given.condition);
}

}  // namespace calor::train
