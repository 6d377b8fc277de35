#include "calor/io/npy_header.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <optional>

#include "calor/core/error.h"
#include "calor/io/bytes.h"

namespace calor::io {
namespace {

constexpr std::string_view magic("\x93NUMPY", 6);
constexpr std::size_t max_rank = 64;  // as NumPy 2

struct Descr {
  std::string_view kind;  // without the byte order
  at::ScalarType type;
};

constexpr std::array<Descr, 9> descrs{{{"f2", at::kHalf},
                                       {"f4", at::kFloat},
                                       {"f8", at::kDouble},
                                       {"i1", at::kChar},
                                       {"i2", at::kShort},
                                       {"i4", at::kInt},
                                       {"i8", at::kLong},
                                       {"u1", at::kByte},
                                       {"b1", at::kBool}}};

[[noreturn]] void refuse(const std::string& expected, const std::string& file,
                         const std::string& found) {
  throw Error(expected, file + ": " + found,
              "the file is damaged or not an .npy file: save it again with numpy.save");
}

// One pass over the literal, from left to right.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  NpyHeader parse() {
    take('{');
    while (!next_is('}')) {
      parse_entry();
      if (!accept(',')) break;
    }
    take('}');
    if (skip_spaces(); !text_.empty()) fail("nothing after the }");
    if (!type_ || !order_ || !shape_) fail("descr, fortran_order and shape");
    return {*type_, *shape_, *order_, 0, 0};
  }

 private:
  void parse_entry() {
    const std::string_view key = take_string();
    take(':');
    if (key == "descr" && !type_) {
      type_ = take_descr();
    } else if (key == "fortran_order" && !order_) {
      order_ = take_bool();
    } else if (key == "shape" && !shape_) {
      shape_ = take_shape();
    } else {
      fail("descr, fortran_order and shape, each once");
    }
  }

  at::ScalarType take_descr() {
    if (next_is('[')) {
      throw Error("an array of one plain type", file_ + ": a structured array",
                  "save its columns as separate arrays, in an .npz file for instance");
    }
    return npy_type(take_string(), file_);
  }

  bool take_bool() {
    skip_spaces();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.starts_with(word)) continue;
      text_.remove_prefix(word.size());
      return value;
    }
    fail("True or False");
  }

  // (), (3,) or (3, 4): a tuple of one needs its comma, (3) is a number in Python.
  std::vector<std::int64_t> take_shape() {
    std::vector<std::int64_t> shape;
    bool comma = true;
    take('(');
    while (comma && !next_is(')')) {
      if (shape.size() == max_rank) fail("at most 64 dimensions");
      shape.push_back(take_number());
      comma = accept(',');
    }
    take(')');
    if (shape.size() == 1 && !comma) fail("a tuple of sizes");
    return shape;
  }

  std::int64_t take_number() {
    skip_spaces();
    std::int64_t value = -1;
    const auto [end, status] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (status != std::errc() || value < 0) fail("a size from 0 to 2^63 - 1");
    text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    return value;
  }

  std::string_view take_string() {
    skip_spaces();
    const char quote = text_.empty() ? '\0' : text_.front();
    if (quote != '\'' && quote != '"') fail("a quoted text");
    const std::size_t end = text_.find(quote, 1);
    if (end == std::string_view::npos) fail("a closing quote");
    const std::string_view value = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return value;
  }

  void skip_spaces() {
    const std::size_t start = text_.find_first_not_of(" \t\r\n");
    text_.remove_prefix(std::min(start, text_.size()));
  }
  bool next_is(char c) {
    skip_spaces();
    return text_.starts_with(c);
  }
  bool accept(char c) {
    const bool there = next_is(c);
    if (there) text_.remove_prefix(1);
    return there;
  }
  void take(char c) {
    if (!accept(c)) fail(fmt::format("a {}", c));
  }

  [[noreturn]] void fail(const std::string& expected) {
    refuse(expected + " in the .npy header", file_,
           text_.empty() ? "the header's end" : printable(text_.substr(0, 40)));
  }

  std::string_view text_;
  const std::string& file_;
  std::optional<at::ScalarType> type_;
  std::optional<bool> order_;
  std::optional<std::vector<std::int64_t>> shape_;
};

struct Preamble {
  std::size_t bytes;          // magic, version and length
  std::size_t header_length;  // of the literal that follows
};

Preamble parse_preamble(std::span<const std::byte> start, const std::string& file) {
  if (!as_text(start).starts_with(magic)) {
    refuse(
        "an .npy file, which begins with \\x93NUMPY", file,
        start.empty() ? "an empty file" : "begins with " + printable(as_text(start).substr(0, 6)));
  }
  const unsigned major = start.size() > 6 ? std::to_integer<unsigned>(start[6]) : 0;
  const std::size_t bytes = major == 1 ? 10 : 12;
  if (start.size() < bytes) refuse("an .npy header", file, "the file ends within it");
  if (major < 1 || major > 3 || start[7] != std::byte{0}) {
    refuse("format version 1.0, 2.0 or 3.0", file,
           fmt::format("version {}.{}", major, std::to_integer<unsigned>(start[7])));
  }
  const auto length = major == 1 ? little_endian<std::uint16_t>(start.subspan(8))
                                 : little_endian<std::uint32_t>(start.subspan(8));
  if (length > npy_max_header - 12 || length > start.size() - bytes) {
    refuse(fmt::format("a header of at most {} bytes within the file", npy_max_header - 12), file,
           fmt::format("a header length of {}", length));
  }
  return {bytes, length};
}

}  // namespace

NpyHeader parse_npy_header(std::span<const std::byte> start, std::uint64_t file_size,
                           const std::string& file) {
  const Preamble preamble = parse_preamble(start, file);
  const auto literal = as_text(start.subspan(preamble.bytes, preamble.header_length));
  NpyHeader header = HeaderParser(literal, file).parse();
  const auto bytes = array_bytes(header.shape, c10::elementSize(header.type));
  if (!bytes) refuse("an array below 2^63 bytes", file, "shape " + shape_text(header.shape));
  header.data_offset = preamble.bytes + preamble.header_length;
  header.data_bytes = *bytes;
  const std::uint64_t present = file_size - header.data_offset;
  if (present != *bytes) {
    refuse(fmt::format("{} bytes of data for shape {}", *bytes, shape_text(header.shape)), file,
           fmt::format("{} bytes", present));
  }
  return header;
}

at::ScalarType npy_type(std::string_view descr, const std::string& file) {
  if (descr.size() == 3) {
    const std::string_view kind = descr.substr(1);
    const bool one_byte = kind[1] == '1';
    for (const auto& known : descrs) {
      if (kind == known.kind && (descr[0] == '<' || (one_byte && descr[0] == '|'))) {
        return known.type;
      }
    }
  }
  const bool objects = descr.find('O') != std::string_view::npos;
  throw Error("an array of little-endian f2 f4 f8 i1 i2 i4 i8 u1 or b1",
              fmt::format("{}: {}{}", file, printable(descr),
                          objects ? " (Python objects, a pickle, which can run any program)" : ""),
              "convert it, for instance with array.astype('<f4'), and save it again");
}

std::string npy_descr(at::ScalarType type) {
  for (const auto& known : descrs) {
    const bool written = type != at::kChar && type != at::kShort && type != at::kBool;
    if (known.type == type && written) {
      return (type == at::kByte ? "|" : "<") + std::string(known.kind);
    }
  }
  throw Error("an array of type f2 f4 f8 i4 i8 or u1 to write as .npy", c10::toString(type),
              "convert it to one of these types");
}

}  // namespace calor::io
