#include "file/s3_request.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <thread>

#include "file/checksum.h"
#include "file/s3_route.h"
#include "file/s3_xml.h"
#include "moxing/file_error.h"
#include "moxing/log.h"

namespace mox::file {
namespace {

constexpr double kLongestWait = 5;         // seconds between two attempts
constexpr double kLongestServerWait = 30;  // when the server names a time itself
constexpr int kUnresolvedAttempts = 3;     // a wrong host name will not get right
constexpr int kCorruptedAttempts = 3;
constexpr int kMostDetours = 3;  // of one call: another region, another clock

std::string hash_body(const BodySource* body) {
  if (!body || body->size == 0) return kEmptyPayload;
  Digest digest(Digest::Kind::kSha256);
  std::vector<char> buffer(static_cast<size_t>(std::min<int64_t>(body->size, 256 << 10)));
  for (int64_t done = 0; done < body->size;) {
    const int64_t got =
        body->read(done, buffer.data(), std::min<int64_t>(static_cast<int64_t>(buffer.size()), body->size - done));
    digest.update(buffer.data(), static_cast<size_t>(got));
    done += got;
  }
  return digest.hex();
}

HttpRequest signed_request(const S3Call& call, const Config& config, const Route& route, long skew) {
  SignInput input;
  input.method = call.method;
  const bool in_path = route.path_style;
  input.host = in_path ? route.host : call.target.bucket + "." + route.host;
  input.path = in_path && !call.target.bucket.empty() ? "/" + call.target.bucket : "";
  if (!call.target.key.empty() || input.path.empty()) input.path += "/" + call.target.key;
  input.query = call.query;
  input.headers = call.headers;
  input.payload_hash = call.payload_hash;

  HttpRequest request;
  if (!config.ak.empty()) {
    input.amz_date = amz_date_now(skew);
    input.headers.emplace_back("x-amz-date", input.amz_date);
    input.headers.emplace_back("x-amz-content-sha256", input.payload_hash);
    if (!config.token.empty()) input.headers.emplace_back("x-amz-security-token", config.token);
    request.header_lines.push_back("authorization: " +
                                   authorization(input, {config.ak, config.sk, config.token, route.region}));
  }
  for (const auto& [name, value] : input.headers) request.header_lines.push_back(name + ": " + value);
  request.header_lines.push_back("Host: " + input.host);
  request.method = call.method;
  request.url = http_url(input.host, config.is_secure) + percent_encode(input.path, true);
  if (const std::string query = encode_query(input.query); !query.empty()) request.url += "?" + query;
  request.body = call.body;
  request.on_headers = call.on_headers;
  request.on_data = call.on_data;
  return request;
}

// What the server says must not repeat what we sent to authenticate.
std::string redacted(std::string text, const Config& config) {
  for (const std::string& secret : {config.sk, config.token, config.ak}) {
    if (secret.empty()) continue;
    for (size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at))
      text.replace(at, secret.size(), "***");
  }
  return text;
}

Response describe(const S3Call& call, const HttpResponse& response, const Config& config) {
  Response result;
  const S3Error error = parse_error(response.body);
  result.status = response.status;
  result.code = error.code;
  result.message = redacted(error.message, config);
  result.request_id = response.header("x-amz-request-id");
  if (result.request_id.empty()) result.request_id = response.header("x-obs-request-id");
  if (result.request_id.empty()) result.request_id = error.request_id;
  result.host = config.host;
  result.resource = "/" + call.target.bucket + (call.target.key.empty() ? "" : "/" + call.target.key);
  // The answer to a HEAD has no body. That a bucket is gone, and all that is in it, a store must say itself.
  const bool may_be_bare = call.method == "HEAD" || (call.method == "GET" && !call.target.key.empty());
  if (result.code.empty() && result.status == 404 && may_be_bare)
    result.code = call.target.key.empty() ? "NoSuchBucket" : "NoSuchKey";
  if (result.code.empty() && result.status == 403) result.code = "AccessDenied";
  if (result.code.empty() && result.status == 412) result.code = "PreconditionFailed";
  return result;
}

constexpr char kNoKey[] = "no access key is set: give ak and sk to set_auth, or set MOX_AK and MOX_SK";

std::string advice(const S3Call& call, const Response& response, const Config& config) {
  const std::string& code = response.code;
  if (config.ak.empty() && response.status == 403) return kNoKey;
  if (code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch" || code == "ExpiredToken" ||
      code == "InvalidToken")
    return "check ak, sk and token in set_auth or the environment";
  if (response.status == 403) return "check ak and sk, and what the bucket's policy allows them";
  if (code == "NoSuchBucket")
    return "check the bucket's name, or make it with make_dirs('s3://" + call.target.bucket + "')";
  if (code.rfind("NoSuch", 0) == 0) return "check the path";
  if (response.status == 404) return "check the path, and ak and sk";
  if (response.status == 412) return "the object was changed meanwhile: start again";
  if (response.status == 429 || response.status == 503)
    return "the store is overloaded: use fewer threads, or more retries";
  if (response.status >= 500) return "the store failed: give its operator the request id";
  return "see the store's documentation for this code";
}

std::string error_text(const S3Call& call, const Response& response, const Config& config, const std::string& hint) {
  std::string text = std::string(call.operation) + " '" + call.target.str() + "' at " + config.endpoint() +
                     ": status " + std::to_string(response.status) + (response.code.empty() ? "" : " " + response.code);
  if (!response.message.empty()) text += ": " + response.message;
  if (!response.request_id.empty()) text += " (request id " + response.request_id + ")";
  if (call.attempts_made > 1) text += " after " + std::to_string(call.attempts_made) + " attempts";
  return text + "; " + (hint.empty() ? advice(call, response, config) : hint);
}

[[noreturn]] void throw_no_answer(const S3Call& call, const HttpResult& result, const Config& config) {
  Response response = describe(call, result.response, config);
  const std::string where = std::string(call.operation) + " '" + call.target.str() + "' at " + config.endpoint();
  const std::string tries = " (attempts: " + std::to_string(call.attempts_made) + ")";
  if (response.status >= 200 && response.status < 300) {
    response.code = "";
    throw MoxFileReadException(where + ": the answer broke after status " + std::to_string(response.status) + ": " +
                                   result.error + tries + "; check the network and try again",
                               response);
  }
  response.code = "";
  throw MoxFileRespException(where + ": no answer: " + result.error + tries + "; " +
                                 (config.ak.empty() ? std::string(kNoKey) + "; " : "") +
                                 "check server, port and is_secure in set_auth or the environment, and the network",
                             response);
}

// Where a bucket is, asked when a refusal does not say it: true when something was learned. A store answers that,
// unlike the rest, to what was signed for its main region.
bool ask_location(const S3Call& call, const HttpResponse& refused, const Config& config, const Route& used, long skew) {
  const S3Error error = parse_error(refused.body);
  const bool about_region = error.code == "AuthorizationHeaderMalformed" || refused.status == 301;
  if (!about_region || !error.region.empty() || config.ak.empty() || call.target.bucket.empty()) return false;
  S3Call ask{.operation = call.operation, .target = call.target, .method = "GET", .query = {{"location", ""}}};
  ask.target.key.clear();
  ask.payload_hash = kEmptyPayload;
  Route main = used;
  main.region = "us-east-1";
  const HttpResult result = http_perform(signed_request(ask, config, main, skew), config);
  if (result.failure != HttpFailure::kNone || result.response.status != 200) return false;
  try {
    HttpResponse told;
    told.status = 301;
    told.headers["x-amz-bucket-region"] = parse_location(result.response.body);
    return learn_route(config, call.target.bucket, used, told, {});
  } catch (const DataError&) {
    return false;
  }
}

enum class Next { kDone, kRepeat, kGiveUp };

// What an answer of the server asks for.
Next judge_response(const S3Call& call, const HttpResponse& response, int attempt) {
  if (response.status < 300) return Next::kDone;
  const S3Error error = parse_error(response.body);
  const int s = response.status;
  if (s == 408 || s == 429 || s == 500 || s == 502 || s == 503 || s == 504) return Next::kRepeat;
  if (error.code == "RequestTimeout" || error.code == "SlowDown" || error.code == "InternalError") return Next::kRepeat;
  const bool corrupted = error.code == "BadDigest" || error.code == "XAmzContentSHA256Mismatch" ||
                         error.code == "XAmzContentChecksumMismatch" || error.code == "IncompleteBody";
  if (corrupted && attempt < kCorruptedAttempts) return Next::kRepeat;
  const auto& accepted = call.accept_statuses;
  return std::find(accepted.begin(), accepted.end(), s) != accepted.end() ? Next::kDone : Next::kGiveUp;
}

Next judge_failure(const HttpResult& result, int attempt) {
  if (result.failure == HttpFailure::kPermanent) return Next::kGiveUp;
  const bool unresolved = result.error.find("resolve") != std::string::npos;
  if (result.failure == HttpFailure::kUnreachable && unresolved && attempt >= kUnresolvedAttempts) return Next::kGiveUp;
  return Next::kRepeat;
}

void wait_before(int attempt, const HttpResponse& response, const Config& config) {
  thread_local std::mt19937 generator(std::random_device{}());
  double seconds = std::min(kLongestWait, config.retry_wait * std::pow(2.0, attempt - 1));
  seconds *= std::uniform_real_distribution<double>(0.5, 1.0)(generator);
  if (const int64_t asked = response.number("retry-after"); asked > 0)
    seconds = std::max(seconds, std::min<double>(static_cast<double>(asked), kLongestServerWait));
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace

void throw_response(const S3Call& call, const HttpResponse& response, const Config& config) {
  const Response described = describe(call, response, config);
  const std::string hint = refusal_hint(config, call.target.bucket, response, parse_error(response.body));
  const std::string text = error_text(call, described, config, redacted(hint, config));
  // Some servers answer 404, too, when it is the user that they do not know.
  if (response.status == 404 && described.code.rfind("NoSuch", 0) == 0)
    throw MoxFileNotExistsException(text, described);
  throw MoxFileRespException(text, described);
}

HttpResponse s3_call(S3Call& call) {
  const auto config = current_config();
  if (call.payload_hash.empty()) call.payload_hash = hash_body(call.body);
  int detours = 0;
  for (int attempt = 1;; ++attempt) {
    call.attempts_made = attempt;
    if (attempt > 1 && call.before_repeat) call.before_repeat(call);
    const Route route = route_of(*config, call.target.bucket);
    const long skew = clock_skew(*config);
    HttpResult result = http_perform(signed_request(call, *config, route, skew), *config);
    if (result.failure == HttpFailure::kNone && result.response.status >= 300 && detours < kMostDetours) {
      const S3Error error = parse_error(result.response.body);
      if (learn_clock(*config, skew, result.response, error) ||
          learn_route(*config, call.target.bucket, route, result.response, error) ||
          ask_location(call, result.response, *config, route, skew)) {
        ++detours;
        continue;
      }
    }
    if (result.failure == HttpFailure::kNone && result.response.status < 300 && call.verify) {
      result.error = call.verify(result.response);
      if (!result.error.empty()) result.failure = HttpFailure::kBroken;
    }
    const bool answered = result.failure == HttpFailure::kNone;
    const Next next = answered ? judge_response(call, result.response, attempt) : judge_failure(result, attempt);
    if (next == Next::kDone) return std::move(result.response);
    if (next == Next::kGiveUp || attempt - detours >= config->attempts) {
      if (answered) throw_response(call, result.response, *config);
      throw_no_answer(call, result, *config);
    }
    log_debug(std::string(call.operation) + " '" + call.target.str() + "': attempt " + std::to_string(attempt) + ": " +
              (answered ? "status " + std::to_string(result.response.status) : result.error) + ", trying again");
    wait_before(attempt, result.response, *config);
  }
}

}  // namespace mox::file
