# What `pip install .` puts beside the package's sources: the libraries and the program, under moxing/lib and moxing/bin. A wheel of
# `make wheel` has them, too, with the headers and the CMake files: packaging/wheel.py installs all of it there.
if(SKBUILD OR MOX_PORTABLE)
  # Wheels hold no links: one file a library, named as the loader asks for it.
  set_target_properties(moxing moxing_file PROPERTIES VERSION 0 SOVERSION 0)
  # TensorFlow lies beside this package, wherever that is: no path of the build machine.
  set_target_properties(moxing moxing_file mox_commands PROPERTIES INSTALL_RPATH "$ORIGIN;$ORIGIN/../../tensorflow"
    INSTALL_RPATH_USE_LINK_PATH OFF)
  set_target_properties(mox PROPERTIES INSTALL_RPATH "$ORIGIN/../lib" INSTALL_RPATH_USE_LINK_PATH OFF)
  install(TARGETS moxing moxing_file mox_commands LIBRARY DESTINATION moxing/lib COMPONENT python NAMELINK_SKIP EXCLUDE_FROM_ALL)
  install(TARGETS mox RUNTIME DESTINATION moxing/bin COMPONENT python EXCLUDE_FROM_ALL)
endif()
