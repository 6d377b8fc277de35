# Finds Chipmunk2D 7 (rigid bodies in the plane), which comes without a CMake package; defines Chipmunk::Chipmunk. It has
# to be compiled without -ffast-math, as Debian's is: PushT's trajectories depend on every bit.
find_path(Chipmunk_INCLUDE_DIR chipmunk/chipmunk.h)
find_library(Chipmunk_LIBRARY chipmunk)
mark_as_advanced(Chipmunk_INCLUDE_DIR Chipmunk_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Chipmunk REQUIRED_VARS Chipmunk_LIBRARY Chipmunk_INCLUDE_DIR)
if(Chipmunk_FOUND AND NOT TARGET Chipmunk::Chipmunk)
  add_library(Chipmunk::Chipmunk UNKNOWN IMPORTED)
  set_target_properties(Chipmunk::Chipmunk PROPERTIES
    IMPORTED_LOCATION "${Chipmunk_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${Chipmunk_INCLUDE_DIR}")
endif()
