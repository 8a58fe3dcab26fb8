// HEAD, and what to ask when its answer, which has no body, does not say enough.
#include <algorithm>
#include <charconv>

#include "file/s3_checksums.h"
#include "file/s3_object_info.h"
#include "file/s3_request.h"

namespace mox::file::s3 {
namespace {

constexpr char kMd5OfNothing[] = "d41d8cd98f00b204e9800998ecf8427e";

bool looks_like_md5(const std::string& etag) {
  return etag.size() == 32 && etag.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
}

int64_t number_at(const char* begin, const char* end, const char** rest) {
  int64_t value = -1;
  const auto [after, error] = std::from_chars(begin, end, value);
  *rest = after;
  return error == std::errc() && value >= 0 ? value : -1;
}

S3Page first_page(const char* operation, const Location& prefix) { return list_page(operation, prefix, "", {}, 1); }

// By a listing: for stores that tell a size in no header. kUnknownSize when that does not help either.
int64_t size_in_listing(const char* operation, const Location& object) {
  const S3Page page = first_page(operation, object);
  if (page.objects.empty() || page.objects[0].key != object.key || !page.objects[0].size_known) return kUnknownSize;
  return page.objects[0].size;
}

struct FirstByte {
  ObjectInfo info;
  bool empty = false;  // the object has no first byte
};

// Asks for one byte: its answer tells why HEAD was refused, and the size of the whole. nullopt: no such object.
std::optional<FirstByte> get_first_byte(const char* operation, const Location& object, const std::string& etag) {
  struct Enough {};
  HttpResponse head_of_answer;
  S3Call call{.operation = operation, .target = object, .method = "GET", .headers = {{"range", "bytes=0-0"}}};
  if (const std::string value = if_match_value(etag); !value.empty()) call.headers.emplace_back("if-match", value);
  call.accept_statuses = {404, 416};
  call.on_headers = [&](const HttpResponse& response) { head_of_answer = response; };
  call.on_data = [&](const char*, size_t) {
    if (head_of_answer.status == 200) throw Enough();  // a server that knows no ranges sends all
  };
  try {
    head_of_answer = s3_call(call);
  } catch (const Enough&) {
  }
  if (head_of_answer.status == 404) {
    const std::string code = parse_error(head_of_answer.body).code;
    if (code.empty() || code.rfind("NoSuch", 0) == 0) return std::nullopt;
    throw_response(call, head_of_answer, *current_config());
  }
  FirstByte found{info_of(head_of_answer), head_of_answer.status == 416};
  if (found.empty) found.info.size = 0;
  if (found.info.size == kUnknownSize) found.info.size = size_in_listing(operation, object);
  return found;
}

[[noreturn]] void throw_disagreement(const char* operation, const Location& object, const std::string& head,
                                     const std::string& get) {
  throw WrongBytes(std::string(operation) + " '" + object.str() + "' at " + current_config()->endpoint() +
                       ": HEAD says that the object has " + head + " bytes, GET says " + get +
                       "; nothing was changed: try again, and if it stays so, see to the store or the proxy before it",
                   {200, "SizesDisagree", "", "", current_config()->host, "/" + object.bucket + "/" + object.key});
}

HttpResponse ask_head(const char* operation, const Location& object) {
  S3Call call{.operation = operation, .target = object, .method = "HEAD"};
  call.accept_statuses = {301, 307, 400, 403, 404, 405, 501};
  if (checksums_supported()) call.headers = {{"x-amz-checksum-mode", "ENABLED"}};
  return s3_call(call);
}

}  // namespace

ContentRange content_range(const HttpResponse& response) {
  const std::string text = response.header("content-range");
  if (text.rfind("bytes ", 0) != 0) return {};
  const char* end = text.data() + text.size();
  const char* rest = nullptr;
  ContentRange range;
  range.first = number_at(text.data() + 6, end, &rest);
  const size_t slash = text.rfind('/');
  if (slash == std::string::npos) return range;
  range.total = number_at(text.data() + slash + 1, end, &rest);
  if (rest != end) range.total = kUnknownSize;
  return range;
}

std::string unquoted(std::string etag) {
  etag.erase(std::remove(etag.begin(), etag.end(), '"'), etag.end());
  return etag;
}

std::string without_weak_mark(const std::string& etag) { return etag.rfind("W/", 0) == 0 ? etag.substr(2) : etag; }

std::string if_match_value(const std::string& etag) {
  return etag.empty() || etag.rfind("W/", 0) == 0 ? "" : "\"" + etag + "\"";
}

ObjectInfo info_of(const HttpResponse& response) {
  ObjectInfo info;
  info.size = response.status == 206 || response.status == 416 ? content_range(response).total
                                                               : response.number("content-length");
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

bool is_trusted(const ObjectInfo& info) {
  constexpr int64_t kLargestObject = int64_t{1} << 50;  // no store has larger ones
  return (info.size > 0 && info.size <= kLargestObject) || (info.size == 0 && info.etag == kMd5OfNothing);
}

bool tells_object(const HttpResponse& response) {
  return response.status == 200 && !(response.header("etag").empty() && response.header("last-modified").empty());
}

std::optional<ObjectInfo> head(const char* operation, const Location& object) {
  HttpResponse response = ask_head(operation, object);
  if (tells_object(response))
    if (const ObjectInfo info = info_of(response); is_trusted(info)) return info;
  const auto got = get_first_byte(operation, object, "");
  if (!got) return std::nullopt;
  // The GET may have found the right region or the store's clock; and HEAD tells checksums, which a range has none of.
  response = ask_head(operation, object);
  if (tells_object(response)) {
    ObjectInfo info = info_of(response);
    if (info.size == kUnknownSize) info.size = got->info.size;
    if (info.size == got->info.size && info.size != kUnknownSize) return info;
    if (is_trusted(info) && got->info.size == kUnknownSize) return info;
    if (info.size != got->info.size && without_weak_mark(info.etag) != without_weak_mark(got->info.etag) &&
        is_trusted(info))
      return info;  // replaced between the two
  }
  if (got->info.size == kUnknownSize)
    throw MoxFileReadException(
        std::string(operation) + " '" + object.str() + "' at " + current_config()->endpoint() +
            ": no answer of the store tells the object's size, neither to HEAD nor to GET nor in a listing; see to the "
            "proxy before it",
        {response.status, "NoContentLength", "", "", current_config()->host, "/" + object.bucket + "/" + object.key});
  return got->info;
}

std::optional<ObjectInfo> head_checked(const char* operation, const Location& object) {
  constexpr int kTries = 3;
  for (int i = 1;; ++i) {
    const auto info = head(operation, object);
    if (!info) return std::nullopt;
    const auto got = get_first_byte(operation, object, info->etag);
    if (got && got->info.size == info->size) return info;
    if (i == kTries)
      throw_disagreement(operation, object, std::to_string(info->size),
                         !got                             ? "that there is none, and so 0"
                         : got->info.size == kUnknownSize ? "not how many"
                                                          : std::to_string(got->info.size));
  }
}

bool bucket_exists(const char* operation, const Location& bucket) {
  Location target = bucket;
  target.key.clear();
  S3Call call{.operation = operation, .target = target, .method = "HEAD"};
  call.accept_statuses = {301, 307, 400, 403, 404, 405, 501};
  if (s3_call(call).status < 300) return true;
  try {  // whose answer says why
    first_page(operation, target);
    return true;
  } catch (const MoxFileNotExistsException&) {
    return false;
  }
}

}  // namespace mox::file::s3
