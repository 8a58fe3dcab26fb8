#include "moxing/file.h"
#include "moxing/file_error.h"

namespace mox::file {

// Key functions: one type_info for each class, so that a catch works across the libraries and the Python module.
MoxFileNotExistsException::~MoxFileNotExistsException() = default;
MoxFileNameDuplicateException::~MoxFileNameDuplicateException() = default;
MoxFileBaseRespException::~MoxFileBaseRespException() = default;
MoxFileReadException::~MoxFileReadException() = default;
MoxFileRespException::~MoxFileRespException() = default;
OsError::~OsError() = default;
CopyError::~CopyError() = default;

}  // namespace mox::file
