// Objects: head, get, put, copy, remove. Multipart uploads and listings are in s3_multipart.cc.
#include "file/s3_client.h"

#include <algorithm>
#include <charconv>

#include "file/checksum.h"
#include "file/s3_checksums.h"
#include "file/s3_request.h"
#include "moxing/file_error.h"

namespace mox::file::s3 {
namespace {

bool looks_like_md5(const std::string& etag) {
  return etag.size() == 32 && etag.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
}

std::string unquoted(std::string etag) {
  etag.erase(std::remove(etag.begin(), etag.end(), '"'), etag.end());
  return etag;
}

ObjectInfo info_of(const HttpResponse& response) {
  ObjectInfo info;
  info.size = std::max<int64_t>(0, response.number("content-length"));
  if (response.status == 206) {
    const std::string range = response.header("content-range");  // bytes 0-9/100
    const size_t slash = range.rfind('/');
    if (slash != std::string::npos) std::from_chars(range.data() + slash + 1, range.data() + range.size(), info.size);
  }
  info.mtime_nsec = parse_time_nsec(response.header("last-modified"));
  info.etag = unquoted(response.header("etag"));
  info.source_mtime = response.header(kSourceTime);
  info.copied_from = response.header(kCopiedFrom);
  const std::string crc = response.header("x-amz-checksum-crc32c");
  // A checksum of checksums ends with "-<parts>".
  if (response.header("x-amz-checksum-type") != "COMPOSITE" && crc.find('-') == std::string::npos) info.crc32c = crc;
  const std::string encryption = response.header("x-amz-server-side-encryption");
  info.etag_is_md5 = looks_like_md5(info.etag) && (encryption.empty() || encryption == "AES256") &&
                     response.header("x-amz-server-side-encryption-customer-algorithm").empty();
  return info;
}

// HEAD hides the server's reason; a GET of one byte tells it.
[[noreturn]] void throw_with_reason(const char* operation, const Location& object) {
  S3Call call{.operation = operation, .target = object, .method = "GET"};
  if (!object.key.empty()) call.headers = {{"range", "bytes=0-0"}};
  if (object.key.empty()) call.query = {{"max-keys", "1"}};
  s3_call(call);
  throw MoxFileRespException(std::string(operation) + " '" + object.str() +
                                 "': the store refuses HEAD with status 403 but "
                                 "allows GET; allow both in the bucket's policy",
                             {403, "AccessDenied", "", "", "", ""});
}

// The state of a download that may be broken off and gone on with.
struct Download {
  const GetOptions& options;
  std::string etag;
  ObjectInfo info;
  bool have_info = false;
  int64_t received = 0;
  int64_t to_skip = 0;  // a server that ignores Range sends what was not asked for

  int64_t expected() const {
    const int64_t rest = std::max<int64_t>(0, info.size - options.offset);
    return options.length < 0 ? rest : std::min(rest, options.length);
  }
  std::string range() const {
    const int64_t first = options.offset + received;
    return "bytes=" + std::to_string(first) + "-" +
           (options.length < 0 ? "" : std::to_string(options.offset + options.length - 1));
  }
  void set_headers(S3Call& call) const {
    call.headers.clear();
    if (options.ranged || received > 0) call.headers.emplace_back("range", range());
    if (!etag.empty()) call.headers.emplace_back("if-match", "\"" + etag + "\"");
    if (!options.ranged && received == 0 && checksums_supported())
      call.headers.emplace_back("x-amz-checksum-mode", "ENABLED");
  }
};

[[noreturn]] void throw_changed(const char* operation, const Location& object, const HttpResponse& response) {
  throw MoxFileReadException(
      std::string(operation) + " '" + object.str() + "': the object was replaced while it was read; read it again",
      {response.status, "PreconditionFailed", "", response.header("x-amz-request-id"), current_config()->host,
       "/" + object.bucket + "/" + object.key});
}

}  // namespace

std::optional<ObjectInfo> head(const char* operation, const Location& object) {
  S3Call call{.operation = operation, .target = object, .method = "HEAD", .accept_statuses = {400, 403, 404}};
  if (checksums_supported()) call.headers = {{"x-amz-checksum-mode", "ENABLED"}};
  const HttpResponse response = s3_call(call);
  if (response.status == 404) return std::nullopt;
  if (response.status >= 300) throw_with_reason(operation, object);
  return info_of(response);
}

bool bucket_exists(const char* operation, const Location& bucket) {
  Location target = bucket;
  target.key.clear();
  S3Call call{.operation = operation, .target = target, .method = "HEAD", .accept_statuses = {400, 403, 404}};
  const HttpResponse response = s3_call(call);
  if (response.status == 404) return false;
  if (response.status >= 300) throw_with_reason(operation, target);
  return true;
}

void create_bucket(const char* operation, const Location& bucket) {
  Location target = bucket;
  target.key.clear();
  S3Call call{.operation = operation, .target = target, .method = "PUT"};
  s3_call(call);
}

void remove_bucket(const char* operation, const Location& bucket) {
  Location target = bucket;
  target.key.clear();
  S3Call call{.operation = operation, .target = target, .method = "DELETE", .accept_statuses = {404}};
  s3_call(call);
}

ObjectInfo get(const char* operation, const Location& object, const GetOptions& options,
               const std::function<void(const ObjectInfo&)>& on_info,
               const std::function<void(const char*, size_t)>& on_data) {
  Download download{options, options.etag, {}, false, 0, 0};
  S3Call call{.operation = operation, .target = object, .method = "GET", .accept_statuses = {412, 416}};
  download.set_headers(call);
  call.on_headers = [&](const HttpResponse& response) {
    download.to_skip = response.status == 200 ? options.offset + download.received : 0;
    if (download.have_info) {
      download.info.size = info_of(response).size;  // the same object by its ETag: the first answer's length was wrong
      return;
    }
    download.have_info = true;
    download.info = info_of(response);
    download.etag = download.info.etag;
    if (on_info) on_info(download.info);
  };
  call.on_data = [&](const char* data, size_t size) {
    const int64_t skipped = std::min<int64_t>(download.to_skip, static_cast<int64_t>(size));
    download.to_skip -= skipped;
    const int64_t wanted =
        std::min<int64_t>(static_cast<int64_t>(size) - skipped, download.expected() - download.received);
    if (wanted <= 0) return;
    on_data(data + skipped, static_cast<size_t>(wanted));
    download.received += wanted;
  };
  call.verify = [&](const HttpResponse&) {
    if (download.received == download.expected()) return std::string();
    return "the body had " + std::to_string(download.received) + " bytes, expected " +
           std::to_string(download.expected());
  };
  call.before_repeat = [&](S3Call& again) { download.set_headers(again); };
  const HttpResponse response = s3_call(call);
  if (response.status == 412) throw_changed(operation, object, response);
  if (response.status == 416 && download.received > 0) {  // it ends where we are: the first answer's length was wrong
    download.info.size = options.offset + download.received;
    return download.info;
  }
  if (response.status == 416 && options.offset > 0) return download.info;
  if (response.status == 416) {  // an empty object has no first byte
    GetOptions whole = options;
    whole.ranged = false;
    return get(operation, object, whole, on_info, on_data);
  }
  return download.info;
}

PutResult put(const char* operation, const Location& object, const BodySource& body, const PutOptions& options) {
  const BodyHash hash = hash_body(body);
  S3Call call{.operation = operation, .target = object, .method = "PUT", .body = &body, .payload_hash = hash.sha256};
  if (options.source_mtime_nsec != 0) call.headers.emplace_back(kSourceTime, std::to_string(options.source_mtime_nsec));
  const HttpResponse response = call_with_checksum(call, hash.crc32c);
  return {unquoted(response.header("etag"))};
}

void copy_object(const char* operation, const Location& src, const Location& dst) {
  S3Call call{.operation = operation, .target = dst, .method = "PUT"};
  call.headers = {{"x-amz-copy-source", percent_encode("/" + src.bucket + "/" + src.key, true)}};
  // The answer may begin with 200 and end with an error.
  call.verify = [](const HttpResponse& response) {
    const S3Error error = parse_error(response.body);
    return error.code.empty() ? "" : error.code + ": " + error.message;
  };
  s3_call(call);
}

void remove_object(const char* operation, const Location& object) {
  S3Call call{.operation = operation, .target = object, .method = "DELETE", .accept_statuses = {404}};
  s3_call(call);  // what is missing is removed already
}

void remove_objects(const char* operation, const Location& bucket, const std::vector<std::string>& keys) {
  if (keys.empty()) return;
  Location target = bucket;
  target.key.clear();
  const std::string text = delete_body(keys);
  const BodySource body = body_of(text);
  Digest md5(Digest::Kind::kMd5);
  md5.update(text.data(), text.size());
  S3Call call{.operation = operation, .target = target, .method = "POST", .query = {{"delete", ""}}, .body = &body};
  call.headers = {{"content-md5", base64_encode(md5.raw())}, {"content-type", "application/xml"}};
  const HttpResponse response = s3_call(call);
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

std::optional<int64_t> append_at(const char* operation, const Location& object, int64_t position,
                                 const BodySource& body) {
  S3Call call{.operation = operation, .target = object, .method = "POST", .body = &body, .accept_statuses = {405, 409}};
  call.query = {{"append", ""}, {"position", std::to_string(position)}};
  // Were it repeated after its answer was lost, the position would be behind: then the next one is what was wanted.
  const HttpResponse response = s3_call(call);
  const int64_t next = response.number("x-obs-next-append-position");
  if (response.status < 300) return next >= 0 ? next : position + body.size;
  if (response.status == 409 && call.attempts_made > 1 && next == position + body.size) return next;
  return std::nullopt;
}

}  // namespace mox::file::s3
