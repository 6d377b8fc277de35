#include "calor/io/zarr_array.h"

#include <ATen/ATen.h>
#include <blosc.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "calor/core/error.h"
#include "calor/io/byte_values.h"
#include "calor/io/bytes.h"
#include "calor/io/npy_header.h"

namespace calor::io {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t most_bytes = std::uint64_t{1} << 36;
constexpr std::size_t most_dimensions = 16;

[[noreturn]] void refuse(const std::string& expected, const std::string& array,
                         const std::string& origin, const std::string& found) {
  throw Error(expected, fmt::format("{}, array {}: {}", origin, printable(array), found),
              "save the array again, with zarr version 2, C order and no filters");
}

std::vector<std::int64_t> sizes_of(const Json& json, const char* key, std::int64_t least) {
  const Json& list = json.at(key);
  std::vector<std::int64_t> sizes;
  for (const Json& value : list) {
    // In this order: what is no integer cannot always be made one.
    if (!value.is_number_integer() || value.get<std::int64_t>() < least) {
      throw std::invalid_argument(key);
    }
    sizes.push_back(value.get<std::int64_t>());
  }
  if (!list.is_array() || sizes.size() > most_dimensions) throw std::invalid_argument(key);
  return sizes;
}

ZarrPacking packing_of(const Json& compressor) {
  if (compressor.is_null()) return ZarrPacking::none;
  const auto id = compressor.at("id").get<std::string>();
  if (id == "blosc") return ZarrPacking::blosc;
  if (id == "zlib" || id == "gzip") return ZarrPacking::zlib;
  throw std::invalid_argument("compressor " + printable(id));
}

// Also 3.0; nothing where it has a fraction, or lies outside of int64.
std::optional<std::int64_t> whole_number(const Json& number) {
  constexpr auto largest = std::numeric_limits<std::int64_t>::max();
  if (number.is_number_unsigned() && number.get<std::uint64_t>() > largest) return std::nullopt;
  if (number.is_number_integer()) return number.get<std::int64_t>();
  const auto value = number.get<double>();
  if (value != std::floor(value) || std::abs(value) >= 0x1p63) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

bool holds(at::ScalarType type, std::int64_t number) {
  if (type == at::kLong) return true;
  if (type == at::kBool) return number == 0 || number == 1;
  const bool is_unsigned = type == at::kByte;
  const auto bits = 8 * c10::elementSize(type) - (is_unsigned ? 0 : 1);
  const std::int64_t end = std::int64_t{1} << bits;
  return number >= (is_unsigned ? 0 : -end) && number < end;
}

double largest_of(at::ScalarType type) {
  if (type == at::kDouble) return std::numeric_limits<double>::max();
  return type == at::kHalf ? 65504.0 : std::numeric_limits<float>::max();
}

// Nothing where an array of this type cannot hold the number.
std::optional<c10::Scalar> as_fill(const Json& number, at::ScalarType type) {
  if (at::isFloatingType(type)) {
    const auto value = number.get<double>();
    return std::abs(value) <= largest_of(type) ? std::optional<c10::Scalar>(value) : std::nullopt;
  }
  const auto value = whole_number(number);
  return value && holds(type, *value) ? std::optional<c10::Scalar>(*value) : std::nullopt;
}

ZarrDescription describe(const std::string& name, const Json& json, const std::string& origin) {
  if (json.at("zarr_format") != 2) throw std::invalid_argument("zarr_format");
  if (json.at("order").get<std::string>() != "C") throw std::invalid_argument("order");
  // Never copied: a copy of what is nested deeply enough would exhaust the stack.
  const auto filters = json.find("filters");
  const bool filtered = filters != json.end() && !filters->is_null() && !filters->empty();
  if (filtered) throw std::invalid_argument("filters");
  ZarrDescription out;
  out.array.name = name;
  out.array.type = npy_type(json.at("dtype").get<std::string>(), origin + ", array " + name);
  out.array.shape = sizes_of(json, "shape", 0);
  out.array.chunks = sizes_of(json, "chunks", 1);
  if (out.array.shape.size() != out.array.chunks.size()) throw std::invalid_argument("chunks");
  out.packing = packing_of(json.at("compressor"));
  const auto separator = json.value("dimension_separator", std::string("."));
  if (separator != "." && separator != "/") throw std::invalid_argument("dimension_separator");
  out.separator = separator[0];
  const auto fill = json.find("fill_value");
  if (fill == json.end() || !fill->is_number()) return out;
  out.fill = as_fill(*fill, out.array.type);
  if (!out.fill) {
    refuse(fmt::format("a fill_value that an array of type {} can hold",
                       c10::toString(out.array.type)),
           name, origin, "fill_value " + fill->dump());
  }
  return out;
}

void check_sizes(const ZarrDescription& d, const std::string& origin) {
  const std::size_t width = c10::elementSize(d.array.type);
  for (const auto& sizes : {d.array.shape, d.array.chunks}) {
    const auto bytes = array_bytes(sizes, width);
    if (!bytes || *bytes > most_bytes) {
      refuse(fmt::format("at most {} bytes", most_bytes), d.array.name, origin, shape_text(sizes));
    }
  }
}

// "3.0" -> {3, 0}; empty where it is no such name, or not the one way to write it ("03.0").
std::vector<std::int64_t> numbers_of(const std::string& place, char separator) {
  std::vector<std::int64_t> numbers;
  const char* at = place.data();
  const char* end = at + place.size();
  while (at < end) {
    std::int64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc() || number < 0 || (next < end && *next != separator)) return {};
    numbers.push_back(number);
    if (next == end) break;
    at = next + 1;
  }
  const auto written = fmt::format("{}", fmt::join(numbers, std::string_view(&separator, 1)));
  return written == place ? numbers : std::vector<std::int64_t>();
}

bool unpack_blosc(std::span<const std::byte> packed, std::span<std::byte> chunk) {
  std::size_t bytes = 0;
  if (blosc_cbuffer_validate(packed.data(), packed.size(), &bytes) != 0) return false;
  if (bytes != chunk.size()) return false;
  return blosc_decompress_ctx(packed.data(), chunk.data(), chunk.size(), 1) ==
         static_cast<int>(bytes);
}

bool unpack_zlib(std::span<const std::byte> packed, std::span<std::byte> chunk) {
  z_stream stream{};
  constexpr int zlib_or_gzip = 15 + 32;
  if (inflateInit2(&stream, zlib_or_gzip) != Z_OK) return false;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
  stream.avail_out = static_cast<uInt>(chunk.size());
  const int status = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  return status == Z_STREAM_END && stream.avail_out == 0;
}

bool unpack(ZarrPacking packing, std::span<const std::byte> packed, std::span<std::byte> chunk) {
  if (packed.size() > UINT32_MAX || chunk.size() > INT32_MAX) return false;
  switch (packing) {
    case ZarrPacking::blosc:
      return unpack_blosc(packed, chunk);
    case ZarrPacking::zlib:
      return unpack_zlib(packed, chunk);
    case ZarrPacking::none:
      break;
  }
  if (packed.size() != chunk.size()) return false;
  std::copy(packed.begin(), packed.end(), chunk.begin());
  return true;
}

}  // namespace

ZarrDescription parse_zarray(const std::string& name, std::string_view json,
                             const std::string& origin) {
  try {
    const ZarrDescription description = describe(name, Json::parse(json), origin);
    check_sizes(description, origin);
    return description;
  } catch (const Json::exception& error) {
    refuse("a description of a zarr array", name, origin, error.what());
  } catch (const std::invalid_argument& error) {
    refuse("an array of zarr version 2, C order, no filters, packed by blosc, zlib or not at all",
           name, origin, error.what());
  }
}

at::Tensor begin_array(const ZarrDescription& d, at::ScalarType type, const std::string& origin) {
  const c10::Scalar fill = d.fill.value_or(0);
  const double value = fill.toDouble();
  if (type != d.array.type && !(value >= 0 && value <= 255)) {
    refuse("a fill value from 0 to 255", d.array.name, origin, fmt::format("{}", value));
  }
  at::Tensor array = allocate(d.array.shape, type, origin + ", array " + d.array.name);
  return array.fill_(fill);
}

std::int64_t chunk_count(const ZarrDescription& d) {
  std::int64_t count = 1;
  for (std::size_t k = 0; k < d.array.shape.size(); ++k) {
    const std::int64_t size = d.array.shape[k], chunk = d.array.chunks[k];
    count *= size / chunk + (size % chunk == 0 ? 0 : 1);
  }
  return count;
}

void put_chunk(const ZarrDescription& d, const std::string& place,
               std::span<const std::byte> packed, const at::Tensor& array, at::Tensor& room,
               const std::string& origin) {
  const auto& [name, type, shape, chunks] = d.array;
  const auto numbers = numbers_of(place, d.separator);
  at::Tensor target = array;
  std::vector<std::int64_t> kept;
  // A scalar's only chunk is "0".
  const bool right = shape.empty() ? place == "0" : numbers.size() == shape.size();
  if (!right) {
    refuse("chunks named by their place", name, origin, "a file " + printable(place));
  }
  for (std::size_t k = 0; k < shape.size(); ++k) {
    if (numbers[k] > shape[k] / chunks[k] || numbers[k] * chunks[k] >= shape[k]) {
      refuse(fmt::format("chunks within {}", shape_text(shape)), name, origin,
             "a chunk " + printable(place));
    }
    const std::int64_t first = numbers[k] * chunks[k];
    kept.push_back(std::min(chunks[k], shape[k] - first));
    target = target.narrow(static_cast<std::int64_t>(k), first, kept.back());
  }
  if (!room.defined()) room = allocate(chunks, type, origin + ", array " + name);
  at::Tensor chunk = room;
  if (!unpack(d.packing, packed, writable_bytes(chunk))) {
    refuse(fmt::format("a chunk that unpacks to {} values", chunk.numel()), name, origin,
           fmt::format("chunk {}, {} bytes, does not", printable(place), packed.size()));
  }
  if (type == at::kBool && !are_bools(bytes_of(chunk))) {
    refuse("bools of 0 or 1", name, origin, "chunk " + printable(place));
  }
  for (std::size_t k = 0; k < shape.size(); ++k) {
    chunk = chunk.narrow(static_cast<std::int64_t>(k), 0, kept[k]);
  }
  if (array.scalar_type() == type) {
    target.copy_(chunk);
  } else {
    put_byte_values(chunk, target, origin + ", array " + name);
  }
}

}  // namespace calor::io
