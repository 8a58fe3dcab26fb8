// The Python that a user works with, as far as the program asks it something or becomes it.
#pragma once

#include <optional>
#include <string>

namespace mox::cli {

// The path of the Python that MOX_PYTHON names, else of the active virtual environment's, else of python3 in PATH.
// NotFoundError when there is none, or MOX_PYTHON names none.
std::string find_python();

// What `python -c code` writes; nullopt when it fails or cannot be started. Its errors are not shown.
std::optional<std::string> ask_python(const std::string& python, const std::string& code);

}  // namespace mox::cli
