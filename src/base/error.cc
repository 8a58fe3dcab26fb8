#include "moxing/error.h"

namespace mox {

// Key functions: one type_info for each class, so that a catch works across the libraries and the Python module.
Error::~Error() = default;
InvalidArgumentError::~InvalidArgumentError() = default;
NotFoundError::~NotFoundError() = default;
DataError::~DataError() = default;
RunError::~RunError() = default;

}  // namespace mox
