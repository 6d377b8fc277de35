// Writes HDF5 files through the library, array by array; without times, so that the same arrays
// give the same bytes.
#pragma once

#include <ATen/ATen.h>
#include <hdf5.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace calor::io::testing {

class Hdf5Maker {
 public:
  explicit Hdf5Maker(const std::filesystem::path& path)
      : file_(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)),
        link_(H5Pcreate(H5P_LINK_CREATE)),
        plain_(H5Pcreate(H5P_DATASET_CREATE)) {
    if (file_ < 0) throw std::runtime_error("H5Fcreate");
    H5Pset_create_intermediate_group(link_, 1);
    H5Pset_obj_track_times(plain_, false);
  }
  ~Hdf5Maker() {
    H5Pclose(plain_);
    H5Pclose(link_);
    H5Fclose(file_);
  }
  Hdf5Maker(const Hdf5Maker&) = delete;
  Hdf5Maker& operator=(const Hdf5Maker&) = delete;

  hid_t file() const { return file_; }

  void group(const std::string& name) {
    H5Gclose(H5Gcreate2(file_, name.c_str(), link_, H5P_DEFAULT, H5P_DEFAULT));
  }

  // An array, with the groups that it lies in; in the file as `file_type`, if given, else as in
  // memory.
  void put(const std::string& name, const at::Tensor& array, hid_t file_type = -1) {
    put_as(name, array, file_type, plain_);
  }

  // In chunks of two rows, packed by gzip.
  void put_packed(const std::string& name, const at::Tensor& array) {
    const hid_t how = H5Pcopy(plain_);
    std::vector<hsize_t> chunk(array.sizes().begin(), array.sizes().end());
    chunk.at(0) = 2;
    H5Pset_chunk(how, static_cast<int>(chunk.size()), chunk.data());
    H5Pset_deflate(how, 6);
    put_as(name, array, -1, how);
    H5Pclose(how);
  }

  // An array of this shape, type and layout without values.
  void declare(const std::string& name, const std::vector<hsize_t>& shape, hid_t type,
               hid_t how = H5P_DEFAULT) {
    const hid_t space =
        shape.empty() ? H5Screate(H5S_NULL)
                      : H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t set = H5Dcreate2(file_, name.c_str(), type, space, link_, how, H5P_DEFAULT);
    if (set < 0) throw std::runtime_error("H5Dcreate2");
    H5Dclose(set);
    H5Sclose(space);
  }

 private:
  static hid_t memory_type(at::ScalarType type) {
    switch (type) {
      case at::kFloat:
        return H5T_NATIVE_FLOAT;
      case at::kDouble:
        return H5T_NATIVE_DOUBLE;
      case at::kByte:
        return H5T_NATIVE_UINT8;
      case at::kChar:
        return H5T_NATIVE_INT8;
      case at::kShort:
        return H5T_NATIVE_INT16;
      case at::kInt:
        return H5T_NATIVE_INT32;
      case at::kLong:
        return H5T_NATIVE_INT64;
      default:
        throw std::invalid_argument("a type that the maker does not write");
    }
  }

  void put_as(const std::string& name, const at::Tensor& array, hid_t file_type, hid_t how) {
    const at::Tensor plain = array.contiguous();
    const hid_t memory = memory_type(plain.scalar_type());
    const std::vector<hsize_t> shape(plain.sizes().begin(), plain.sizes().end());
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t set = H5Dcreate2(file_, name.c_str(), file_type < 0 ? memory : file_type, space,
                                 link_, how, H5P_DEFAULT);
    if (set < 0) throw std::runtime_error("H5Dcreate2");
    if (plain.numel() > 0) {
      H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, plain.const_data_ptr());
    }
    H5Dclose(set);
    H5Sclose(space);
  }

  hid_t file_, link_, plain_;
};

}  // namespace calor::io::testing
