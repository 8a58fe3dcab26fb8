#include "tf_files/store_status.h"

#include <cerrno>

#include "moxing/file_error.h"

namespace mox::tf_files {
namespace {

absl::StatusCode code_of_errno(int code) {
  switch (code) {
    case ENOENT:
      return absl::StatusCode::kNotFound;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case EISDIR:
    case ENOTDIR:
    case ENOTEMPTY:
      return absl::StatusCode::kFailedPrecondition;
    case EACCES:
    case EPERM:
      return absl::StatusCode::kPermissionDenied;
    case ESPIPE:
    case EBADF:
      return absl::StatusCode::kUnimplemented;
    default:
      return absl::StatusCode::kUnknown;
  }
}

absl::StatusCode code_of_answer(int http_status) {
  if (http_status == 401 || http_status == 403) return absl::StatusCode::kPermissionDenied;
  if (http_status == 400) return absl::StatusCode::kInvalidArgument;
  if (http_status == 404) return absl::StatusCode::kNotFound;
  if (http_status == 409 || http_status == 412) return absl::StatusCode::kFailedPrecondition;
  return absl::StatusCode::kUnavailable;
}

}  // namespace

absl::Status status_of_exception() {
  try {
    throw;
  } catch (const NotFoundError& e) {
    return absl::NotFoundError(e.what());
  } catch (const file::OsError& e) {
    return absl::Status(code_of_errno(e.code()), e.what());
  } catch (const file::MoxFileReadException& e) {
    return absl::UnavailableError(e.what());  // the network's fault; "data loss" would be the file's
  } catch (const file::MoxFileRespException& e) {
    return absl::Status(code_of_answer(e.resp().status), e.what());
  } catch (const InvalidArgumentError& e) {
    return absl::InvalidArgumentError(e.what());
  } catch (const std::exception& e) {
    return absl::UnknownError(e.what());
  }
}

}  // namespace mox::tf_files
