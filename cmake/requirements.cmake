# Everything that is missing, told at once, with the line that installs it.
# A line a package of Debian and Ubuntu: its name, then what is looked for: a header, library (lib….a) or program.
set(MOX_NEEDED
  "libfmt-dev fmt/format.h" "libspdlog-dev spdlog/spdlog.h" "nlohmann-json3-dev nlohmann/json.hpp" "libcli11-dev CLI/CLI.hpp"
  "libpugixml-dev pugixml.hpp libpugixml.a" "zlib1g-dev zlib.h libz.so" "libjpeg-dev jpeglib.h libjpeg.so"
  "libssl-dev openssl/ssl.h libssl.a libcrypto.a" "libcurl4-openssl-dev curl/curl.h libcurl.a curl-config")
if(NOT MOX_CURL_DIR)  # what the distribution's archive of curl asks for
  list(APPEND MOX_NEEDED "libnghttp2-dev libnghttp2.so" "libidn2-dev libidn2.so" "librtmp-dev librtmp.so" "libssh2-1-dev libssh2.so"
    "libpsl-dev libpsl.so" "libkrb5-dev libgssapi_krb5.so" "libldap-dev libldap.so" "libzstd-dev libzstd.so" "libbrotli-dev libbrotlidec.so")
endif()
if(MOX_BUILD_TESTS)
  list(APPEND MOX_NEEDED "libgtest-dev gtest/gtest.h libgtest.a")
endif()
if(MOX_BUILD_BENCH)
  list(APPEND MOX_NEEDED "libbenchmark-dev benchmark/benchmark.h")
endif()

set(MOX_MISSING)
foreach(line ${MOX_NEEDED})
  separate_arguments(words UNIX_COMMAND "${line}")
  list(POP_FRONT words package)
  foreach(word ${words})
    string(MAKE_C_IDENTIFIER "MOX_HAS_${word}" variable)
    if(word MATCHES "\\.(h|hpp)$")
      find_path(${variable} ${word})
    elseif(word MATCHES "^lib")
      find_library(${variable} NAMES ${word})
    else()
      find_program(${variable} ${word})
    endif()
    mark_as_advanced(${variable})
    if(NOT ${variable} AND NOT package IN_LIST MOX_MISSING)
      list(APPEND MOX_MISSING ${package})
    endif()
  endforeach()
endforeach()
set(MOX_ADVICE)
if(MOX_MISSING)
  list(JOIN MOX_MISSING " " packages)
  string(APPEND MOX_ADVICE "\n  Debian's and Ubuntu's packages ${packages}:\n    sudo apt-get install --no-install-recommends ${packages}")
endif()
find_package(TensorFlowWheel QUIET)
if(NOT TensorFlowWheel_FOUND)
  string(APPEND MOX_ADVICE "\n  TensorFlow 2.21: ${MOX_TENSORFLOW_REASON}it was looked for in ${MOX_TENSORFLOW_LOOKED_IN}\n"
    "    pip install ${MOX_TENSORFLOW_PACKAGE}==2.21.0, then -DMOX_PYTHON=/path/of/python, or -DTENSORFLOW_DIR=…/site-packages/tensorflow")
endif()
if(MOX_BUILD_PYTHON AND TensorFlowWheel_FOUND AND NOT SKBUILD)
  execute_process(COMMAND ${MOX_PYTHON} -c "import nanobind, os, sysconfig; os.stat(sysconfig.get_path('include') + '/Python.h')"
    RESULT_VARIABLE _failed OUTPUT_QUIET ERROR_QUIET)
  if(_failed)
    string(APPEND MOX_ADVICE "\n  For MOX_BUILD_PYTHON, in ${MOX_PYTHON}: its headers and nanobind\n"
      "    sudo apt-get install python3-dev; ${MOX_PYTHON} -m pip install nanobind")
  endif()
endif()
if(MOX_ADVICE)
  message(FATAL_ERROR "To build MoXing, this machine lacks:${MOX_ADVICE}\nOn Debian `make setup` installs all of it.")
endif()
