# The kernels that fused operators have for NVIDIA GPUs: calor/**/*.cu. Compiled wherever nvcc is found, so that they are
# checked; part of the library where LibTorch has CUDA, too. Without them a GPU runs LibTorch's operators.
set(CALOR_GPU_KERNELS AUTO CACHE STRING "Compile kernels for GPUs: AUTO (where nvcc is found), ON or OFF")
set_property(CACHE CALOR_GPU_KERNELS PROPERTY STRINGS AUTO ON OFF)

set(CALOR_HAS_GPU_KERNELS OFF)  # in the library
set(compiles_gpu_kernels ${CALOR_GPU_KERNELS})
if(CALOR_GPU_KERNELS STREQUAL "AUTO")
  find_program(CALOR_NVCC nvcc PATHS /usr/local/cuda/bin)
  mark_as_advanced(CALOR_NVCC)
  set(compiles_gpu_kernels OFF)
  if(CALOR_NVCC AND NOT CALOR_SANITIZE)
    set(compiles_gpu_kernels ON)
    set(CMAKE_CUDA_COMPILER "${CALOR_NVCC}" CACHE FILEPATH "The CUDA compiler")
  endif()
endif()

if(compiles_gpu_kernels)
  set(CMAKE_CUDA_ARCHITECTURES "80-real;90" CACHE STRING "GPUs to compile for: A100, H100 and H200; later ones from PTX")
  if(CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
  endif()
  enable_language(CUDA)
  # CMake 3.25 does not know that nvcc 13 has the standard that this project is written in.
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  file(GLOB_RECURSE gpu_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/calor/*.cu")
  add_library(calor_gpu OBJECT ${gpu_sources})
  target_include_directories(calor_gpu PRIVATE "${PROJECT_SOURCE_DIR}")
  target_include_directories(calor_gpu SYSTEM PRIVATE
    "$<TARGET_PROPERTY:LibTorch::LibTorch,INTERFACE_SYSTEM_INCLUDE_DIRECTORIES>")
  target_compile_options(calor_gpu PRIVATE --expt-relaxed-constexpr
    "$<$<BOOL:${CALOR_WERROR}>:SHELL:-Werror all-warnings>")
  set_target_properties(calor_gpu PROPERTIES POSITION_INDEPENDENT_CODE ON)
  if(LibTorch_CUDA)
    set(CALOR_HAS_GPU_KERNELS ON)
    find_package(CUDAToolkit REQUIRED)
  endif()
endif()
