// Multipart uploads, and pages of listings.
#include <algorithm>
#include <chrono>

#include "file/checksum.h"
#include "file/lost_upload.h"
#include "file/s3_checksums.h"
#include "file/s3_client.h"
#include "file/s3_object_info.h"
#include "file/s3_request.h"
#include "file/s3_stored.h"
#include "moxing/file_error.h"
#include "moxing/log.h"

namespace mox::file::s3 {
namespace {

Query part_query(const Upload& upload, int number) {
  return {{"partNumber", std::to_string(number)}, {"uploadId", upload.id}};
}

std::function<std::string(const HttpResponse&)> must_be(const char* root) {
  return [root](const HttpResponse& response) { return answer_problem(response.body, root); };
}

// What a listing must be; parse errors are the store's or the network's fault, and may be gone the next time.
template <typename Parse>
std::function<std::string(const HttpResponse&)> must_parse(const Parse& parse) {
  return [parse](const HttpResponse& response) {
    try {
      parse(response.body);
      return std::string();
    } catch (const DataError& e) {
      return std::string(e.what());
    }
  };
}

// What encoding-type=url would have changed.
bool looks_encoded(const std::string& name) { return url_decode(name) != name; }

// Whether a listing that does not say it is encoded: its first name that may be is looked up as it is.
bool is_encoded(const char* operation, const Location& bucket, const S3Page& page) {
  Location found = bucket;
  for (const S3Object& object : page.objects) {
    if (!looks_encoded(object.key)) continue;
    found.key = object.key;
    if (head(operation, found)) return false;
    found.key = url_decode(object.key);
    return head(operation, found).has_value();
  }
  for (const std::string& prefix : page.prefixes) {
    if (!looks_encoded(prefix)) continue;
    S3Call call{.operation = operation, .target = bucket, .method = "GET", .verify = must_parse(parse_list)};
    call.query = {{"prefix", prefix}, {"max-keys", "1"}};
    if (!current_config()->is_obs) call.query.emplace_back("list-type", "2");
    return parse_list(s3_call(call).body).objects.empty();
  }
  return false;
}

void decode(S3Page& page) {
  for (S3Object& object : page.objects) object.key = url_decode(object.key);
  for (std::string& prefix : page.prefixes) prefix = url_decode(prefix);
  if (page.next_is_name) page.next = url_decode(page.next);
}

// With a delimiter, "p/" is followed by what does not begin with it.
std::string behind(const std::string& name, const std::string& delimiter) {
  constexpr char kLastCharacter[] = "\xF4\x8F\xBF\xBF";
  const bool folder = !delimiter.empty() && !name.empty() && name.back() == '/';
  return folder ? name + kLastCharacter : name;
}

// Attempts whose answer was lost may have begun uploads of which nobody knows the name: those of this key and these
// seconds, at most as many as there were.
void abort_lost_beginnings(const Upload& upload, const HttpResponse& last, int attempts, double seconds) {
  const int64_t now = parse_time_nsec(last.header("date"));
  if (attempts < 2 || now == 0) return;
  constexpr int64_t kSecond = 1000000000;
  const int64_t earliest = now - static_cast<int64_t>((seconds + 2) * 1e9);
  try {
    for (const S3Upload& other : list_uploads("abort upload", upload.object)) {
      const bool ours = other.key == upload.object.key && other.upload_id != upload.id &&
                        other.initiated_nsec >= earliest && other.initiated_nsec <= now + kSecond;
      if (ours && --attempts > 0) abort_upload({upload.object, other.upload_id});
    }
  } catch (const Error& e) {
    log_debug(std::string("uploads that a repeated request left could not be looked for: ") + e.what());
  }
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
  call.verify = must_be("InitiateMultipartUploadResult");
  const auto begin = std::chrono::steady_clock::now();
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
  const Upload upload{object, id, checksums, mark};
  abort_lost_beginnings(upload, response, call.attempts_made,
                        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  return upload;
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
  call.verify = stored_problem;
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
  if (const std::string value = if_match_value(src_etag); !value.empty())
    call.headers.emplace_back("x-amz-copy-source-if-match", value);
  call.verify = must_be("CopyPartResult");
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
  call.verify = must_be("CompleteMultipartUploadResult");
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
    const auto there = head(operation, upload.object);
    const bool ours = there && (etag.empty() || without_weak_mark(there->etag) == without_weak_mark(etag));
    const bool whole =
        ours && there->size == size && (full_crc.empty() || there->crc32c.empty() || there->crc32c == full_crc);
    if (!there || (ours && !whole))
      throw LostUpload(std::string(operation) + " '" + upload.object.str() +
                       "': the store says that the upload is complete, but " +
                       (there ? "the object has " + std::to_string(there->size) +
                                    " bytes or another checksum, expected " + std::to_string(size) + " bytes"
                              : "the object is not there") +
                       ": it lost it while it was interrupted; write it again");
  }
  if (upload.mark) upload.mark->remove();
  return etag;
}

bool abort_upload_or_throw(const Upload& upload) {
  S3Call call{.operation = "abort upload",
              .target = upload.object,
              .method = "DELETE",
              .query = {{"uploadId", upload.id}},
              .accept_statuses = {404}};
  const HttpResponse response = s3_call(call);
  if (upload.mark) upload.mark->remove();
  return response.status < 300;
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
                .accept_statuses = {404},
                .verify = must_parse(parse_parts)};
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
  std::vector<S3Upload> uploads;
  std::string key, id;
  for (;;) {
    S3Call call{.operation = operation,
                .target = bucket,
                .method = "GET",
                .query = {{"uploads", ""}, {"prefix", prefix.key}, {"encoding-type", "url"}},
                .verify = must_parse(parse_uploads)};
    if (!key.empty()) call.query.insert(call.query.end(), {{"key-marker", key}, {"upload-id-marker", id}});
    const S3UploadPage page = parse_uploads(s3_call(call).body);
    for (const S3Upload& upload : page.uploads)
      if (upload.key.rfind(prefix.key, 0) == 0) uploads.push_back(upload);
    const bool goes_on = page.next_key > key || (page.next_key == key && page.next_upload_id != id);
    if (!page.truncated || page.next_key.empty() || !goes_on) return uploads;
    key = page.next_key;
    id = page.next_upload_id;
  }
}

S3Page list_page(const char* operation, const Location& prefix, const std::string& delimiter, const PageStart& from,
                 int max_keys) {
  Location bucket = prefix;
  bucket.key.clear();
  const bool version_1 = current_config()->is_obs;
  S3Call call{.operation = operation, .target = bucket, .method = "GET", .verify = must_parse(parse_list)};
  call.query = {{"prefix", prefix.key}, {"max-keys", std::to_string(max_keys)}, {"encoding-type", "url"}};
  if (!version_1) call.query.emplace_back("list-type", "2");
  if (!delimiter.empty()) call.query.emplace_back("delimiter", delimiter);
  if (!from.text.empty() && version_1) call.query.emplace_back("marker", from.text);
  if (!from.text.empty() && !version_1)
    call.query.emplace_back(from.is_name ? "start-after" : "continuation-token",
                            from.is_name ? behind(from.text, delimiter) : from.text);
  S3Page page = parse_list(s3_call(call).body);
  if (!page.encoding_told && is_encoded(operation, bucket, page)) decode(page);
  const auto check = [&](const std::string& name) {
    if (name.rfind(prefix.key, 0) != 0)
      throw DataError(std::string(operation) + " '" + prefix.str() + "' at " + current_config()->endpoint() +
                      ": the store was asked for names that begin with '" + prefix.key + "' and lists '" + name +
                      "': its listings cannot be relied on, nothing is done by them");
  };
  for (const S3Object& object : page.objects) check(object.key);
  for (const std::string& name : page.prefixes) check(name);
  return page;
}

}  // namespace mox::file::s3
