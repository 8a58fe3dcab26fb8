# MOX_PORTABLE: what is built runs on every Linux that TensorFlow's wheel runs on, and needs nothing of the machine but its C and
# C++ runtime. `make wheel` and `make deb` build so. Code is compiled as always; what it is linked to differs: stubs of older
# runtimes (packaging/portable/stubs.py) and, inside each library and hidden, the archives of what others wrote.
set(MOX_STUBS ${PROJECT_BINARY_DIR}/portable)
find_program(MOX_PYTHON3 python3 REQUIRED)
execute_process(COMMAND ${MOX_PYTHON3} ${PROJECT_SOURCE_DIR}/packaging/portable/stubs.py ${MOX_STUBS} ${CMAKE_CXX_COMPILER}
  COMMAND_ERROR_IS_FATAL ANY)
foreach(file stubs.py compatibility.cc start.cc)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS packaging/portable/${file})
endforeach()
add_link_options(-L${MOX_STUBS} -Wl,--exclude-libs,ALL -Wl,--as-needed)

# Files lie together under one folder, wherever that is: the package moxing of a Python, or /usr.
set(CMAKE_INSTALL_LIBDIR lib CACHE STRING "" FORCE)

# fmt: distributions ship it as a shared library alone, and its flags stay, so that ccache's objects serve both kinds of build.
find_package(fmt REQUIRED)
add_library(mox_fmt STATIC EXCLUDE_FROM_ALL packaging/portable/fmt.cc)
# Not beside the stubs: CMake lets the build tree's programs look for libraries where this one lies.
set_target_properties(mox_fmt PROPERTIES ARCHIVE_OUTPUT_DIRECTORY ${MOX_STUBS}/fmt)
get_target_property(_configurations fmt::fmt IMPORTED_CONFIGURATIONS)
foreach(_configuration ${_configurations})
  set_target_properties(fmt::fmt PROPERTIES IMPORTED_LOCATION_${_configuration} ${MOX_STUBS}/fmt/libmox_fmt.a)
endforeach()
add_dependencies(fmt::fmt mox_fmt)

set(CMAKE_FIND_LIBRARY_SUFFIXES .a)  # zlib and libjpeg-turbo
# TensorFlow lies beside the package, wherever that is; elsewhere the program asks Python where it is (tools/mox/tensorflow.cc).
set(MOX_TENSORFLOW_RPATH "$ORIGIN/../../tensorflow")
