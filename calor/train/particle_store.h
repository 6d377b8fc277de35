// Items made chunk by chunk into a file that is mapped into memory: a set may be larger than
// memory, and what was killed goes on with the next chunk and ends with the same bytes.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "calor/config/options.h"
#include "calor/data/dataset.h"

namespace calor::train {

// fp16 halves the store: its rounding is below an 8-bit step for pictures in [-1, 1] and their
// noise, but not for the tails of tables.
enum class ParticleStore { fp32, fp16 };
inline constexpr config::Choice<ParticleStore> particle_stores[] = {
    {"fp32", ParticleStore::fp32, "as they are computed"},
    {"fp16", ParticleStore::fp16, "half the space, for pictures"},
};
// Of a store's file: "f32" or "f16".
const char* store_ending(ParticleStore kind);

struct StoreRequest {
  std::filesystem::path file;
  std::string identity;  // of everything that decides the bytes
  std::int64_t rows = 0, chunk = 0;
  data::ItemSpec spec;
  ParticleStore kind = ParticleStore::fp32;
};

// The store's items [rows, C, H, W] in its own type, mapped; what is missing is made by
// `make(first, count)`, [count, ..]. Each chunk is on disk, with its checksum in FILE.journal,
// before the next begins. Error where the file belongs to another identity; nothing where a signal
// asked to stop. `progress` is told the rows done.
std::optional<at::Tensor> fill_store(
    const StoreRequest& request,
    const std::function<at::Tensor(std::int64_t first, std::int64_t count)>& make,
    const std::function<void(std::int64_t)>& progress);

// Rows carried at a time where an item is this many numbers, so that a solver's states stay small:
// at most 2^20 numbers, and 64 to 32,768 rows.
std::int64_t push_chunk_rows(std::int64_t numbers);

}  // namespace calor::train
