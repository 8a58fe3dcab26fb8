// The XML that object stores answer with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mox::file {

struct S3Error {
  std::string code, message, request_id, resource, region;
  std::string endpoint;     // where the bucket is, of a redirection
  std::string server_time;  // of an answer about clocks
};
// Empty fields for what is no error document.
S3Error parse_error(const std::string& xml);

// What is wrong with an answer that must be <root>: "" when it is that, the store's words when it is an <Error>. A
// store begins to answer with status 200 before it has done the work: only this document says that it was done.
std::string answer_problem(const std::string& xml, const char* root);

struct S3Object {
  std::string key;
  int64_t size = 0;
  int64_t mtime_nsec = 0;
  std::string etag;        // without quotes
  bool size_known = true;  // false: the listing tells none
};

struct S3Page {
  std::vector<S3Object> objects;
  std::vector<std::string> prefixes;  // end with '/'
  bool truncated = false;
  std::string next;           // where the next page begins
  bool next_is_name = false;  // `next` is the last name of this page: the store gave no token
  bool encoding_told = false;
};
// DataError when it is no listing. Version 2 (continuation tokens) and 1 (markers) alike.
S3Page parse_list(const std::string& xml);
// What encoding-type=url did to a key.
std::string url_decode(const std::string& text);

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
  int64_t initiated_nsec = 0;  // 0: not told
};
struct S3UploadPage {
  std::vector<S3Upload> uploads;
  bool truncated = false;
  std::string next_key, next_upload_id;
};
S3UploadPage parse_uploads(const std::string& xml);

// The text of the first element of this name below the root; "" when there is none. DataError when it is no XML.
std::string parse_field(const std::string& xml, const char* name);
// The region of an answer to "where is this bucket": "" in <LocationConstraint> is us-east-1. DataError as above.
std::string parse_location(const std::string& xml);

struct DeleteFailure {
  std::string key, code, message;
};
std::vector<DeleteFailure> parse_delete_failures(const std::string& xml);

std::string complete_body(const std::vector<S3Part>& parts, bool with_checksums);
std::string delete_body(const std::vector<std::string>& keys);
// Whether a request in XML says this key so that every store reads it back as it is: not with control characters (XML
// 1.0 has none, and a line end becomes another one), bytes that are no UTF-8, or white space at an end.
bool xml_carries(const std::string& key);

// "2013-05-24T00:00:00.000Z" or "Fri, 24 May 2013 00:00:00 GMT"; 0 for anything else.
int64_t parse_time_nsec(const std::string& text);

}  // namespace mox::file
