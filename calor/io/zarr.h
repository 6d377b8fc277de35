// Arrays of a zarr store, version 2: a folder, or a tar or zip archive of one. Each array lies in
// chunks, packed by Blosc or zlib or not at all, in C order, without filters.
// https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace calor::io {

struct ZarrArray {
  std::string name;  // its path in the store: "data/action"
  at::ScalarType type{};
  std::vector<std::int64_t> shape, chunks;
};

// Whether the path is a zarr store by its name, .zarr, .zarr.tar (also packed) or .zarr.zip, or a
// folder with a group in it.
bool is_zarr(const std::filesystem::path& path);

// The arrays of a store, sorted by name. Error where it is none, or an array is described in a way
// that is not read.
std::vector<ZarrArray> list_zarr(const std::filesystem::path& path);

// The named arrays, whole. Error naming the array, and the nearest name, where there is no such
// array; naming the chunk where one is missing and has no fill value, or does not unpack to the
// size that it should have. Those also named in `as_bytes` become uint8 chunk by chunk, so that
// pictures saved as floats are never in memory as such; Error where a value is not from 0 to 255.
std::map<std::string, at::Tensor> read_zarr(const std::filesystem::path& path,
                                            const std::vector<std::string>& names,
                                            const std::set<std::string>& as_bytes = {});

}  // namespace calor::io
