// The exceptions of file operations. Each text states operation, path, endpoint, HTTP status and the server's code;
// never a key, a token or a signature.
#pragma once

#include <string>

#include "moxing/error.h"
#include "moxing/export.h"

namespace mox::file {

// What an object store answered. `status` is 0 where no store was involved.
struct MOX_EXPORT Response {
  int status = 0;
  std::string code;        // the server's error code: NoSuchKey, AccessDenied, SlowDown, …
  std::string message;     // the server's words
  std::string request_id;  // what the operator of the store asks for
  std::string host;        // host[:port] that was asked
  std::string resource;    // /bucket/key
};

// The path does not exist. FileNotFoundError in Python. resp().status is 404 for an object store, 0 for a local path.
class MOX_EXPORT MoxFileNotExistsException : public NotFoundError {
 public:
  explicit MoxFileNotExistsException(const std::string& message, Response resp = {})
      : NotFoundError(message), resp_(std::move(resp)) {}
  ~MoxFileNotExistsException() override;
  const Response& resp() const { return resp_; }

 private:
  Response resp_;
};

// A download that would need a file `a` and a folder `a/` of one name in a local folder.
class MOX_EXPORT MoxFileNameDuplicateException : public Error {
 public:
  explicit MoxFileNameDuplicateException(const std::string& message) : Error(message) {}
  ~MoxFileNameDuplicateException() override;
};

// The base of the two that carry a response.
class MOX_EXPORT MoxFileBaseRespException : public Error {
 public:
  MoxFileBaseRespException(const std::string& message, Response resp) : Error(message), resp_(std::move(resp)) {}
  ~MoxFileBaseRespException() override;
  const Response& resp() const { return resp_; }

 private:
  Response resp_;
};

// A body that broke after the store had answered 200: cut off, stalled, too short, wrong checksum, changed meanwhile.
class MOX_EXPORT MoxFileReadException : public MoxFileBaseRespException {
 public:
  using MoxFileBaseRespException::MoxFileBaseRespException;
  ~MoxFileReadException() override;
};

// The store answered with a status >= 300, or could not be reached (status 0).
class MOX_EXPORT MoxFileRespException : public MoxFileBaseRespException {
 public:
  using MoxFileBaseRespException::MoxFileBaseRespException;
  ~MoxFileRespException() override;
};

// The operating system refused: OSError in Python, with this errno.
class MOX_EXPORT OsError : public Error {
 public:
  OsError(int code, const std::string& message) : Error(message), code_(code) {}
  ~OsError() override;
  int code() const { return code_; }

 private:
  int code_;
};

}  // namespace mox::file
