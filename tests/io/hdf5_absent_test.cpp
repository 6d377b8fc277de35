// A Calor without the HDF5 library says so, and what to do.
#include <gtest/gtest.h>

#include "calor/data/demonstrations.h"
#include "tests/io/support.h"

namespace calor::io {
namespace {

using namespace calor::io::testing;

TEST(Hdf5, SaysThatItWasLeftOut) {
  const TemporaryFolder folder;
  for (const char* name : {"a.hdf5", "a.h5"}) {
    put(folder / name, "\x89HDF\r\n\x1a\n");
    EXPECT_TRUE(data::holds_demonstrations(folder / name));
    const std::string error =
        error_of([&] { data::read_demonstrations(folder / name, data::DemonstrationOptions{}); });
    EXPECT_TRUE(has(error, "built without"));
    EXPECT_TRUE(has(error, "libhdf5-dev"));
    EXPECT_TRUE(has(error, ".npz"));
    EXPECT_TRUE(has(error, name));
  }
}

}  // namespace
}  // namespace calor::io
