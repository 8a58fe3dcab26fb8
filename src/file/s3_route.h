// Where a bucket is and by which clock its store goes: what stores told, kept for later requests.
#pragma once

#include <string>

#include "file/config.h"
#include "file/http.h"
#include "file/s3_xml.h"

namespace mox::file {

// How one request reaches a bucket.
struct Route {
  std::string host;    // host[:port]
  std::string region;  // that requests are signed for
  bool path_style = true;
};
Route route_of(const Config& config, const std::string& bucket);

// Seconds that the store's clock is ahead of this machine's, as far as the store told.
long clock_skew(const Config& config);

// After a refused answer to a request that went by `used`, at a time when the skew was `skew`: true when something was
// learned, so that the request is worth a repetition at once. Keys are never sent to another domain because of it.
bool learn_route(const Config& config, const std::string& bucket, const Route& used, const HttpResponse& response,
                 const S3Error& error);
bool learn_clock(const Config& config, long used, const HttpResponse& response, const S3Error& error);

// What a user should know of a refused answer: "this machine's clock is 7200 s behind the store's (…)", the region that
// was signed for and the one that the store wants, or the endpoint that was not followed. "" when it is none of these.
std::string refusal_hint(const Config& config, const std::string& bucket, const HttpResponse& response,
                         const S3Error& error);

}  // namespace mox::file
