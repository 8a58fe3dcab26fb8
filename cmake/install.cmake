# cmake --install: libraries, headers, the program, and a package that find_package(moxing) finds.
include(CMakePackageConfigHelpers)
set(MOX_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/moxing)
install(TARGETS moxing_file moxing EXPORT moxingTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS mox mox_commands
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/moxing DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT moxingTargets NAMESPACE moxing:: DESTINATION ${MOX_PACKAGE_DIR})
configure_package_config_file(cmake/moxingConfig.cmake.in ${PROJECT_BINARY_DIR}/moxingConfig.cmake
  INSTALL_DESTINATION ${MOX_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/moxingConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/moxingConfig.cmake ${PROJECT_BINARY_DIR}/moxingConfigVersion.cmake
  cmake/FindTensorFlowWheel.cmake DESTINATION ${MOX_PACKAGE_DIR})
