// Arrays of an HDF5 file, through the HDF5 library (serial C interface, 1.10 or newer). The library
// is optional: without it (CMake's CALOR_HDF5) hdf5_absent.cpp stands in for hdf5.cpp, and both
// functions are the error that says so.
//
// Read are IEEE floats of 2, 4 and 8 bytes (those of 2 as fp32), signed integers of 1 to 8 bytes,
// unsigned ones of 1 byte, of 2 and 4 as the next wider signed type, enumerations (NumPy's bools)
// as their integers; in either byte order, with the filters that the library knows. The structures
// of a file are parsed by the library itself, and not every damaged one is refused: in 20,000 there
// were 4 that ended the process within HDF5 1.10.8 (H5F__accum_read). Files made to harm may, too.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace calor::io {

struct Hdf5Array {
  std::string name;       // its path in the file: "data/demo_0/actions"
  at::ScalarType type{};  // Undefined for what is not read: texts, records, unsigned of 8 bytes
  std::vector<std::int64_t> shape;
};

struct Hdf5Contents {
  std::vector<std::string> groups;  // their paths
  std::vector<Hdf5Array> arrays;
};

// Groups and arrays down to six levels, sorted by name within each group. Error where the path is
// no HDF5 file, or an object in it cannot be opened.
Hdf5Contents list_hdf5(const std::filesystem::path& path);

// The named arrays, one or more, behind one another along their first axis: [sum of rows, ...].
// As uint8 where `as_bytes`, array by array, so that pictures saved as floats are never in memory
// as such. Error where one is missing, is not read, or differs from the first in its type or its
// other sizes; where a file is far too small for it; where a number that is to be a byte is not
// from 0 to 255.
at::Tensor read_hdf5(const std::filesystem::path& path, const std::vector<std::string>& names,
                     bool as_bytes = false);

}  // namespace calor::io
