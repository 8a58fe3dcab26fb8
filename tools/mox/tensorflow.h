// Where TensorFlow's libraries are, found without loading them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mox::cli {

struct TensorFlow {
  std::string folder;   // …/site-packages/tensorflow, with libtensorflow_cc.so.2
  std::string version;  // "2.21.0"; empty where pip left no note of it
};

// Of TENSORFLOW_DIR, else beside this package in a Python, else where this program was built, else of find_python()'s;
// nullopt when nowhere. NotFoundError when TENSORFLOW_DIR is set and is no such folder.
std::optional<TensorFlow> find_tensorflow();

// "2.21" of "2.21.0": what has to be the same of the TensorFlow that is built for and of that which is used.
inline std::string_view release(std::string_view version) {
  const size_t first = version.find('.');
  return version.substr(0, version.find('.', first == std::string_view::npos ? first : first + 1));
}

// The folder of libmoxing_file, in which the program's other libraries lie, too.
std::string library_folder();

}  // namespace mox::cli
