// Objects: put, copy, remove. HEAD is in s3_head.cc, GET in s3_get.cc, multipart uploads and listings in
// s3_multipart.cc.
#include "file/s3_client.h"

#include <strings.h>

#include <algorithm>

#include "file/checksum.h"
#include "file/s3_checksums.h"
#include "file/s3_object_info.h"
#include "file/s3_request.h"
#include "file/s3_stored.h"
#include "moxing/file_error.h"

namespace mox::file::s3 {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";

std::string md5_of(const BodySource& body) {
  Digest md5(Digest::Kind::kMd5);
  std::string buffer(static_cast<size_t>(std::clamp<int64_t>(body.size, 1, 1 << 20)), '\0');
  for (int64_t done = 0; done < body.size;) {
    const int64_t got =
        body.read(done, buffer.data(), std::min<int64_t>(static_cast<int64_t>(buffer.size()), body.size - done));
    md5.update(buffer.data(), static_cast<size_t>(got));
    done += got;
  }
  return md5.hex();
}

// Whether the store holds this body, by a checksum of its own.
bool is_there(const char* operation, const Location& object, const BodySource& body, uint32_t crc) {
  const auto there = head(operation, object);
  if (!there || there->size != body.size) return false;
  if (!there->crc32c.empty()) return there->crc32c == crc32c_base64(crc);
  return there->etag_is_md5 && ::strcasecmp(there->etag.c_str(), md5_of(body).c_str()) == 0;
}

// One by one: the request for several is XML, which cannot say every key, and not every store knows it.
void remove_one_by_one(const char* operation, const Location& bucket, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    Location object = bucket;
    object.key = key;
    // Stores whose listings are XML without encoding put U+FFFD for what XML cannot say: another key would be asked
    // for.
    if (key.find(kReplacement) != std::string::npos && !head(operation, object))
      throw DataError(
          std::string(operation) + " '" + object.str() + "' at " + current_config()->endpoint() +
          ": the store lists this name, but has no such object: its listings do not tell control characters; "
          "remove the object by its own name");
    remove_object(operation, object);
  }
}

void remove_together(const char* operation, const Location& target, const std::vector<std::string>& keys) {
  const std::string text = delete_body(keys);
  const BodySource body = body_of(text);
  Digest md5(Digest::Kind::kMd5);
  md5.update(text.data(), text.size());
  S3Call call{.operation = operation, .target = target, .method = "POST", .query = {{"delete", ""}}, .body = &body};
  call.headers = {{"content-md5", base64_encode(md5.raw())}, {"content-type", "application/xml"}};
  call.accept_statuses = {405, 501};
  call.verify = [](const HttpResponse& response) { return answer_problem(response.body, "DeleteResult"); };
  const HttpResponse response = s3_call(call);
  if (response.status >= 300) {  // not offered by this store
    remove_one_by_one(operation, target, keys);
    return;
  }
  const auto failures = parse_delete_failures(response.body);
  for (const DeleteFailure& failure : failures) {
    if (failure.code == "NoSuchKey") continue;
    Location object = target;
    object.key = failure.key;
    throw MoxFileRespException(std::string(operation) + " '" + object.str() + "' at " + current_config()->endpoint() +
                                   ": the store did not remove it: " + failure.code + ": " + failure.message +
                                   "; check what the bucket's policy allows",
                               {response.status, failure.code, failure.message, response.header("x-amz-request-id"),
                                current_config()->host, "/" + object.bucket + "/" + object.key});
  }
}

}  // namespace

std::string stored_problem(const HttpResponse& response) {
  const S3Error error = parse_error(response.body);
  if (!error.code.empty()) return "the answer says " + error.code + ": " + error.message;
  if (response.body.find_first_not_of(" \t\r\n") != std::string::npos && response.body.find("<?xml") != 0)
    return "the answer is not a store's: '" + response.body.substr(0, 60) + "'";
  if (response.header("etag").empty()) return "the answer has no ETag, as it has when the bytes are stored";
  return "";
}

void create_bucket(const char* operation, const Location& bucket) {
  Location target = bucket;
  target.key.clear();
  S3Call call{.operation = operation, .target = target, .method = "PUT"};
  call.verify = [&](const HttpResponse&) {
    return bucket_exists(operation, target) ? "" : "the store does not show the new bucket";
  };
  s3_call(call);
}

void remove_bucket(const char* operation, const Location& bucket) {
  Location target = bucket;
  target.key.clear();
  S3Call call{.operation = operation, .target = target, .method = "DELETE", .accept_statuses = {404}};
  const HttpResponse response = s3_call(call);
  if (response.status == 404 && bucket_exists(operation, target)) throw_response(call, response, *current_config());
}

PutResult put(const char* operation, const Location& object, const BodySource& body, const PutOptions& options) {
  const BodyHash hash = hash_body(body);
  S3Call call{.operation = operation, .target = object, .method = "PUT", .body = &body, .payload_hash = hash.sha256};
  if (options.source_mtime_nsec != 0) call.headers.emplace_back(kSourceTime, std::to_string(options.source_mtime_nsec));
  call.verify = [&](const HttpResponse& response) {
    const std::string problem = stored_problem(response);
    return problem.empty() || is_there(operation, object, body, hash.crc32c) ? std::string() : problem;
  };
  const HttpResponse response = call_with_checksum(call, hash.crc32c);
  return {unquoted(response.header("etag"))};
}

void copy_object(const char* operation, const Location& src, const Location& dst) {
  S3Call call{.operation = operation, .target = dst, .method = "PUT"};
  call.headers = {{"x-amz-copy-source", percent_encode("/" + src.bucket + "/" + src.key, true)}};
  call.verify = [](const HttpResponse& response) { return answer_problem(response.body, "CopyObjectResult"); };
  s3_call(call);
}

void remove_object(const char* operation, const Location& object) {
  S3Call call{.operation = operation, .target = object, .method = "DELETE", .accept_statuses = {404}};
  const auto still_there = [&](const HttpResponse& response) {
    const S3Error error = parse_error(response.body);
    if (response.status == 204 || error.code == "NoSuchKey" || error.code == "NoSuchBucket") return false;
    return head(operation, object).has_value();  // not in the form of a store: what is missing is removed already
  };
  call.verify = [&](const HttpResponse& response) {
    return still_there(response) ? "the object is still there after it" : "";
  };
  const HttpResponse response = s3_call(call);
  if (response.status == 404 && still_there(response)) throw_response(call, response, *current_config());
}

void remove_objects(const char* operation, const Location& bucket, const std::vector<std::string>& keys) {
  Location target = bucket;
  target.key.clear();
  std::vector<std::string> plain, odd;
  for (const std::string& key : keys)
    (xml_carries(key) && key.find(kReplacement) == std::string::npos ? plain : odd).push_back(key);
  if (!plain.empty()) remove_together(operation, target, plain);
  remove_one_by_one(operation, target, odd);
}

std::optional<int64_t> append_at(const char* operation, const Location& object, int64_t position,
                                 const BodySource& body) {
  S3Call call{.operation = operation, .target = object, .method = "POST", .body = &body, .accept_statuses = {405, 409}};
  call.query = {{"append", ""}, {"position", std::to_string(position)}};
  call.verify = [&](const HttpResponse& response) {
    const int64_t next = response.number("x-obs-next-append-position");
    if (next == position + body.size) return std::string();
    return "the answer says that the next append begins at " + std::to_string(next) + ", expected " +
           std::to_string(position + body.size);
  };
  // Were it repeated after its answer was lost, the position would be behind: then the next one is what was wanted.
  const HttpResponse response = s3_call(call);
  const int64_t next = response.number("x-obs-next-append-position");
  if (response.status < 300) return next;
  if (response.status == 409 && call.attempts_made > 1 && next == position + body.size) return next;
  return std::nullopt;
}

}  // namespace mox::file::s3
