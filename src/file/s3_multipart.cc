// Multipart uploads, and pages of listings.
#include <algorithm>

#include "file/checksum.h"
#include "file/lost_upload.h"
#include "file/s3_checksums.h"
#include "file/s3_client.h"
#include "file/s3_request.h"
#include "moxing/file_error.h"
#include "moxing/log.h"

namespace mox::file::s3 {
namespace {

Query part_query(const Upload& upload, int number) {
  return {{"partNumber", std::to_string(number)}, {"uploadId", upload.id}};
}

// An answer that begins with 200 may still turn out to be an error.
std::string error_inside(const HttpResponse& response) {
  const S3Error error = parse_error(response.body);
  return error.code.empty() ? "" : error.code + ": " + error.message;
}

}  // namespace

Upload create_upload(const char* operation, const Location& object, bool checksums, const Headers& metadata) {
  abort_left_uploads();
  const auto mark = UploadMark::begin(object);
  S3Call call{.operation = operation, .target = object, .method = "POST", .query = {{"uploads", ""}}};
  for (const auto& field : metadata)
    if (!field.second.empty()) call.headers.push_back(field);
  const Headers plain = call.headers;
  checksums = checksums && checksums_supported();
  if (checksums) {
    call.headers.emplace_back("x-amz-checksum-algorithm", "CRC32C");
    call.headers.emplace_back("x-amz-checksum-type", "FULL_OBJECT");
    call.accept_statuses = {400, 501};
  }
  HttpResponse response = s3_call(call);
  if (response.status >= 300) {
    if (!refuses_checksums(response)) throw_response(call, response, *current_config());
    checksums = false;
    call.headers = plain;
    call.accept_statuses.clear();
    response = s3_call(call);
    note_checksums_unsupported();
  }
  const std::string id = parse_field(response.body, "UploadId");
  if (id.empty())
    throw DataError(std::string(operation) + " '" + object.str() + "': the store began an upload without a name");
  if (mark) mark->set_id(id);
  return {object, id, checksums, mark};
}

S3Part upload_part(const char* operation, const Upload& upload, int number, const BodySource& body, uint32_t* crc) {
  const BodyHash hash = hash_body(body);
  S3Call call{.operation = operation,
              .target = upload.object,
              .method = "PUT",
              .query = part_query(upload, number),
              .body = &body,
              .payload_hash = hash.sha256};
  if (upload.checksums) call.headers.emplace_back("x-amz-checksum-crc32c", crc32c_base64(hash.crc32c));
  const HttpResponse response = s3_call(call);
  if (crc) *crc = hash.crc32c;
  return {number, body.size, response.header("etag"), upload.checksums ? crc32c_base64(hash.crc32c) : ""};
}

S3Part upload_part_copy(const char* operation, const Upload& upload, int number, const Location& src, int64_t offset,
                        int64_t length, const std::string& src_etag) {
  S3Call call{.operation = operation, .target = upload.object, .method = "PUT", .query = part_query(upload, number)};
  call.headers = {
      {"x-amz-copy-source", percent_encode("/" + src.bucket + "/" + src.key, true)},
      {"x-amz-copy-source-range", "bytes=" + std::to_string(offset) + "-" + std::to_string(offset + length - 1)}};
  if (!src_etag.empty()) call.headers.emplace_back("x-amz-copy-source-if-match", "\"" + src_etag + "\"");
  call.verify = error_inside;
  const HttpResponse response = s3_call(call);
  return {number, length, parse_field(response.body, "ETag"),
          upload.checksums ? parse_field(response.body, "ChecksumCRC32C") : ""};
}

std::string complete_upload(const char* operation, const Upload& upload, const std::vector<S3Part>& parts, int64_t size,
                            const std::string& full_crc) {
  const std::string text = complete_body(parts, upload.checksums);
  const BodySource body = body_of(text);
  S3Call call{.operation = operation,
              .target = upload.object,
              .method = "POST",
              .query = {{"uploadId", upload.id}},
              .body = &body,
              .accept_statuses = {404}};
  call.headers = {{"content-type", "application/xml"}};
  if (upload.checksums && !full_crc.empty()) {
    call.headers.emplace_back("x-amz-checksum-crc32c", full_crc);
    call.headers.emplace_back("x-amz-checksum-type", "FULL_OBJECT");
  }
  call.verify = error_inside;
  const HttpResponse response = s3_call(call);
  std::string etag;
  if (response.status == 404) {
    // Gone after a repeated request: the first one may have been carried out though its answer was lost.
    const auto there = call.attempts_made > 1 ? head(operation, upload.object) : std::nullopt;
    const std::string ending = "-" + std::to_string(parts.size());
    const bool ours = there && there->size == size && there->etag.size() > ending.size() &&
                      there->etag.compare(there->etag.size() - ending.size(), ending.size(), ending) == 0;
    if (!ours) throw_response(call, response, *current_config());
    etag = there->etag;
  } else {
    etag = parse_field(response.body, "ETag");
    etag.erase(std::remove(etag.begin(), etag.end(), '"'), etag.end());
    // Not only after a repetition of ours: curl repeats by itself what was reset on a connection it had used before.
    if (!head(operation, upload.object))
      throw LostUpload(
          std::string(operation) + " '" + upload.object.str() +
          "': the store says that the upload is complete, but the object is not there: it lost it while it "
          "was interrupted; write it again");
  }
  if (upload.mark) upload.mark->remove();
  return etag;
}

void abort_upload_or_throw(const Upload& upload) {
  S3Call call{.operation = "abort upload",
              .target = upload.object,
              .method = "DELETE",
              .query = {{"uploadId", upload.id}},
              .accept_statuses = {404}};
  s3_call(call);
  if (upload.mark) upload.mark->remove();
}

void abort_upload(const Upload& upload) noexcept {
  try {
    abort_upload_or_throw(upload);
  } catch (const std::exception& e) {
    log_warning(std::string("an upload that was broken off could not be removed from the store: ") + e.what());
  }
}

std::optional<std::vector<S3Part>> list_parts(const char* operation, const Upload& upload) {
  std::vector<S3Part> parts;
  for (int from = 0;;) {
    S3Call call{.operation = operation,
                .target = upload.object,
                .method = "GET",
                .query = {{"uploadId", upload.id}},
                .accept_statuses = {404}};
    if (from > 0) call.query.emplace_back("part-number-marker", std::to_string(from));
    const HttpResponse response = s3_call(call);
    if (response.status == 404) return std::nullopt;
    const S3PartPage page = parse_parts(response.body);
    parts.insert(parts.end(), page.parts.begin(), page.parts.end());
    if (!page.truncated || page.next <= from) return parts;
    from = page.next;
  }
}

std::vector<S3Upload> list_uploads(const char* operation, const Location& prefix) {
  Location bucket = prefix;
  bucket.key.clear();
  S3Call call{
      .operation = operation, .target = bucket, .method = "GET", .query = {{"uploads", ""}, {"prefix", prefix.key}}};
  return parse_uploads(s3_call(call).body);
}

S3Page list_page(const char* operation, const Location& prefix, const std::string& delimiter, const std::string& from,
                 int max_keys) {
  Location bucket = prefix;
  bucket.key.clear();
  const bool version_1 = current_config()->is_obs;
  S3Call call{.operation = operation, .target = bucket, .method = "GET"};
  call.query = {{"prefix", prefix.key}, {"max-keys", std::to_string(max_keys)}, {"encoding-type", "url"}};
  if (!version_1) call.query.emplace_back("list-type", "2");
  if (!delimiter.empty()) call.query.emplace_back("delimiter", delimiter);
  if (!from.empty()) call.query.emplace_back(version_1 ? "marker" : "continuation-token", from);
  return parse_list(s3_call(call).body);
}

}  // namespace mox::file::s3
