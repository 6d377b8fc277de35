# Finds LibTorch without TorchConfig.cmake, which would ask for a CUDA toolkit whenever LibTorch was built with CUDA.
#
# Places looked at, first match wins:
#   1. Torch_DIR (variable or environment): <LibTorch>/share/cmake/Torch
#   2. CMAKE_PREFIX_PATH (variable or environment): <LibTorch>, <LibTorch>/share/cmake, or a prefix
#      (a Python environment, say) that has torch in lib/python3*/site-packages
#   3. LibTorch_HINTS: folders that an including package adds
#   4. LIBTORCH_PYTHON (variable or environment): a Python that has torch
#   5. the checkout's private environment .venv, which scripts/setup.sh makes
#   6. python3 on PATH
#
# Wanted: LibTorch_MINIMUM_VERSION or newer (default 2.11); with CALOR_CUDA=ON only a CUDA build will do.
#
# Defines: LibTorch_FOUND, LibTorch_ROOT_DIR, LibTorch_VERSION, LibTorch_CUDA (TRUE for a CUDA build),
#          LibTorch_LIBRARY_DIR and the target LibTorch::LibTorch.
#
# Run as a script, it prints the folder that it found, and nothing else, on standard output:
#   cmake [-DCALOR_CUDA=ON] -P cmake/FindLibTorch.cmake

cmake_minimum_required(VERSION 3.25)

if(NOT LibTorch_MINIMUM_VERSION)
  set(LibTorch_MINIMUM_VERSION 2.11)
endif()
set(_libtorch_module_dir "${CMAKE_CURRENT_LIST_DIR}")

# A variable, or the environment variable of the same name, as a list of paths.
function(_libtorch_setting name out)
  set(value "${${name}}")
  if("${value}" STREQUAL "" AND NOT "$ENV{${name}}" STREQUAL "")
    file(TO_CMAKE_PATH "$ENV{${name}}" value)
  endif()
  set(${out} "${value}" PARENT_SCOPE)
endfunction()

# The folder of the torch package of a Python; find_spec does not import it, which would take seconds.
function(_libtorch_of_python python out)
  set(${out} "" PARENT_SCOPE)
  execute_process(
    COMMAND "${python}" -c "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s and s.submodule_search_locations else '')"
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
  if(status EQUAL 0 AND NOT found STREQUAL "")
    set(${out} "${found}" PARENT_SCOPE)
  endif()
endfunction()

function(_libtorch_version_of root out)
  set(${out} "" PARENT_SCOPE)
  foreach(header IN ITEMS torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
    if(EXISTS "${root}/include/${header}")
      file(STRINGS "${root}/include/${header}" lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
      if(lines MATCHES "MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+)")
        set(${out} "${CMAKE_MATCH_1}.${CMAKE_MATCH_2}.${CMAKE_MATCH_3}" PARENT_SCOPE)
        return()
      endif()
    endif()
  endforeach()
endfunction()

# What the user named, in one string: empty where nothing was named.
function(_libtorch_request out)
  set(request "")
  foreach(name IN ITEMS Torch_DIR CMAKE_PREFIX_PATH LIBTORCH_PYTHON)
    _libtorch_setting(${name} value)
    string(APPEND request "${value}")
  endforeach()
  set(${out} "${request}" PARENT_SCOPE)
endfunction()

# The folders that may hold LibTorch, in order. Pythons are asked later, only when none of these fits.
function(_libtorch_folders out)
  set(folders "")
  _libtorch_setting(Torch_DIR torch_dirs)
  foreach(dir IN LISTS torch_dirs)
    list(APPEND folders "${dir}/../../.." "${dir}")
  endforeach()
  _libtorch_setting(CMAKE_PREFIX_PATH prefixes)
  foreach(dir IN LISTS prefixes)
    file(GLOB in_environment "${dir}/lib/python3*/site-packages/torch")
    list(APPEND folders "${dir}" "${dir}/libtorch" "${dir}/torch" "${dir}/../.." ${in_environment})
  endforeach()
  list(APPEND folders ${LibTorch_HINTS})
  set(${out} "${folders}" PARENT_SCOPE)
endfunction()

function(_libtorch_pythons out)
  _libtorch_setting(LIBTORCH_PYTHON pythons)
  list(APPEND pythons "${_libtorch_module_dir}/../.venv/bin/python3")
  find_program(_libtorch_path_python python3 NO_CACHE)
  if(_libtorch_path_python)
    list(APPEND pythons "${_libtorch_path_python}")
  endif()
  set(${out} "${pythons}" PARENT_SCOPE)
endfunction()

# Sets `out` to why `root` cannot be used: "" where it can, "absent" where there is no LibTorch at all.
function(_libtorch_refusal root out)
  if(NOT EXISTS "${root}/lib/libtorch.so" OR NOT EXISTS "${root}/include/ATen/ATen.h")
    set(${out} "absent" PARENT_SCOPE)
    return()
  endif()
  _libtorch_version_of("${root}" version)
  if(version STREQUAL "" OR version VERSION_LESS LibTorch_MINIMUM_VERSION)
    set(${out} "version '${version}', need ${LibTorch_MINIMUM_VERSION} or newer" PARENT_SCOPE)
  elseif(CALOR_CUDA AND NOT EXISTS "${root}/lib/libtorch_cuda.so")
    set(${out} "version ${version} without CUDA, and CALOR_CUDA asks for CUDA" PARENT_SCOPE)
  else()
    set(${out} "" PARENT_SCOPE)
  endif()
endfunction()

# Sets LibTorch_ROOT_DIR to the first folder that fits, and _libtorch_refused to what was found but did not fit.
function(_libtorch_locate)
  set(refused "")
  _libtorch_folders(folders)
  foreach(folder IN LISTS folders)
    _libtorch_refusal("${folder}" why)
    if(why STREQUAL "")
      file(REAL_PATH "${folder}" root)
      set(LibTorch_ROOT_DIR "${root}" PARENT_SCOPE)
      return()
    elseif(NOT why STREQUAL "absent")
      string(APPEND refused "\n    ${folder}: ${why}")
    endif()
  endforeach()
  _libtorch_pythons(pythons)
  foreach(python IN LISTS pythons)
    _libtorch_of_python("${python}" folder)
    if(folder STREQUAL "")
      continue()
    endif()
    _libtorch_refusal("${folder}" why)
    if(why STREQUAL "")
      file(REAL_PATH "${folder}" root)
      set(LibTorch_ROOT_DIR "${root}" PARENT_SCOPE)
      return()
    endif()
    string(APPEND refused "\n    ${folder} (torch of ${python}): ${why}")
  endforeach()
  set(LibTorch_ROOT_DIR "" PARENT_SCOPE)
  set(_libtorch_refused "${refused}" PARENT_SCOPE)
endfunction()

# LibTorch's include folder also carries other projects' headers (fmt, pybind11, dnnl, ...), which would hide the
# system's own. Compile against a folder that links to LibTorch's parts only.
# The folder's name has the version, so that files are compiled again when LibTorch changes.
function(_libtorch_own_headers root out)
  set(dir "${CMAKE_BINARY_DIR}/libtorch-${LibTorch_VERSION}")
  if(LibTorch_CUDA)
    string(APPEND dir "-cuda")
  endif()
  file(MAKE_DIRECTORY "${dir}")
  foreach(part IN ITEMS ATen c10 caffe2 torch)
    if(EXISTS "${root}/include/${part}")
      file(CREATE_LINK "${root}/include/${part}" "${dir}/${part}" SYMBOLIC)
    endif()
  endforeach()
  set(${out} "${dir}" PARENT_SCOPE)
endfunction()

function(_libtorch_make_target root)
  set(lib "${root}/lib")
  _libtorch_own_headers("${root}" headers)
  add_library(LibTorch::c10 SHARED IMPORTED GLOBAL)
  set_target_properties(LibTorch::c10 PROPERTIES IMPORTED_LOCATION "${lib}/libc10.so")
  add_library(LibTorch::cpu SHARED IMPORTED GLOBAL)
  set_target_properties(LibTorch::cpu PROPERTIES IMPORTED_LOCATION "${lib}/libtorch_cpu.so")

  add_library(LibTorch::LibTorch INTERFACE IMPORTED GLOBAL)
  target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE "${headers}" "${headers}/torch/csrc/api/include")
  # LibTorch is built with the new std::string since 2.6; say so for compilers whose default is another.
  target_compile_definitions(LibTorch::LibTorch INTERFACE _GLIBCXX_USE_CXX11_ABI=1)
  target_link_libraries(LibTorch::LibTorch INTERFACE LibTorch::cpu LibTorch::c10)
  # at::parallel_for is a template that runs on one thread only unless its caller is compiled with OpenMP. A flag and
  # not OpenMP::OpenMP_CXX: that one names the compiler's libgomp, and the program is to load the one beside LibTorch.
  target_compile_options(LibTorch::LibTorch INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:-fopenmp>")
  target_link_options(LibTorch::LibTorch INTERFACE -fopenmp)
  if(EXISTS "${lib}/libtorch_cuda.so")
    # Nothing of ours names a symbol of libtorch_cuda: it registers its kernels when it is loaded, so the linker must
    # keep it. The CUDA runtime behind it is found by its own run path and is not needed to link.
    target_link_libraries(LibTorch::LibTorch INTERFACE
      "-Wl,--push-state,--no-as-needed" "${lib}/libtorch_cuda.so" "${lib}/libc10_cuda.so" "-Wl,--pop-state")
    target_link_options(LibTorch::LibTorch INTERFACE "-Wl,--unresolved-symbols=ignore-in-shared-libs")
  endif()
endfunction()

# A LibTorch found before is kept while it fits, unless this run names another place.
_libtorch_request(_libtorch_requested)
_libtorch_refusal("${LibTorch_ROOT_DIR}" _libtorch_kept_refusal)
if(_libtorch_kept_refusal
    OR NOT (_libtorch_requested STREQUAL "" OR _libtorch_requested STREQUAL LibTorch_REQUESTED))
  _libtorch_locate()
endif()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  if(LibTorch_ROOT_DIR)
    execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "${LibTorch_ROOT_DIR}")
  elseif(_libtorch_refused)
    message(STATUS "LibTorch found, but not usable:${_libtorch_refused}")
  endif()
  return()
endif()

if(LibTorch_ROOT_DIR)
  set(LibTorch_ROOT_DIR "${LibTorch_ROOT_DIR}" CACHE PATH "The LibTorch in use" FORCE)
  set(LibTorch_REQUESTED "${_libtorch_requested}" CACHE INTERNAL "What was named when LibTorch was found")
  _libtorch_version_of("${LibTorch_ROOT_DIR}" LibTorch_VERSION)
  set(LibTorch_LIBRARY_DIR "${LibTorch_ROOT_DIR}/lib")
  set(LibTorch_CUDA FALSE)
  if(EXISTS "${LibTorch_LIBRARY_DIR}/libtorch_cuda.so")
    set(LibTorch_CUDA TRUE)
  endif()
  if(NOT TARGET LibTorch::LibTorch)
    _libtorch_make_target("${LibTorch_ROOT_DIR}")
  endif()
endif()

set(_libtorch_hint "no LibTorch ${LibTorch_MINIMUM_VERSION} or newer was found.")
if(_libtorch_refused)
  string(APPEND _libtorch_hint "\n  Found, but not usable:${_libtorch_refused}")
endif()
string(APPEND _libtorch_hint
  "\n  What to do: run `make setup` (or scripts/setup.sh), which installs it into .venv in the checkout,"
  "\n  or name one with -DCMAKE_PREFIX_PATH=<libtorch>, -DTorch_DIR=<libtorch>/share/cmake/Torch"
  "\n  or -DLIBTORCH_PYTHON=<a python3 that has torch>.\n ")
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_ROOT_DIR VERSION_VAR LibTorch_VERSION REASON_FAILURE_MESSAGE "${_libtorch_hint}")
