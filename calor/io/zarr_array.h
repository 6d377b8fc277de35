// One array of a zarr store: its description (.zarray) and how a chunk becomes numbers.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Scalar.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "calor/io/zarr.h"

namespace calor::io {

enum class ZarrPacking { none, blosc, zlib };

struct ZarrDescription {
  ZarrArray array;
  ZarrPacking packing = ZarrPacking::none;
  char separator = '.';                  // between the numbers of a chunk's name
  std::optional<c10::Scalar> fill = {};  // the value of chunks that are not there
};

// From the text of a .zarray. `origin` names the store in errors.
ZarrDescription parse_zarray(const std::string& name, std::string_view json,
                             const std::string& origin);

// The array's values, with the fill value (or 0) everywhere, in a type of their own: that of the
// description, or uint8 for numbers from 0 to 255.
at::Tensor begin_array(const ZarrDescription& description, at::ScalarType type,
                       const std::string& origin);

// Puts chunk `place` ("3.0") into the array, in the array's type. `room`, undefined at first, is
// where the chunks of one array are unpacked: memory that was asked for anew for each of many large
// chunks would fall into pieces. Chunks at the ends reach beyond the array.
void put_chunk(const ZarrDescription& description, const std::string& place,
               std::span<const std::byte> packed, const at::Tensor& array, at::Tensor& room,
               const std::string& origin);

// How many chunks the array is made of.
std::int64_t chunk_count(const ZarrDescription& description);

}  // namespace calor::io
