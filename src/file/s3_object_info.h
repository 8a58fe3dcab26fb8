// What the headers of an answer say of an object.
#pragma once

#include <string>

#include "file/http.h"
#include "file/s3_client.h"

namespace mox::file::s3 {

inline constexpr int64_t kUnknownSize = -1;

// "bytes 0-9/100" and "bytes */100"; -1 for what is not told.
struct ContentRange {
  int64_t first = -1, total = kUnknownSize;
};
ContentRange content_range(const HttpResponse& response);

// The size is kUnknownSize when the answer does not tell that of the whole object.
ObjectInfo info_of(const HttpResponse& response);
// Whether a size may be believed that only one answer tells. An object with content of which an answer says 0 was seen
// behind proxies: nothing must be overwritten, or taken for read, because of it.
bool is_trusted(const ObjectInfo& info);
// Whether it is a store's answer about an object at all.
bool tells_object(const HttpResponse& response);

std::string unquoted(std::string etag);
// "abc" for "W/abc": names the same content, if not the same bytes of an answer.
std::string without_weak_mark(const std::string& etag);
// For If-Match, which a weak ETag never passes: the header's value, "" when there is none.
std::string if_match_value(const std::string& etag);

}  // namespace mox::file::s3
