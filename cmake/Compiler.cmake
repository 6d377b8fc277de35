# How every target is compiled: warnings, sanitizers, ccache. All targets share one set of flags, because a precompiled
# header can be used only by files compiled with the flags that it was made with.

option(CALOR_WERROR "Warnings are errors" ON)
option(CALOR_CCACHE "Use ccache where it is installed" ON)
set(CALOR_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize= (address,undefined or thread)")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug or RelWithDebInfo" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")

add_library(calor_flags INTERFACE)
target_compile_options(calor_flags INTERFACE
  -fPIC -fno-semantic-interposition
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast -Wcast-qual
  -Wextra-semi -Wimplicit-fallthrough -Wformat=2
  $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond -Wduplicated-branches -Wlogical-op>
  $<$<BOOL:${CALOR_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms inside std::string: https://gcc.gnu.org/bugzilla/show_bug.cgi?id=105651
  target_compile_options(calor_flags INTERFACE -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds)
endif()

if(CALOR_SANITIZE)
  target_compile_options(calor_flags INTERFACE
    -fsanitize=${CALOR_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(calor_flags INTERFACE -fsanitize=${CALOR_SANITIZE})
endif()

find_program(CALOR_CCACHE_PROGRAM ccache)
mark_as_advanced(CALOR_CCACHE_PROGRAM)
if(CALOR_CCACHE AND CALOR_CCACHE_PROGRAM AND PROJECT_IS_TOP_LEVEL)
  # pch_defines,time_macros and -fpch-preprocess are what ccache needs to cache files that use a precompiled header;
  # the base folder makes paths relative, so that two checkouts share the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 "${CALOR_CCACHE_PROGRAM}")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(calor_flags INTERFACE -fpch-preprocess)
  endif()
endif()
