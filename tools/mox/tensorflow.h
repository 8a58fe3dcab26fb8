// Where TensorFlow's libraries are, found without loading them.
#pragma once

#include <optional>
#include <string>

namespace mox::cli {

struct TensorFlow {
  std::string folder;   // …/site-packages/tensorflow, with libtensorflow_cc.so.2
  std::string version;  // "2.21.0"; empty where pip left no note of it
};

// Of TENSORFLOW_DIR, else beside this package in a Python, else where this program was built, else of find_python()'s;
// nullopt when nowhere. NotFoundError when TENSORFLOW_DIR is set and is no such folder.
std::optional<TensorFlow> find_tensorflow();

// The folder of libmoxing_file, in which the program's other libraries lie, too.
std::string library_folder();

}  // namespace mox::cli
