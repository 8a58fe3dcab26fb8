# cmake --install: libraries, headers, the program, and a package that find_package(moxing) and pkg-config find. It fetches nothing.
include(CMakePackageConfigHelpers)
set(MOX_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/moxing)
install(TARGETS moxing_file moxing EXPORT moxingTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS mox mox_commands
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/moxing DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/moxing)
install(EXPORT moxingTargets NAMESPACE moxing:: DESTINATION ${MOX_PACKAGE_DIR})
# Where TensorFlow was when this was built; a portable build has it beside itself, or asks the Python that is active.
set(MOX_BUILT_WITH_TENSORFLOW ${TENSORFLOW_DIR})
set(MOX_PC_TENSORFLOW ${TENSORFLOW_DIR})
if(MOX_PORTABLE)
  set(MOX_BUILT_WITH_TENSORFLOW)
  set(MOX_PC_TENSORFLOW "\${prefix}/../tensorflow")
endif()
configure_package_config_file(cmake/moxingConfig.cmake.in ${PROJECT_BINARY_DIR}/moxingConfig.cmake
  INSTALL_DESTINATION ${MOX_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/moxingConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/moxingConfig.cmake ${PROJECT_BINARY_DIR}/moxingConfigVersion.cmake
  cmake/FindTensorFlowWheel.cmake DESTINATION ${MOX_PACKAGE_DIR})
file(RELATIVE_PATH MOX_PC_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
foreach(name moxing moxing_file)
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
