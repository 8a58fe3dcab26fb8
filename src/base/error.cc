#include "moxing/error.h"

#include "base/printable.h"

namespace mox {

Error::Error(const std::string& message)
    : std::runtime_error(message.empty() ? "an error without a text; please report it" : printable(message)) {}

// Key functions: one type_info for each class, so that a catch works across the libraries and the Python module.
Error::~Error() = default;
InvalidArgumentError::~InvalidArgumentError() = default;
NotFoundError::~NotFoundError() = default;
DataError::~DataError() = default;
RunError::~RunError() = default;

}  // namespace mox
