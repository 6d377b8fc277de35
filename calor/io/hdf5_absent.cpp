// The reader of HDF5 files in a Calor that was built without the HDF5 library.
#include "calor/core/error.h"
#include "calor/io/hdf5.h"

namespace calor::io {
namespace {

Error absent(const std::filesystem::path& path) {
  return {"a Calor built with the HDF5 library, to read " + path.string(),
          "this one was built without it",
          "install libhdf5-dev and build Calor again (CMake's CALOR_HDF5 must not be OFF), or save "
          "the same arrays as an .npz file"};
}

}  // namespace

Hdf5Contents list_hdf5(const std::filesystem::path& path) { throw absent(path); }

at::Tensor read_hdf5(const std::filesystem::path& path, const std::vector<std::string>&, bool) {
  throw absent(path);
}

}  // namespace calor::io
