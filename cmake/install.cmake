# cmake --install: libraries, headers, the program, and a package that find_package(moxing) finds.
include(CMakePackageConfigHelpers)
install(TARGETS moxing_file moxing EXPORT moxingTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS mox mox_commands
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/moxing DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
