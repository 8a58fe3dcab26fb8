# What `pip install .` puts beside the package's sources: the libraries and the program, under moxing/lib and moxing/bin.
if(SKBUILD)
  # Wheels hold no links: one file a library, named as the loader asks for it.
  set_target_properties(moxing moxing_file PROPERTIES VERSION 0 SOVERSION 0)
  # TensorFlow lies beside this package, wherever that is: no path of the build machine.
  set_target_properties(moxing moxing_file mox_commands PROPERTIES INSTALL_RPATH "$ORIGIN;$ORIGIN/../../tensorflow")
  set_target_properties(mox PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
  get_property(_extensions DIRECTORY PROPERTY BUILDSYSTEM_TARGETS)
  foreach(_target moxing moxing_file mox_commands mox ${_extensions})
    get_target_property(_type ${_target} TYPE)
    if(NOT _type STREQUAL "UTILITY")
      set_target_properties(${_target} PROPERTIES INSTALL_RPATH_USE_LINK_PATH OFF)
    endif()
  endforeach()
  install(TARGETS moxing moxing_file mox_commands LIBRARY DESTINATION moxing/lib COMPONENT python NAMELINK_SKIP)
  install(TARGETS mox RUNTIME DESTINATION moxing/bin COMPONENT python)
endif()
