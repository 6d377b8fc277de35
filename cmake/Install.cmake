# make install: the program, the library with its headers, and the files behind find_package(calor).
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/calor")

install(TARGETS calor EXPORT calorTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(TARGETS calor_app RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(TARGETS calor_engine LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/calor")
install(FILES "${PROJECT_BINARY_DIR}/help.txt" DESTINATION "${CMAKE_INSTALL_LIBDIR}/calor")
install(EXPORT calorTargets NAMESPACE calor:: DESTINATION "${package_dir}")
foreach(root IN ITEMS "${PROJECT_SOURCE_DIR}/calor/" "${PROJECT_BINARY_DIR}/generated/calor/")
  install(DIRECTORY "${root}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/calor" FILES_MATCHING PATTERN "*.h")
endforeach()

configure_package_config_file(cmake/calorConfig.cmake.in "${PROJECT_BINARY_DIR}/calorConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/calorConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(
  FILES "${PROJECT_BINARY_DIR}/calorConfig.cmake" "${PROJECT_BINARY_DIR}/calorConfigVersion.cmake"
    cmake/Dependencies.cmake cmake/FindLibTorch.cmake cmake/FindxxHash.cmake cmake/FindBlosc.cmake
    cmake/FindChipmunk.cmake cmake/FindHDF5C.cmake
  DESTINATION "${package_dir}")
