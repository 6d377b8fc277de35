// Files written by the HDF5 library, and what must be refused; after each test nothing is left
// open.
#include "calor/io/hdf5.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/io/hdf5_maker.h"
#include "tests/io/support.h"

namespace calor::io {
namespace {

using namespace calor::io::testing;

class Hdf5 : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL), 0); }

  std::string error(const std::vector<std::string>& names, bool as_bytes = false) const {
    return error_of([&] { read_hdf5(path, names, as_bytes); });
  }

  TemporaryFolder folder;
  fs::path path = folder / "a.hdf5";
};

// IEEE half precision, as NumPy's float16 is saved.
hid_t half_type() {
  const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

// As h5py saves NumPy's bools.
hid_t bool_type() {
  const hid_t type = H5Tenum_create(H5T_NATIVE_INT8);
  const signed char no = 0, yes = 1;
  H5Tenum_insert(type, "FALSE", &no);
  H5Tenum_insert(type, "TRUE", &yes);
  return type;
}

TEST_F(Hdf5, ReadsEveryTypeAsItIs) {
  const at::Tensor x = at::arange(12, at::kLong).view({4, 3});
  const at::ScalarType types[] = {at::kFloat, at::kDouble, at::kByte, at::kChar,
                                  at::kShort, at::kInt,    at::kLong};
  {
    Hdf5Maker file(path);
    for (const auto type : types) file.put(c10::toString(type), x.to(type));
  }
  for (const auto type : types) {
    const at::Tensor read = read_hdf5(path, {c10::toString(type)});
    EXPECT_EQ(read.scalar_type(), type);
    EXPECT_TRUE(at::equal(read, x.to(type))) << c10::toString(type);
  }
}

TEST_F(Hdf5, ReadsOtherTypesAsTheNextThatHoldsThem) {
  const at::Tensor small = at::tensor({-1.5, 0.25, 1024.0, 0.0}, at::kDouble);
  const at::Tensor large = at::tensor({std::int64_t{4294967295}, std::int64_t{1}}, at::kLong);
  {
    Hdf5Maker file(path);
    const hid_t half = half_type(), boolean = bool_type();
    file.put("half", small.to(at::kFloat), half);
    file.put("big-endian", small, H5T_IEEE_F64BE);
    file.put("u2", at::tensor({0, 65535}, at::kInt), H5T_STD_U16BE);
    file.put("u4", large, H5T_STD_U32LE);
    file.declare("bool", {2, 1}, boolean);
    const hid_t set = H5Dopen2(file.file(), "bool", H5P_DEFAULT);
    const signed char values[] = {1, 0};
    H5Dwrite(set, boolean, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(set);
    H5Tclose(half);
    H5Tclose(boolean);
  }
  EXPECT_TRUE(at::equal(read_hdf5(path, {"half"}), small.to(at::kFloat)));
  EXPECT_TRUE(at::equal(read_hdf5(path, {"big-endian"}), small));
  EXPECT_TRUE(at::equal(read_hdf5(path, {"u2"}), at::tensor({0, 65535}, at::kInt)));
  EXPECT_TRUE(at::equal(read_hdf5(path, {"u4"}), large));
  EXPECT_TRUE(at::equal(read_hdf5(path, {"bool"}), at::tensor({1, 0}, at::kChar).unsqueeze(1)));
}

TEST_F(Hdf5, PutsArraysBehindOneAnother) {
  const at::Tensor x = at::arange(5 * 2 * 3, at::kFloat).view({5, 2, 3});
  {
    Hdf5Maker file(path);
    file.put_packed("g/first", x.narrow(0, 0, 3));
    file.put("g/none", x.narrow(0, 0, 0));
    file.put("g/second", x.narrow(0, 3, 2));
  }
  EXPECT_TRUE(at::equal(read_hdf5(path, {"g/first", "g/none", "g/second"}), x));
}

TEST_F(Hdf5, TakesNumbersAsBytes) {
  const at::Tensor x = at::tensor({0.0, 254.6, 3.0, 100.0}).view({2, 2});
  {
    Hdf5Maker file(path);
    file.put("float", x.to(at::kFloat));
    file.put("byte", x.to(at::kByte));
    file.put("beyond", x.to(at::kFloat) + 1.5);
  }
  const at::Tensor twice = read_hdf5(path, {"float", "float"}, /*as_bytes=*/true);
  EXPECT_EQ(twice.scalar_type(), at::kByte);
  EXPECT_TRUE(at::equal(twice, at::cat({x, x}).round().to(at::kByte)));
  EXPECT_TRUE(at::equal(read_hdf5(path, {"byte"}, true), x.to(at::kByte)));
  EXPECT_TRUE(has(error({"beyond"}, true), "0 to 255"));
}

TEST_F(Hdf5, ListsGroupsAndArrays) {
  {
    Hdf5Maker file(path);
    file.put("data/demo_0/actions", at::zeros({2, 3}));
    file.put("single", at::ones({}));
    file.group("mask");
    file.declare("text", {2}, H5T_C_S1);
    file.declare("nothing", {}, H5T_NATIVE_FLOAT);
    file.declare("u8", {2}, H5T_NATIVE_UINT64);
    H5Lcreate_soft("/data", file.file(), "link", H5P_DEFAULT, H5P_DEFAULT);
  }
  const Hdf5Contents contents = list_hdf5(path);
  EXPECT_EQ(contents.groups,
            (std::vector<std::string>{"data", "data/demo_0", "link", "link/demo_0", "mask"}));
  std::string arrays;
  for (const Hdf5Array& array : contents.arrays) {
    const bool is_read = array.type != at::ScalarType::Undefined;
    arrays += array.name + " " + (is_read ? c10::toString(array.type) : "none") + " " +
              shape_text(array.shape) + "; ";
  }
  EXPECT_EQ(arrays,
            "data/demo_0/actions Float [2, 3]; link/demo_0/actions Float [2, 3]; nothing none "
            "[]; single Float []; text none [2]; u8 none [2]; ");
  for (const char* name : {"text", "nothing", "u8", "single"}) {
    EXPECT_TRUE(has(error({name}), "[rows, ...]")) << name;
  }
}

TEST_F(Hdf5, RefusesArraysThatDoNotGoTogether) {
  {
    Hdf5Maker file(path);
    file.put("a", at::zeros({2, 3}));
    file.put("wider", at::zeros({2, 4}));
    file.put("flat", at::zeros({2}));
    file.put("double", at::zeros({2, 3}, at::kDouble));
  }
  for (const char* other : {"wider", "flat", "double"}) {
    EXPECT_TRUE(has(error({"a", other}), other));
    EXPECT_TRUE(has(error({"a", other}), "number of rows only"));
  }
  EXPECT_TRUE(has(error({"a", "absent"}), "an array \"absent\""));
  EXPECT_EQ(read_hdf5(path, {"a", "a"}).size(0), 4);
}

TEST_F(Hdf5, RefusesWhatIsNoHdf5File) {
  EXPECT_TRUE(has(error_of([&] { list_hdf5(path); }), "No such file"));
  put(path, "no such file, but long enough to hold a signature somewhere");
  EXPECT_TRUE(has(error_of([&] { list_hdf5(path); }), "an HDF5 file"));
  EXPECT_TRUE(has(error({"a"}), "signature"));
  EXPECT_TRUE(has(error_of([&] { list_hdf5(folder.path()); }), "a regular file"));
}

TEST_F(Hdf5, RefusesLinksToNothing) {
  {
    Hdf5Maker file(path);
    file.put("a", at::zeros({2, 3}));
    H5Lcreate_external("other.hdf5", "/a", file.file(), "b", H5P_DEFAULT, H5P_DEFAULT);
  }
  EXPECT_TRUE(has(error_of([&] { list_hdf5(path); }), "\"b\""));
  EXPECT_TRUE(has(error({"b"}), "other.hdf5"));
}

// A group that holds itself, and an array far larger than its file.
TEST_F(Hdf5, EndsWhereAFileDoesNot) {
  {
    Hdf5Maker file(path);
    file.group("a");
    H5Lcreate_hard(file.file(), "/a", file.file(), "/a/a", H5P_DEFAULT, H5P_DEFAULT);
    const hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t chunk[] = {1, 1};
    H5Pset_chunk(how, 2, chunk);
    file.declare("wide", {1 << 20, 1 << 20}, H5T_NATIVE_DOUBLE, how);
    file.declare("hollow", {1 << 20, 1}, H5T_NATIVE_DOUBLE, how);
    file.declare("long", {hsize_t{1} << 40, 1}, H5T_NATIVE_DOUBLE, how);
    H5Pclose(how);
  }
  EXPECT_TRUE(has(error_of([&] { list_hdf5(path); }), "sizes of at most"));
  EXPECT_TRUE(has(error({"wide"}), "at most 68719476736 bytes"));
  EXPECT_TRUE(has(error({"hollow"}), "0 bytes in the file"));
  { Hdf5Maker(path).group("a"); }
  {
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    H5Lcreate_hard(file, "/a", file, "/a/a", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
  }
  EXPECT_EQ(list_hdf5(path).groups.size(), 6U);
}

TEST_F(Hdf5, RefusesDamagedChunks) {
  const at::Tensor x = at::arange(200, at::kFloat).view({20, 10});
  { Hdf5Maker(path).put_packed("x", x); }
  std::string bytes = get(path);
  const std::string start("\x78\x9c", 2);  // of zlib's level 6
  const std::size_t at = bytes.find(start, 512);
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at + 2, 8, 8, '\xff');
  put(path, bytes);
  EXPECT_TRUE(has(error({"x"}), "values that can be read"));
}

// Every beginning of a good file is refused.
TEST_F(Hdf5, RefusesEveryTruncation) {
  const at::Tensor x = at::arange(6, at::kFloat).view({2, 3});
  { Hdf5Maker(path).put("data/x", x); }
  const std::string whole = get(path);
  const fs::path cut = folder / "cut.hdf5";
  put(cut, whole);
  for (std::size_t size = whole.size(); size-- > 0;) {
    fs::resize_file(cut, size);
    EXPECT_TRUE(has(error_of([&] { list_hdf5(cut); }), "an HDF5 file")) << size;
  }
  put(cut, whole);
  EXPECT_TRUE(at::equal(read_hdf5(cut, {"data/x"}), x));
}

// The library's own reports stay off standard error, and are as before afterwards.
TEST_F(Hdf5, IsSilent) {
  H5E_auto2_t before = nullptr, after = nullptr;
  void* data = nullptr;
  H5Eget_auto2(H5E_DEFAULT, &before, &data);
  ASSERT_NE(before, nullptr);
  put(path, "nothing");
  ::testing::internal::CaptureStderr();
  const std::string said = error({"a"});
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_TRUE(has(said, "an HDF5 file"));
  H5Eget_auto2(H5E_DEFAULT, &after, &data);
  EXPECT_EQ(before, after);
}

}  // namespace
}  // namespace calor::io
