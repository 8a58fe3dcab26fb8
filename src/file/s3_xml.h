// The XML that object stores answer with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mox::file {

struct S3Error {
  std::string code, message, request_id, resource, region;
};
// Empty fields for what is no error document.
S3Error parse_error(const std::string& xml);

struct S3Object {
  std::string key;
  int64_t size = 0;
  int64_t mtime_nsec = 0;
  std::string etag;  // without quotes
};

struct S3Page {
  std::vector<S3Object> objects;
  std::vector<std::string> prefixes;  // end with '/'
  bool truncated = false;
  std::string next;  // where the next page begins
};
// DataError when it is no listing. Version 2 (continuation tokens) and 1 (markers) alike.
S3Page parse_list(const std::string& xml);

struct S3Part {
  int number = 0;
  int64_t size = 0;
  std::string etag;      // as the server wrote it, quotes and all
  std::string checksum;  // base64 CRC32C, "" when unknown
};
struct S3PartPage {
  std::vector<S3Part> parts;
  bool truncated = false;
  int next = 0;
};
S3PartPage parse_parts(const std::string& xml);

struct S3Upload {
  std::string key, upload_id;
  int64_t initiated_nsec = 0;  // 0 when unknown
};
std::vector<S3Upload> parse_uploads(const std::string& xml);

// The text of the first element of this name below the root; "" when there is none. DataError when it is no XML.
std::string parse_field(const std::string& xml, const char* name);

struct DeleteFailure {
  std::string key, code, message;
};
std::vector<DeleteFailure> parse_delete_failures(const std::string& xml);

std::string complete_body(const std::vector<S3Part>& parts, bool with_checksums);
std::string delete_body(const std::vector<std::string>& keys);

// "2013-05-24T00:00:00.000Z" or "Fri, 24 May 2013 00:00:00 GMT"; 0 for anything else.
int64_t parse_time_nsec(const std::string& text);

}  // namespace mox::file
