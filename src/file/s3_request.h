// One request to the object store: signed, repeated when that may help, its failure turned into an exception.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "file/http.h"
#include "file/path.h"
#include "file/sigv4.h"

namespace mox::file {

struct S3Call {
  const char* operation = "";  // for error texts: what the user asked for
  Location target = {};        // bucket and key
  std::string method = {};
  Query query = {};
  Headers headers = {};  // all are signed
  const BodySource* body = nullptr;
  std::string payload_hash = {};          // hex SHA-256 of the body; computed when empty
  std::vector<int> accept_statuses = {};  // answers that the caller handles though they are >= 300
  std::function<void(const HttpResponse&)> on_headers = {};
  std::function<void(const char*, size_t)> on_data = {};
  // After a 2xx answer: what is wrong with it, "" when nothing; a wrong one is repeated.
  std::function<std::string(const HttpResponse&)> verify = {};
  // Before each attempt but the first: adapt the request to what has arrived already.
  std::function<void(S3Call&)> before_repeat = {};
  int attempts_made = 0;  // out
};

// Throws MoxFileNotExistsException for 404, MoxFileReadException for a body that stayed broken, else
// MoxFileRespException.
HttpResponse s3_call(S3Call& call);

// The exception that an answer >= 300 stands for.
[[noreturn]] void throw_response(const S3Call& call, const HttpResponse& response, const Config& config);

}  // namespace mox::file
