// The Python that a user works with, as far as the program asks it something or becomes it.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace mox::cli {

// The path of the Python that MOX_PYTHON names, else of the active virtual environment's, else of python3 in PATH.
// NotFoundError when there is none, or MOX_PYTHON names none.
std::string find_python();

// In the build tree MoXing's package lies beside the program's folder: Pythons that are started look there. An
// installed one is where its Python looks.
void add_package_of_build_tree();

// A Python that runs `code` with arguments, takes data and answers. Its errors are shown.
class PythonProcess {
 public:
  // Error when it cannot be started.
  PythonProcess(const std::string& python, const std::string& code, const std::vector<std::string>& args);
  ~PythonProcess();  // ends it
  PythonProcess(const PythonProcess&) = delete;
  PythonProcess& operator=(const PythonProcess&) = delete;

  // To its standard input. Error when it has ended.
  void write(const void* data, size_t size);
  // So many bytes of its standard output. Error when it ends before.
  void read(void* data, size_t size);

 private:
  // Waits for its end. Error unless that is 0.
  void finish();

  int to_ = -1, from_ = -1, child_ = -1;
};

// What `python -c code` writes; nullopt when it fails or cannot be started. Its errors are not shown.
std::optional<std::string> ask_python(const std::string& python, const std::string& code);

}  // namespace mox::cli
