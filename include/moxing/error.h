// The exceptions that MoXing throws. Text: what happened, where, what was got, what was expected, what to do next.
#pragma once

#include <stdexcept>
#include <string>

#include "moxing/export.h"

namespace mox {

// The root: catch this to catch everything that MoXing reports.
class MOX_EXPORT Error : public std::runtime_error {
 public:
  // `message` may hold text from outside: what a terminal would obey and bytes that are no UTF-8 are escaped as \xNN.
  explicit Error(const std::string& message);
  ~Error() override;
};

// The caller passed something wrong: a flag, a field, a name, a shape. Nothing was started. ValueError in Python.
class MOX_EXPORT InvalidArgumentError : public Error {
 public:
  explicit InvalidArgumentError(const std::string& message) : Error(message) {}
  ~InvalidArgumentError() override;
};

// A file, checkpoint or data set that must be there is not. FileNotFoundError in Python.
class MOX_EXPORT NotFoundError : public Error {
 public:
  explicit NotFoundError(const std::string& message) : Error(message) {}
  ~NotFoundError() override;
};

// Data that was read is broken: wrong magic, truncated, bad checksum, label out of range.
class MOX_EXPORT DataError : public Error {
 public:
  explicit DataError(const std::string& message) : Error(message) {}
  ~DataError() override;
};

// The run itself failed after it had started: a kernel, a non-finite loss, a lost worker.
class MOX_EXPORT RunError : public Error {
 public:
  explicit RunError(const std::string& message) : Error(message) {}
  ~RunError() override;
};

}  // namespace mox
