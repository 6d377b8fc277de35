# What the library links to. Used by the build and, installed, by calorConfig.cmake, so the two cannot differ.
include(CMakeFindDependencyMacro)

# In the build a missing dependency stops the configuration; in calorConfig.cmake it makes find_package(calor) fail
# in the way that the using project asked for.
macro(calor_needs)
  if(CMAKE_FIND_PACKAGE_NAME)
    find_dependency(${ARGN})
  else()
    find_package(${ARGN} REQUIRED)
  endif()
endmacro()

calor_needs(Threads)
calor_needs(LibTorch)
calor_needs(fmt)
calor_needs(nlohmann_json)
calor_needs(tomlplusplus)
calor_needs(ZLIB)
calor_needs(PNG)
calor_needs(JPEG)
calor_needs(Freetype)
calor_needs(LibArchive)
calor_needs(xxHash)
calor_needs(Blosc)
calor_needs(Chipmunk)
calor_needs(GIF)
# Optional: the build settles them, calorConfig.cmake as the library was built.
if(CALOR_HAS_HDF5)
  calor_needs(HDF5C)
endif()
if(CALOR_HAS_GPU_KERNELS)
  calor_needs(CUDAToolkit)
endif()
