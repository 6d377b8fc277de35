// Every parser of calor/io against damaged files, and against the files of tests/fuzz/corpus: those
// named good-* (made by other programs) must be read, those named bad-* refused.
#include <ATen/core/Tensor.h>
#include <blosc.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "calor/io/archive.h"
#include "calor/io/bytes.h"
#include "calor/io/cifar.h"
#include "calor/io/csv.h"
#include "calor/io/idx.h"
#include "calor/io/npy.h"
#include "calor/io/picture.h"
#include "calor/io/safetensors.h"
#include "calor/io/zarr.h"
#include "calor/io/zarr_array.h"
#include "tests/fuzz/fuzz.h"
#include "tests/io/jpeg_maker.h"
#include "tests/io/support.h"

namespace calor::io {
namespace {

using namespace calor::io::testing;
using fuzz::Bytes;
using fuzz::Target;

// CALOR_FUZZ_ROUNDS=1000000 for a long run.
const int rounds = [] {
  const char* wanted = std::getenv("CALOR_FUZZ_ROUNDS");
  return wanted == nullptr ? 5000 : std::atoi(wanted);
}();
constexpr std::uint64_t max_unpacked = 1 << 22;

void visit_members(const fs::path& path) {
  for_each_member(
      path, [](const std::string&, std::span<const std::byte>) {}, max_unpacked);
}

// A parser of files as one of bytes.
std::function<void(const Bytes&)> through_a_file(const TemporaryFolder& folder,
                                                 std::function<void(const fs::path&)> read) {
  return [path = folder / "input", read = std::move(read)](const Bytes& bytes) {
    fs::remove(path);  // some disks are slow to write over a file
    put(path, bytes);
    read(path);
  };
}

Bytes archive_bytes(const TemporaryFolder& folder, const std::string& name,
                    const Members& members) {
  put_archive(folder / name, members);
  return get(folder / name);
}

std::uint32_t big_32_at(const Bytes& bytes, std::size_t at) {
  return big_endian_32(as_bytes(bytes).subspan(at));
}

// The length field of a safetensors file set to where the JSON ends now.
Bytes repair_safetensors(const Bytes& bytes) {
  if (bytes.size() < 9) return bytes;
  const std::size_t end = bytes.rfind("}}");
  if (end == Bytes::npos) return bytes;
  return little(std::uint64_t{end + 2 - 8}) + bytes.substr(8);
}

Bytes repair_npy(const Bytes& bytes) {
  const std::size_t end = bytes.rfind('}');
  if (bytes.size() < 11 || end == Bytes::npos || end < 10) return bytes;
  return bytes.substr(0, 8) + little(static_cast<std::uint16_t>(end + 1 - 10)) + bytes.substr(10);
}

// The checksums of all chunks made right.
Bytes repair_png(const Bytes& bytes) {
  Bytes out = bytes.substr(0, 8);
  for (std::size_t at = 8; at + 12 <= bytes.size();) {
    const std::size_t length = std::min<std::size_t>(big_32_at(bytes, at), bytes.size() - at - 12);
    out += png_chunk(bytes.substr(at + 4, 4), bytes.substr(at + 8, length));
    at += 12 + length;
  }
  return out;
}

// Rows cut or filled to as many separators as the first has, so that the damage gets past the check
// of their lengths.
Bytes repair_csv(const Bytes& bytes) {
  Bytes out;
  std::ptrdiff_t wanted = -1;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\n', at), bytes.size());
    Bytes row = bytes.substr(at, end - at);
    at = end + 1;
    const std::ptrdiff_t cells = std::ranges::count(row, ',');
    if (wanted < 0) wanted = cells;
    if (cells < wanted) row.append(static_cast<std::size_t>(wanted - cells), ',');
    while (std::ranges::count(row, ',') > wanted) row.resize(row.rfind(','));
    out += row + "\n";
  }
  return out;
}

// Reads, and reads again what it writes.
void read_csv_twice(const Bytes& bytes, char separator) {
  const Csv csv = parse_csv(bytes, "x", {.separator = separator});
  Bytes text;
  std::vector<std::string_view> cells(csv.columns());
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    for (std::size_t j = 0; j < csv.columns(); ++j) cells[j] = csv.cell(i, j);
    append_csv_row(text, cells, csv.separator());
  }
  const Csv again = parse_csv(text, "x", {.header = CsvHeader::no, .separator = csv.separator()});
  bool same = again.rows() == csv.rows() && again.columns() == csv.columns();
  for (std::size_t i = 0; same && i < csv.rows(); ++i) {
    for (std::size_t j = 0; same && j < csv.columns(); ++j) {
      same = csv.cell(i, j) == again.cell(i, j);
    }
  }
  if (!same) throw std::logic_error("other cells after writing and reading");
}

TEST(Fuzz, Csv) {
  const std::vector<Bytes> good{
      "a,b,c\n1,-2.5,x\n3,\"4,\"\"5\"\"\",\"two\r\nlines\"\r\n?, 7 ,caf\xc3\xa9\n\n",
      "\xef\xbb\xbf"
      "39, State-gov, 77516\n50, Self-emp, 83311\n",
      "1\n\n\"\"\n4\n"};
  fuzz::run({good, [](const Bytes& bytes) { read_csv_twice(bytes, ','); }, repair_csv}, rounds);
  fuzz::run({good, [](const Bytes& bytes) { read_csv_twice(bytes, '\0'); }}, rounds);
}

TEST(Fuzz, Safetensors) {
  const TemporaryFolder folder;
  const Bytes small = safetensors(
      R"({"__metadata__":{"format":"pt"},
          "a.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},
          "b":{"dtype":"BOOL","shape":[],"data_offsets":[8,9]}})",
      std::string_view("\0\0\0\0\0\0\x80\x3f\1", 9));
  const Bytes empty = safetensors(R"({"e":{"dtype":"I64","shape":[0],"data_offsets":[0,0]}})");
  fuzz::run({{small, empty},
             through_a_file(folder,
                            [](const fs::path& path) {
                              read_safetensors_index(path);
                              read_safetensors(path);
                            }),
             repair_safetensors},
            rounds);
}

TEST(Fuzz, Npy) {
  const Bytes small =
      npy("{'descr': '<i2', 'fortran_order': False, 'shape': (2, 2), }\n", "12345678");
  const Bytes turned = npy("{'descr': '|b1', 'fortran_order': True, 'shape': (2, 1, 2), }\n",
                           std::string_view("\0\1\0\1", 4));
  fuzz::run(
      {{small, turned}, [](const Bytes& bytes) { parse_npy(as_bytes(bytes), "x"); }, repair_npy},
      rounds);
}

TEST(Fuzz, Npz) {
  const TemporaryFolder folder;
  const Bytes array =
      npy("{'descr': '|u1', 'fortran_order': False, 'shape': (9,), }\n", "123456789");
  fuzz::run({{archive_bytes(folder, "a.zip", {{"x.npy", array}, {"y.npy", array}})},
             through_a_file(folder,
                            [](const fs::path& path) {
                              read_npz_shapes(path);
                              read_npz(path);
                            })},
            rounds);
}

// An array of int32, 3 x 5 in chunks of 2 x 3, packed in each way that is read.
struct ZarrKind {
  const char* compressor;
  Bytes chunk;
};

Bytes zarr_description(const char* compressor) {
  return fmt::format(R"({{"chunks": [2, 3], "compressor": {}, "dtype": "<i4", "fill_value": 0,
                          "filters": null, "order": "C", "shape": [3, 5], "zarr_format": 2}})",
                     compressor);
}

Bytes blosc_chunk(const Bytes& numbers) {
  Bytes packed(numbers.size() + BLOSC_MAX_OVERHEAD, '\0');
  const int length = blosc_compress_ctx(5, BLOSC_SHUFFLE, 4, numbers.size(), numbers.data(),
                                        packed.data(), packed.size(), "lz4", 0, 1);
  packed.resize(static_cast<std::size_t>(std::max(length, 0)));
  return packed;
}

std::vector<ZarrKind> zarr_kinds() {
  Bytes numbers;
  for (std::int32_t i = 0; i < 6; ++i) numbers += little(i);
  return {{"null", numbers},
          {R"({"id": "zlib", "level": 1})", zlib(numbers)},
          {R"({"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1})", blosc_chunk(numbers)}};
}

// A description may promise 64 GiB of its fill value.
bool is_small(const ZarrArray& array) {
  return array_bytes(array.shape, c10::elementSize(array.type)).value_or(0) <= max_unpacked;
}

void read_zarr_chunk(const Bytes& description, const Bytes& place, const Bytes& packed) {
  const ZarrDescription d = parse_zarray("x", description, "a.zarr");
  if (!is_small(d.array)) return;
  for (const at::ScalarType type : {d.array.type, at::kByte}) {
    at::Tensor room;
    put_chunk(d, place, as_bytes(packed), begin_array(d, type, "a.zarr"), room, "a.zarr");
  }
}

TEST(Fuzz, ZarrDescription) {
  for (const auto& [compressor, chunk] : zarr_kinds()) {
    fuzz::run({{zarr_description(compressor)},
               [&](const Bytes& bytes) { read_zarr_chunk(bytes, "1.0", chunk); }},
              rounds / 3);
  }
  const Bytes description = zarr_description("null");
  const Bytes chunk = zarr_kinds().front().chunk;
  fuzz::run(
      {{"0.1", "1.0"}, [&](const Bytes& place) { read_zarr_chunk(description, place, chunk); }},
      rounds);
}

TEST(Fuzz, ZarrChunk) {
  for (const auto& [compressor, chunk] : zarr_kinds()) {
    const Bytes description = zarr_description(compressor);
    fuzz::run({{chunk}, [&](const Bytes& bytes) { read_zarr_chunk(description, "1.0", bytes); }},
              rounds / 3);
  }
}

TEST(Fuzz, Zarr) {
  const TemporaryFolder folder;
  Members members{{"store/.zgroup", R"({"zarr_format": 2})"}};
  for (const auto& [compressor, chunk] : zarr_kinds()) {
    const std::string name = fmt::format("store/{}/", members.size());
    members.emplace_back(name + ".zarray", zarr_description(compressor));
    members.emplace_back(name + "1.0", chunk);
  }
  for (const char* name : {"a.tar", "a.zip"}) {
    fuzz::run({{archive_bytes(folder, name, members)},
               through_a_file(folder,
                              [](const fs::path& path) {
                                for (const ZarrArray& array : list_zarr(path)) {
                                  if (is_small(array)) read_zarr(path, {array.name});
                                }
                              })},
              rounds / 3);
  }
}

TEST(Fuzz, Idx) {
  const TemporaryFolder folder;
  const Bytes images = idx({2, 3, 3}, "123456789123456789");
  fuzz::run(
      {{images, idx({4}, "1234")}, [](const Bytes& bytes) { parse_idx(as_bytes(bytes), "x"); }},
      rounds);
  fuzz::run({{gzip(images), images},
             through_a_file(folder, [](const fs::path& path) { read_idx(path); })},
            rounds);
}

TEST(Fuzz, Cifar) {
  fuzz::run(
      {{Bytes(2 * 3073, '\x03')}, [](const Bytes& bytes) { parse_cifar10(as_bytes(bytes), "x"); }},
      rounds);
}

TEST(Fuzz, Png) {
  using namespace std::string_literals;
  const Bytes palette = png_chunk("PLTE", "\x01\x02\x03\x0a\x14\x1e") + png_chunk("tRNS", "\x80"s);
  const Bytes rows = "\4\1\2\3\4\5\6\3\1\2\3\4\5\6"s;
  fuzz::run({{png({2, 2, 8, 2, false, "", rows}), png({2, 1, 1, 3, false, palette, "\0\x40"s}),
              png({1, 1, 16, 6, false, png_chunk("gAMA", big_32(45455)),
                   "\0"
                   "12345678"s}),
              png({2, 2, 8, 0, true, "", "\0\1\0\2\0\3\4"s})},
             [](const Bytes& bytes) { parse_picture(as_bytes(bytes), "x"); },
             repair_png},
            rounds);
}

TEST(Fuzz, PngData) {
  using namespace std::string_literals;
  const std::array<PngParts, 2> kinds{{{3, 2, 8, 2, false, "", ""}, {5, 3, 2, 0, true, "", ""}}};
  // The rows are damaged before they are packed, so that zlib has no objection.
  fuzz::run({{"\1\1\2\3\4\5\6\7\x08\x09\3\1\2\3\4\5\6\7\x08\x09"s},
             [&](const Bytes& rows) {
               for (PngParts parts : kinds) {
                 parts.rows = rows;
                 try {
                   parse_picture(as_bytes(png(parts)), "x");
                 } catch (const Error&) {
                 }
               }
             }},
            rounds);
}

TEST(Fuzz, Jpeg) {
  fuzz::run({{jpeg(12, 9, JCS_RGB, 3), jpeg(12, 9, JCS_RGB, 3, true), jpeg(9, 9, JCS_GRAYSCALE, 1),
              jpeg(8, 8, JCS_CMYK, 4)},
             [](const Bytes& bytes) { parse_picture(as_bytes(bytes), "x"); }},
            rounds);
}

TEST(Fuzz, Archives) {
  const TemporaryFolder folder;
  const Members members{{"a.txt", "some text"}, {"b/c", std::string(300, 'x')}};
  for (const char* name : {"a.tar", "a.tar.gz", "a.tar.xz", "a.zip"}) {
    fuzz::run({{archive_bytes(folder, name, members)}, through_a_file(folder, visit_members)},
              rounds / 3);
  }
}

TEST(Fuzz, TarInsideGzip) {
  const TemporaryFolder folder;
  const Members members{{"a.txt", "some text"}, {std::string(150, 'n'), std::string(30, 'x')}};
  const auto read = through_a_file(folder, visit_members);
  fuzz::run({{archive_bytes(folder, "a.tar", members)}, [&](const Bytes& tar) { read(gzip(tar)); }},
            rounds / 2);
}

TEST(Fuzz, Gzip) {
  const TemporaryFolder folder;
  fuzz::run({{gzip("hello, hello, hello"), gzip(std::string(500, 'x')) + gzip("y")},
             through_a_file(folder, [](const fs::path& p) { read_maybe_gzip(p, max_unpacked); })},
            rounds);
}

void read_by_name(const fs::path& path) {
  if (is_archive_name(path)) return visit_members(path);
  if (is_picture_name(path)) return void(read_picture(path));
  const std::string ending = path.extension().string();
  if (ending == ".npy") return void(read_npy(path));
  if (ending == ".npz") return void(read_npz(path));
  if (ending == ".csv" || ending == ".tsv") return void(read_csv(path));
  if (ending == ".safetensors") return void(read_safetensors(path));
  FAIL() << "no parser of calor/io for " << path;
}

TEST(Fuzz, Corpus) {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(CALOR_SOURCE_DIR "/tests/fuzz/corpus/io")) {
    ++count;
    if (entry.path().filename().string().starts_with("good-")) {
      EXPECT_NO_THROW(read_by_name(entry.path())) << entry.path();
    } else {
      EXPECT_THROW(read_by_name(entry.path()), Error) << entry.path();
    }
  }
  EXPECT_GE(count, 10U);
}

}  // namespace
}  // namespace calor::io
