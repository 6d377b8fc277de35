// The safetensors reader against good files, every truncation of them, and the known attacks.
#include "calor/io/safetensors.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

#include "calor/io/atomic_file.h"
#include "tests/io/support.h"

namespace calor::io {
namespace {

using namespace calor::io::testing;

const std::vector<at::ScalarType> all_types{at::kDouble, at::kFloat, at::kHalf,  at::kBFloat16,
                                            at::kLong,   at::kInt,   at::kShort, at::kChar,
                                            at::kByte,   at::kBool};

TensorFile example() {
  TensorFile file;
  for (const auto type : all_types) {
    file.tensors.emplace_back(c10::toString(type),
                              at::arange(6).reshape({2, 3}).remainder(2).to(type));
  }
  file.tensors.emplace_back("scalar", at::full({}, 2.5));
  file.tensors.emplace_back("empty", at::empty({3, 0, 2}));
  file.tensors.emplace_back("näme \"with\" \\ and \n", at::ones({1}));
  file.metadata = {{"a", "1"}, {"note", "zwölf\n\"twelve\""}};
  return file;
}

// A file of that header and data, read; the error's text where it is refused.
std::string error_from(std::string_view bytes) {
  const TemporaryFolder folder;
  put(folder / "f.safetensors", bytes);
  const std::string index_error = error_of([&] { read_safetensors(folder / "f.safetensors"); });
  EXPECT_TRUE(has(index_error, "f.safetensors"));
  return index_error;
}

TEST(Safetensors, RoundTripOfAllTypes) {
  const TemporaryFolder folder;
  const TensorFile file = example();
  write_safetensors(folder / "f", file);
  const TensorFile back = read_safetensors(folder / "f");
  EXPECT_EQ(back.metadata, file.metadata);
  ASSERT_EQ(back.tensors.size(), file.tensors.size());
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    EXPECT_EQ(back.tensors[i].first, file.tensors[i].first);
    EXPECT_EQ(back.tensors[i].second.scalar_type(), file.tensors[i].second.scalar_type());
    EXPECT_TRUE(at::equal(back.tensors[i].second, file.tensors[i].second));
  }
  EXPECT_EQ(read_safetensors_metadata(folder / "f"), file.metadata);
  const auto index = read_safetensors_index(folder / "f");
  ASSERT_EQ(index.size(), file.tensors.size());
  EXPECT_EQ(index[0].name, "Double");
  EXPECT_EQ(index[0].type, at::kDouble);
  EXPECT_EQ(index[0].shape, (std::vector<std::int64_t>{2, 3}));
}

TEST(Safetensors, SameContentsSameBytesAndAlignedData) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", example());
  write_safetensors(folder / "b", example());
  const std::string bytes = get(folder / "a");
  EXPECT_EQ(bytes, get(folder / "b"));
  EXPECT_EQ(little_endian<std::uint64_t>(as_bytes(bytes)) % 8, 0U);
}

TEST(Safetensors, ScatteredAndTrackedTensorsAreWrittenInOrder) {
  const TemporaryFolder folder;
  const at::Tensor matrix = at::arange(6, at::kFloat).reshape({2, 3});
  write_safetensors(folder / "f", {{{"transposed", matrix.t()},
                                    {"strided", matrix.slice(1, 0, 3, 2)},
                                    {"weight", matrix.clone().requires_grad_()}},
                                   {}});
  const TensorFile back = read_safetensors(folder / "f");
  EXPECT_TRUE(at::equal(back.at("transposed"), matrix.t()));
  EXPECT_TRUE(at::equal(back.at("strided"), matrix.slice(1, 0, 3, 2)));
  EXPECT_TRUE(at::equal(back.at("weight"), matrix));
}

TEST(Safetensors, TensorsOwnTheirMemory) {
  const TemporaryFolder folder;
  write_safetensors(folder / "f", {{{"a", at::ones({1000})}}, {}});
  const TensorFile back = read_safetensors(folder / "f");
  put(folder / "f", std::string(get(folder / "f").size(), '\xff'));
  EXPECT_TRUE(at::equal(back.at("a"), at::ones({1000})));
}

TEST(Safetensors, ScalarsEmptyTensorsAndEmptyFilesLoad) {
  const TemporaryFolder folder;
  put(folder / "f", safetensors(R"({"s":{"dtype":"U8","shape":[],"data_offsets":[0,1]},
                                    "e":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},
                                    "z":{"dtype":"F32","shape":[7,0],"data_offsets":[1,1]}} )",
                                "\x05"));
  const TensorFile file = read_safetensors(folder / "f");
  EXPECT_EQ(file.at("s").item<std::int64_t>(), 5);
  EXPECT_EQ(file.at("s").dim(), 0);
  EXPECT_EQ(shape_of(file.at("z")), (std::vector<std::int64_t>{7, 0}));
  put(folder / "f", safetensors("{}"));
  EXPECT_TRUE(read_safetensors(folder / "f").tensors.empty());
}

TEST(Safetensors, HeaderOrderMayDifferFromDataOrder) {
  const TemporaryFolder folder;
  put(folder / "f", safetensors(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},
                                    "a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                                "\x01\x02"));
  const TensorFile file = read_safetensors(folder / "f");
  EXPECT_EQ(file.tensors[0].first, "b");
  EXPECT_EQ(file.at("b").item<std::int64_t>(), 2);
}

TEST(Safetensors, EveryTruncationAndEveryAdditionIsRefused) {
  const TemporaryFolder folder;
  write_safetensors(folder / "whole", example());
  const std::string bytes = get(folder / "whole");
  for_each_truncation(folder / "f", bytes, [&](std::size_t length) {
    EXPECT_THROW(read_safetensors(folder / "f"), Error) << length;
    EXPECT_THROW(read_safetensors_metadata(folder / "f"), Error) << length;
  });
  EXPECT_TRUE(has(error_from(bytes + '\0'), "bytes of data, as the header says"));
}

TEST(Safetensors, HeaderLengthsAreBounded) {
  for (const std::uint64_t length :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{7}, std::uint64_t{100'000'001},
        std::uint64_t{1} << 63, std::numeric_limits<std::uint64_t>::max(),
        std::numeric_limits<std::uint64_t>::max() - 7}) {
    EXPECT_TRUE(has(error_from(little(length) + "{}"), "header")) << length;
  }
}

struct Attack {
  const char* header;
  const char* answer;
};

TEST(Safetensors, BadHeadersAreRefused) {
  const Attack attacks[] = {
      {R"([])", "begins with"},
      {R"( {})", "begins with"},
      {R"({)", "2 to 2 bytes"},
      {R"({ )", "JSON"},
      {R"({}{})", "JSON"},
      {R"({"a":nul})", "JSON"},
      {R"({"a":null})", "null"},
      {R"({"a":[]})", "an array"},
      {R"({"a":1})", "1 under the key"},
      {R"({"a":{}})", "lacks one"},
      {R"({"a":{"dtype":"U8","shape":[]}})", "lacks one"},
      {R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0]}})", "two data_offsets"},
      {R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1,2]}})", "2 under the key"},
      {R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", "an array"},
      {R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", "1.0"},
      {R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", "-1"},
      {R"({"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}})", "1e0"},
      {R"({"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}})", "99999"},
      {R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]}})", "2^63"},
      {R"({"a":{"dtype":"F128","shape":[],"data_offsets":[0,1]}})", "F128"},
      {R"({"a":{"dtype":"F8_E4M3","shape":[],"data_offsets":[0,1]}})", "convert that tensor"},
      {R"({"a":{"dtype":8,"shape":[],"data_offsets":[0,1]}})", "8 under the key"},
      {R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"more":1}})", "unknown key"},
      {R"({"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}})", "twice"},
      {R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},
           "a":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}})",
       "twice"},
      {R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},
           "\u0061":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}})",
       "twice"},
      {R"({"__metadata__":{"a":"1","a":"2"}})", "twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "twice"},
      {R"({"__metadata__":{"a":1}})", "1 under the key"},
      {R"({"__metadata__":{"a":{}}})", "an object"},
      {R"({"__metadata__":"a"})", "under the key"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}})", "2 bytes for U8"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", "1 bytes for U8"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "begins at byte 0"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
           "b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
       "begins at byte 1"},
      {R"({})", "0 bytes of data"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "2 bytes of data"},
      {R"({"a":{"dtype":"F64","shape":[4194305,4194305,211106198978564],"data_offsets":[0,1]}})",
       "2^63"},
      {R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", "2^63"},
      {R"({"a":{"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}})", "2^63"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,0]}})", "1 bytes"},
      {R"({"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})", "bools"},
      {"{\"\xff\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", "UTF-8"},
      {"{\"\xc0\xaf\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", "UTF-8"},
      {R"({"\ud800":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", "UTF-8"},
  };
  for (const Attack& attack : attacks) {
    EXPECT_TRUE(has(error_from(safetensors(attack.header, "\x05")), attack.answer))
        << attack.header;
  }
}

TEST(Safetensors, NestingNamesCountsAndRanksAreBounded) {
  EXPECT_TRUE(has(error_from(safetensors("{\"a\":" + std::string(1'000'000, '['))), "an array"));
  std::string nested = "{";
  for (int i = 0; i < 100'000; ++i) nested += "\"a\":{";
  EXPECT_TRUE(has(error_from(safetensors(nested)), "key"));
  const std::string name(4097, 'n');
  EXPECT_TRUE(has(error_from(safetensors(fmt::format(
                      R"({{"{}":{{"dtype":"U8","shape":[],"data_offsets":[0,1]}}}})", name))),
                  "4097"));
  std::string ones = "1";
  for (int i = 0; i < 64; ++i) ones += ",1";
  EXPECT_TRUE(has(error_from(safetensors(fmt::format(
                      R"({{"a":{{"dtype":"U8","shape":[{}],"data_offsets":[0,1]}}}})", ones))),
                  "64 dimensions"));
  EXPECT_TRUE(has(error_from(safetensors(std::string("{}\0{}", 5))), "zero byte"));
}

TEST(SlowSafetensorsLimits, AMillionAndOneTensorsAreRefused) {
  std::string header = "{";
  for (int i = 0; i <= 1'000'000; ++i) {
    header += fmt::format(R"({}"{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                          i == 0 ? "" : ",", i);
  }
  EXPECT_TRUE(has(error_from(safetensors(header + "}")), "1000000 tensors"));
}

TEST(Safetensors, APickleIsRefusedWithTheWayOut) {
  const std::string torch_zip = "PK\x03\x04" + std::string(100, '\0');
  const std::string protocol_2 = "\x80\x02}q\x01." + std::string(100, '\0');
  const std::string protocol_4 = "\x80\x04\x95" + std::string(100, '\0');
  for (const std::string& bytes : {torch_zip, protocol_2, protocol_4, torch_zip.substr(0, 6)}) {
    const std::string error = error_from(bytes);
    EXPECT_TRUE(has(error, "pickle"));
    EXPECT_TRUE(has(error, "weights_only=True"));
  }
}

TEST(Safetensors, ControlCharactersOfAHostileFileReachNoTerminal) {
  const std::string error =
      error_from(safetensors(R"({"\u001b[2Jx":{"dtype":"F128","shape":[],"data_offsets":[0,1]}})"));
  EXPECT_TRUE(has(error, "\\x1b[2Jx"));
  EXPECT_EQ(error.find('\x1b'), std::string::npos);
}

TEST(Safetensors, NonFiniteWeightsAreNamedOnRequest) {
  at::Tensor weights = at::zeros({3'000'000});
  TensorFile file{{{"fine", at::ones({2}, at::kHalf)},
                   {"whole", at::ones({2}, at::kLong)},
                   {"net.weight", weights}},
                  {}};
  check_finite(file, "model");
  weights[2'500'000] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(has(error_of([&] { check_finite(file, "model"); }), "\"net.weight\""));
  weights[2'500'000] = -std::numeric_limits<float>::infinity();
  EXPECT_TRUE(has(error_of([&] { check_finite(file, "model"); }), "model: NaN or infinity"));
}

TEST(Safetensors, AMissingTensorNamesTheNearest) {
  const TensorFile file{{{"blocks.0.weight", at::ones({1})}}, {}};
  EXPECT_TRUE(file.contains("blocks.0.weight"));
  EXPECT_FALSE(file.contains("blocks"));
  EXPECT_TRUE(has(error_of([&] { file.at("block.0.weight"); }), "blocks.0.weight"));
}

TEST(Safetensors, WhatCannotBeReadAgainIsNotWritten) {
  const TemporaryFolder folder;
  const auto error_for = [&](const TensorFile& file) {
    return error_of([&] { write_safetensors(folder / "f", file); });
  };
  const at::Tensor one = at::ones({1});
  EXPECT_TRUE(has(error_for({{{"a", one}, {"a", one}}, {}}), "twice"));
  EXPECT_TRUE(has(error_for({{{"a", at::Tensor()}}, {}}), "undefined"));
  EXPECT_TRUE(has(error_for({{{"a", one.to_sparse()}}, {}}), "sparse"));
  EXPECT_TRUE(has(error_for({{{"a", one.to(at::kComplexFloat)}}, {}}), "ComplexFloat"));
  EXPECT_TRUE(has(error_for({{{"__metadata__", one}}, {}}), "__metadata__"));
  EXPECT_TRUE(has(error_for({{{std::string(4097, 'n'), one}}, {}}), "4096"));
  EXPECT_TRUE(has(error_for({{{"\xff", one}}, {}}), "UTF-8"));
  EXPECT_TRUE(has(error_for({{}, {{"\xff", "a"}}}), "UTF-8"));
  EXPECT_FALSE(fs::exists(folder / "f"));
}

TEST(CrashSafety, TensorsAreOldOrNewAfterEveryDeath) {
  const TemporaryFolder folder;
  const TensorFile old_file{{{"a", at::zeros({1000})}, {"b", at::zeros({10})}}, {{"step", "1"}}};
  const TensorFile new_file{{{"a", at::ones({1000})}, {"b", at::ones({10})}}, {{"step", "2"}}};
  write_safetensors(folder / "f", old_file);
  die_at_every_change([&] { write_safetensors(folder / "f", new_file); },
                      [&] {
                        const TensorFile now = read_safetensors(folder / "f");
                        const TensorFile& whole =
                            now.metadata.at("step") == "2" ? new_file : old_file;
                        EXPECT_TRUE(at::equal(now.at("a"), whole.at("a")));
                        EXPECT_TRUE(at::equal(now.at("b"), whole.at("b")));
                      });
  EXPECT_EQ(read_safetensors_metadata(folder / "f").at("step"), "2");
}

TEST(Safetensors, SayTheChecksumOfWhatWasMeant) {
  const TemporaryFolder folder;
  const TensorFile file{{{"a", at::arange(1000)}, {"b", at::ones({10, 3}).t()}}, {{"k", "v"}}};
  const std::string meant = write_safetensors(folder / "f", file);
  EXPECT_EQ(meant, checksum_of_file(folder / "f"));
}

// The most memory that `action` takes beyond what there is before, measured in a child.
std::uint64_t peak_memory_of(const TemporaryFolder& folder, const std::function<void()>& action) {
  const auto resident = [](const std::string& field) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(field)) return std::stoull(line.substr(field.size())) * 1024;
    }
    return 0ULL;
  };
  EXPECT_EQ(in_child([&] {
              std::ofstream("/proc/self/clear_refs") << "5";  // the high-water mark starts anew
              const auto before = resident("VmRSS:");
              action();
              put(folder / "peak", std::to_string(resident("VmHWM:") - before));
            }),
            0);
  return std::stoull(get(folder / "peak"));
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool memory_is_plain = false;  // sanitizers keep memory of their own
#else
constexpr bool memory_is_plain = true;
#endif

TEST(SlowSafetensorsMemory, ReadingTakesTheFileAndWritingNothing) {
  if (!memory_is_plain) GTEST_SKIP() << "under a sanitizer";
  const TemporaryFolder folder;
  constexpr std::uint64_t megabyte = 1 << 20;
  const TensorFile file{{{"a", at::ones({20 << 20})}, {"b", at::ones({20 << 20})}}, {}};
  EXPECT_LT(peak_memory_of(folder, [&] { write_safetensors(folder / "f", file); }), 16 * megabyte);
  const std::uint64_t size = fs::file_size(folder / "f");
  EXPECT_LT(peak_memory_of(folder, [&] { read_safetensors(folder / "f"); }), size + 64 * megabyte);
  EXPECT_LT(peak_memory_of(folder, [&] { read_safetensors_index(folder / "f"); }), 8 * megabyte);
}

TEST(Safetensors, ALyingHeaderTakesNoMemory) {
  if (!memory_is_plain) GTEST_SKIP() << "under a sanitizer";
  const TemporaryFolder folder;
  constexpr std::uint64_t megabyte = 1 << 20;
  const std::string shape_lie = safetensors(
      R"({"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}})", "1234");
  for (const std::string& bytes : {little(std::uint64_t{99'999'999}) + "{}", shape_lie}) {
    put(folder / "f", bytes);
    EXPECT_LT(peak_memory_of(folder,
                             [&] {
                               try {
                                 read_safetensors(folder / "f");
                               } catch (const Error&) {
                               }
                             }),
              8 * megabyte);
  }
}

}  // namespace
}  // namespace calor::io
