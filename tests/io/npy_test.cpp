// The .npy and .npz readers: NumPy's own layout byte for byte, and what must be refused.
#include "calor/io/npy.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/io/support.h"

namespace calor::io {
namespace {

using namespace calor::io::testing;

at::Tensor parse(std::string_view bytes) { return parse_npy(as_bytes(bytes), "x.npy"); }

std::string refusal(std::string_view bytes) {
  const std::string error = error_of([&] { parse(bytes); });
  EXPECT_TRUE(has(error, "x.npy"));
  return error;
}

std::string example_npy() {
  return npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", "\x01\x02\x03");
}

TEST(Npy, RoundTrip) {
  const TemporaryFolder folder;
  for (const auto type : {at::kFloat, at::kDouble, at::kHalf, at::kLong, at::kInt, at::kByte}) {
    for (const auto& shape :
         std::vector<std::vector<std::int64_t>>{{}, {0}, {5}, {2, 3}, {2, 0, 3}}) {
      const at::Tensor array = at::ones(shape, type) * 3;
      write_npy(folder / "a.npy", array);
      const at::Tensor back = read_npy(folder / "a.npy");
      EXPECT_EQ(back.scalar_type(), type);
      EXPECT_TRUE(at::equal(back, array));
      EXPECT_TRUE(at::equal(parse(get(folder / "a.npy")), array));
    }
  }
}

TEST(Npy, ArchivesRoundTripAndAreTheSameEachTime) {
  const TemporaryFolder folder;
  const at::Tensor x = at::arange(6, at::kFloat).view({2, 3});
  const at::Tensor n = at::tensor({std::int64_t{3}, std::int64_t{9}});
  write_npz(folder / "a.npz", {{"x", x}, {"ends", n}});
  write_npz(folder / "b.npz", {{"x", x}, {"ends", n}});
  const auto back = read_npz(folder / "a.npz");
  ASSERT_EQ(back.size(), 2U);
  EXPECT_TRUE(at::equal(back.at("x"), x));
  EXPECT_TRUE(at::equal(back.at("ends"), n));
  EXPECT_EQ(get(folder / "a.npz"), get(folder / "b.npz"));
}

TEST(Npy, WritesWhatNumpyWrites) {
  const TemporaryFolder folder;
  write_npy(folder / "a.npy", at::arange(3, at::kInt));
  std::string literal = "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }";
  literal.append(117 - literal.size(), ' ').push_back('\n');
  EXPECT_EQ(get(folder / "a.npy"), npy(literal, little(std::int32_t{0}) + little(std::int32_t{1}) +
                                                    little(std::int32_t{2})));
  write_npy(folder / "t.npy", at::arange(6, at::kInt).reshape({2, 3}).t());
  EXPECT_TRUE(at::equal(read_npy(folder / "t.npy"), at::arange(6, at::kInt).reshape({2, 3}).t()));
}

TEST(Npy, ReadsAllTypesItPromises) {
  const std::pair<const char*, at::ScalarType> types[] = {
      {"<f2", at::kHalf},  {"<f4", at::kFloat}, {"<f8", at::kDouble}, {"|i1", at::kChar},
      {"<i2", at::kShort}, {"<i4", at::kInt},   {"<i8", at::kLong},   {"|u1", at::kByte},
      {"|b1", at::kBool},  {"<u1", at::kByte}};
  for (const auto& [descr, type] : types) {
    const std::string literal =
        std::string("{'descr': '") + descr + "', 'fortran_order': False, 'shape': (2,)}";
    const at::Tensor array = parse(npy(literal, std::string(2 * c10::elementSize(type), '\0')));
    EXPECT_EQ(array.scalar_type(), type) << descr;
    EXPECT_EQ(array.count_nonzero().item<std::int64_t>(), 0);
  }
}

TEST(Npy, FortranOrderAndOtherKeyOrders) {
  const at::Tensor array = parse(npy("{\"shape\": (2, 3), 'fortran_order': True, 'descr': '|u1'}\n",
                                     "\x01\x02\x03\x04\x05\x06"));
  EXPECT_TRUE(at::equal(array, at::tensor({1, 3, 5, 2, 4, 6}).reshape({2, 3}).to(at::kByte)));
  EXPECT_TRUE(array.is_contiguous());
}

TEST(Npy, Versions2And3) {
  const std::string literal = "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }";
  for (const char version : {'\x02', '\x03'}) {
    std::string bytes = "\x93NUMPY";
    bytes.append({version, '\0'}).append(little(static_cast<std::uint32_t>(literal.size())));
    EXPECT_EQ(parse(bytes + literal + "\x07").item<std::int64_t>(), 7);
    EXPECT_TRUE(has(refusal(bytes + literal), "1 bytes of data"));
  }
}

TEST(Npy, EveryTruncationIsRefused) {
  const TemporaryFolder folder;
  write_npy(folder / "a.npy", at::arange(10));
  const std::string bytes = get(folder / "a.npy");
  for_each_truncation(folder / "f.npy", bytes, [&](std::size_t length) {
    EXPECT_THROW(parse(bytes.substr(0, length)), Error) << length;
    EXPECT_THROW(read_npy(folder / "f.npy"), Error) << length;
  });
  EXPECT_TRUE(has(refusal(bytes + "x"), "81 bytes"));
}

TEST(Npy, BadHeadersAreRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "pickle"},
      {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", "astype"},
      {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", "astype"},
      {"{'descr': '<u4', 'fortran_order': False, 'shape': (1,)}", "astype"},
      {"{'descr': '|f4', 'fortran_order': False, 'shape': (1,)}", "astype"},
      {"{'descr': '', 'fortran_order': False, 'shape': (1,)}", "astype"},
      {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "structured"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", "True or False"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1)}", "tuple"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': [1]}", "a ("},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "2^63"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", "2^63"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4194305,4194305,211106198978564)}",
       "2^63"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", "each once"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "each once"},
      {"{'descr': '<f4', 'fortran_order': False}", "shape"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", "nothing after"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)", "a }"},
      {"{'descr", "closing quote"},
      {"", "a {"},
      {"{'descr': '|b1', 'fortran_order': False, 'shape': (4,)}", "bools"},
  };
  for (const auto& [literal, answer] : cases) {
    EXPECT_TRUE(has(refusal(npy(literal, "\x02\x02\x02\x02")), answer)) << literal;
  }
  std::string other = npy("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", "1234");
  other[6] = '\x04';
  EXPECT_TRUE(has(refusal(other), "version 4.0"));
  EXPECT_TRUE(has(refusal("\x80\x04\x95 pickle"), "NUMPY"));
}

// What they hold is not looked at: here bools of 2, which the readers of values refuse.
TEST(Npy, ShapesAreReadFromTheHeadersAlone) {
  const TemporaryFolder folder;
  const std::string literal = "{'descr': '|b1', 'fortran_order': True, 'shape': (1000, 3, 100), }";
  const std::string array = npy(literal, std::string(300'000, '\2'));
  put(folder / "a.npy", array);
  EXPECT_THROW(read_npy(folder / "a.npy"), Error);
  EXPECT_EQ(read_npy_shape(folder / "a.npy"), (std::vector<std::int64_t>{1000, 3, 100}));
  put_archive(folder / "a.zip", {{"x.npy", array}, {"labels.npy", example_npy()}});
  EXPECT_THROW(read_npz(folder / "a.zip"), Error);
  const std::map<std::string, std::vector<std::int64_t>> shapes{{"x", {1000, 3, 100}},
                                                                {"labels", {3}}};
  EXPECT_EQ(read_npz_shapes(folder / "a.zip"), shapes);
  put(folder / "a.npy", array.substr(0, 1000));
  EXPECT_TRUE(has(error_of([&] { read_npy_shape(folder / "a.npy"); }), "300000 bytes of data"));
  put_archive(folder / "a.zip", {{"x.txt", "hello"}});
  EXPECT_TRUE(has(error_of([&] { read_npz_shapes(folder / "a.zip"); }), "only .npy"));
}

TEST(Npy, OtherTypesAreNotWritten) {
  const TemporaryFolder folder;
  EXPECT_TRUE(has(error_of([&] { write_npy(folder / "a.npy", at::ones({1}, at::kBFloat16)); }),
                  "BFloat16"));
  EXPECT_FALSE(fs::exists(folder / "a.npy"));
}

TEST(Npz, ReadsItsArrays) {
  const TemporaryFolder folder;
  put_archive(folder / "a.zip", {{"x.npy", example_npy()}, {"labels.npy", example_npy()}});
  const auto arrays = read_npz(folder / "a.zip");
  ASSERT_EQ(arrays.size(), 2U);
  EXPECT_TRUE(at::equal(arrays.at("labels"), at::arange(1, 4).to(at::kByte)));
}

TEST(Npz, DamageAndStrangersAreRefused) {
  const TemporaryFolder folder;
  const auto error_for = [&](const Members& members) {
    put_archive(folder / "a.zip", members);
    return error_of([&] { read_npz(folder / "a.zip"); });
  };
  EXPECT_TRUE(has(error_for({{"x.txt", "hello"}}), "only .npy"));
  EXPECT_TRUE(has(error_for({{"x.npy", "hello"}}), "\"x.npy\""));
  EXPECT_TRUE(has(error_for({{"x.npy", example_npy()}, {"x.npy", example_npy()}}), "twice"));
  put_archive(folder / "a.zip", {{"x.npy", example_npy()}});
  for_each_truncation(folder / "f.npz", get(folder / "a.zip"), [&](std::size_t length) {
    EXPECT_THROW(read_npz(folder / "f.npz"), Error) << length;
  });
}

}  // namespace
}  // namespace calor::io
