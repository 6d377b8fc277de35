# Finds the headers of LEMON (graph algorithms); defines LEMON::LEMON. Used without its library: its classes are
# templates, and the macro LEMON_ONLY_TEMPLATES makes the one object of the library that they name a constant.
find_path(LEMON_INCLUDE_DIR lemon/network_simplex.h)
mark_as_advanced(LEMON_INCLUDE_DIR)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LEMON REQUIRED_VARS LEMON_INCLUDE_DIR)
if(LEMON_FOUND AND NOT TARGET LEMON::LEMON)
  add_library(LEMON::LEMON INTERFACE IMPORTED)
  set_target_properties(LEMON::LEMON PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${LEMON_INCLUDE_DIR}")
endif()
