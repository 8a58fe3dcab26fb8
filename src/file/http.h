// One HTTP exchange at a time on a pool of connections. No S3 in here, and no retries.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "file/config.h"

namespace mox::file {

// A request body that can be read again, from any offset, when a request is repeated.
struct BodySource {
  int64_t size = 0;
  std::function<int64_t(int64_t offset, char* into, int64_t size)> read;
};

BodySource body_of(std::string_view data);  // borrows

struct HttpResponse {
  int status = 0;                              // 0: no answer came
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // an error's body, and a good one's when no on_data was given

  std::string header(const std::string& name) const;
  // -1 when it is missing or no number.
  int64_t number(const std::string& name) const;
};

// Thrown by a callback to break off an answer that is wrong: the exchange counts as broken.
struct BrokenAnswer {
  std::string problem;
};

struct HttpRequest {
  std::string method;
  std::string url;
  std::vector<std::string> header_lines;
  const BodySource* body = nullptr;
  // The status and headers are in, and the status is below 300; called once, before the body.
  std::function<void(const HttpResponse&)> on_headers;
  std::function<void(const char*, size_t)> on_data;
};

// Why no whole answer came.
enum class HttpFailure {
  kNone,
  kUnreachable,  // no connection: refused, no route, no such host
  kBroken,       // cut off, stalled or too short
  kPermanent,    // will not get better: bad certificate, malformed URL
};

struct HttpResult {
  HttpResponse response;
  HttpFailure failure = HttpFailure::kNone;
  std::string error;  // in words, when failed
};

// What a callback throws is thrown on; failures of the network are in the result.
HttpResult http_perform(const HttpRequest& request, const Config& config);

}  // namespace mox::file
