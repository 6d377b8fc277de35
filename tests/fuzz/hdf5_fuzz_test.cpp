// Damaged HDF5 files, each read in a process of its own, since the parser is the HDF5 library's:
// each must be accepted or end in a calor::Error. Long runs find files that end HDF5 1.10.8 itself
// by a signal (139), 4 in 20,000; the rounds of an ordinary run have none.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "calor/io/hdf5.h"
#include "tests/fuzz/fuzz.h"
#include "tests/io/hdf5_maker.h"
#include "tests/io/support.h"

namespace calor::io {
namespace {

using namespace calor::io::testing;

constexpr int accepted = 0, refused = 7;

void read_all(const fs::path& path) {
  for (const Hdf5Array& array : list_hdf5(path).arrays) read_hdf5(path, {array.name});
}

int outcome(const fs::path& path) {
  return in_child([&] {
    ::alarm(60);
    try {
      read_all(path);
    } catch (const Error&) {
      ::_exit(refused);
    }
  });
}

TEST(Hdf5Fuzz, DamagedFilesAreRefusedOrRead) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer ends a process where the library asks for too much memory";
#endif
  const char* wanted = std::getenv("CALOR_FUZZ_ROUNDS");
  const int rounds = wanted == nullptr ? 300 : std::atoi(wanted);
  const TemporaryFolder folder;
  const fs::path path = folder / "a.hdf5";
  {
    Hdf5Maker file(path);
    file.put("data/demo_0/actions", at::arange(6, at::kFloat).view({2, 3}));
    file.put_packed("data/demo_0/obs/joints", at::arange(40, at::kDouble).view({20, 2}));
  }
  ASSERT_EQ(outcome(path), accepted);
  const fuzz::Bytes good = get(path);
  int read = 0;
  for (int round = 0; round < rounds; ++round) {
    put(path, fuzz::Mutator(static_cast<std::uint64_t>(round)).mutate(good, good));
    const int status = outcome(path);
    EXPECT_TRUE(status == accepted || status == refused) << "round " << round << ": " << status;
    read += status == accepted ? 1 : 0;
  }
  RecordProperty("accepted", read);
}

}  // namespace
}  // namespace calor::io
