// The grammar of a safetensors header, as the events of a JSON parser.
#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "calor/core/error.h"
#include "calor/io/bytes.h"
#include "calor/io/safetensors_header.h"

namespace calor::io {
namespace {

// Takes the events of nlohmann-json's parser (itself iterative, so nesting cannot exhaust the
// stack) and accepts only the one shape a header has:
//   {"__metadata__": {text: text, ...}, name: {"dtype": text, "shape": [n...],
//    "data_offsets": [begin, end]}, ...}
class HeaderEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderEvents(SafetensorsHeader& header, const std::string& file) : header_(header), file_(file) {}

  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("true or false"); }
  bool number_integer(number_integer_t value) override { unexpected(fmt::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) override { unexpected(printable(text)); }
  bool binary(binary_t&) override { unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::shape) {
      add_dimension(value);
    } else if (place_ == Place::offsets && offsets_ < 2) {
      (offsets_++ == 0 ? entry().begin : entry().end) = value;
    } else {
      unexpected(fmt::to_string(value));
    }
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::metadata) {
      if (!header_.metadata.emplace(key_, value).second) duplicate();
    } else if (place_ == Place::tensor && key_ == "dtype") {
      set_type(value);
    } else {
      unexpected(printable(value));
    }
    return true;
  }

  bool key(string_t& name) override {
    key_ = name;
    if (place_ == Place::tensor) note_field();
    if (place_ == Place::header && name.size() > safetensors_max_name) {
      refuse_safetensors(fmt::format("tensor names of at most {} bytes", safetensors_max_name),
                         file_, fmt::format("a name of {} bytes", name.size()));
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::outside) {
      place_ = Place::header;
    } else if (place_ == Place::header && key_ == "__metadata__") {
      if (std::exchange(saw_metadata_, true)) duplicate();
      place_ = Place::metadata;
    } else if (place_ == Place::header) {
      begin_tensor();
    } else {
      unexpected("an object");
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::tensor) end_tensor();
    place_ = place_ == Place::header ? Place::outside : Place::header;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::tensor && key_ == "shape") {
      place_ = Place::shape;
    } else if (place_ == Place::tensor && key_ == "data_offsets") {
      place_ = Place::offsets;
    } else {
      unexpected("an array");
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::offsets && offsets_ != 2) {
      refuse_safetensors("two data_offsets", file_,
                         fmt::format("{} of tensor {}", offsets_, printable(entry().name)));
    }
    place_ = Place::tensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    refuse_safetensors("a header in UTF-8 JSON", file_,
                       fmt::format("at byte {}: {}", position, printable(error.what())));
  }

 private:
  enum class Place { outside, header, metadata, tensor, shape, offsets };
  enum Field : unsigned { dtype = 1, shape = 2, offsets = 4, all_fields = 7 };

  SafetensorsEntry& entry() { return header_.entries.back(); }

  [[noreturn]] void unexpected(const std::string& what) {
    refuse_safetensors(
        "a safetensors header: dtype, shape and data_offsets for each tensor, and texts in "
        "__metadata__",
        file_, fmt::format("{} under the key {}", what, printable(key_)));
  }

  [[noreturn]] void duplicate() {
    refuse_safetensors("each key once", file_, fmt::format("the key {} twice", printable(key_)));
  }

  void note_field() {
    const unsigned field = key_ == "dtype"          ? dtype
                           : key_ == "shape"        ? shape
                           : key_ == "data_offsets" ? offsets
                                                    : 0U;
    if (field == 0) unexpected("an unknown key");
    if ((fields_ & field) != 0) duplicate();
    fields_ |= field;
  }

  void begin_tensor() {
    if (header_.entries.size() == safetensors_max_tensors) {
      refuse_safetensors(fmt::format("at most {} tensors", safetensors_max_tensors), file_, "more");
    }
    header_.entries.emplace_back().name = key_;
    fields_ = 0;
    offsets_ = 0;
    place_ = Place::tensor;
  }

  void end_tensor() {
    if (fields_ == all_fields) return;
    refuse_safetensors("dtype, shape and data_offsets for each tensor", file_,
                       fmt::format("tensor {} lacks one", printable(entry().name)));
  }

  void set_type(const std::string& name) {
    const auto type = safetensors_type(name);
    if (!type) {
      throw Error(
          "one of the types F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL",
          fmt::format("{}: tensor {} of type {}", file_, printable(entry().name), printable(name)),
          "convert that tensor to one of these types and save the file again");
    }
    entry().type = *type;
  }

  void add_dimension(std::uint64_t size) {
    if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) ||
        entry().shape.size() == safetensors_max_rank) {
      refuse_safetensors(
          fmt::format("at most {} dimensions, each below 2^63", safetensors_max_rank), file_,
          fmt::format("dimension {} of tensor {}", size, printable(entry().name)));
    }
    entry().shape.push_back(static_cast<std::int64_t>(size));
  }

  SafetensorsHeader& header_;
  const std::string& file_;
  Place place_ = Place::outside;
  std::string key_;
  unsigned fields_ = 0;      // of the tensor at hand, as a set of Field
  std::size_t offsets_ = 0;  // how many of its two offsets have come
  bool saw_metadata_ = false;
};

}  // namespace

void parse_safetensors_json(std::string_view json, SafetensorsHeader& header,
                            const std::string& file) {
  // The parser takes a zero byte for the end of its input; JSON has none.
  if (json.find('\0') != std::string_view::npos) {
    refuse_safetensors("JSON", file, "a zero byte in the header");
  }
  HeaderEvents events(header, file);
  nlohmann::json::sax_parse(json, &events);
}

}  // namespace calor::io
