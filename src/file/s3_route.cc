#include "file/s3_route.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <map>

#include "base/mutex.h"
#include "base/text.h"
#include "base/url.h"
#include "file/host_family.h"
#include "moxing/log.h"

namespace mox::file {
namespace {

constexpr long kClocksAgree = 300;  // seconds; stores allow 900

struct Learned {
  std::string host, region;  // "": as configured
};

struct Memory {
  Mutex mu;
  std::map<std::string, Learned> buckets MOX_GUARDED_BY(mu);  // by host and bucket
  std::map<std::string, long> clocks MOX_GUARDED_BY(mu);      // by host
};

Memory& memory() {
  static auto* instance = new Memory;
  return *instance;
}

std::string bucket_key(const Config& config, const std::string& bucket) { return config.host + "\n" + bucket; }

// Virtual-host style needs a bucket that is one component of a host's name; with dots no certificate of the store fits.
bool fits_in_host(const Config& config, const std::string& bucket) {
  for (const char c : bucket)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || (c == '.' && !config.is_secure)))
      return false;
  return true;
}

struct Redirection {
  std::string host;  // "" when the answer names none
  bool other_scheme = false;
};

// Where an answer sends us: an <Endpoint>, or a Location. The bucket is taken off the name.
Redirection redirection_of(const Config& config, const std::string& bucket, const HttpResponse& response,
                           const S3Error& error) {
  if (response.status != 301 && response.status != 307) return {};
  std::string text = error.endpoint.empty() ? response.header("location") : error.endpoint;
  Redirection result;
  if (const auto [scheme, rest] = split_url(text); !scheme.empty()) {
    result.other_scheme = lower_case(scheme) != (config.is_secure ? "https" : "http");
    text = std::string(rest);
  } else if (!text.empty() && text[0] == '/') {
    return {};
  }
  text = lower_case(text.substr(0, text.find_first_of("/?#")));
  if (text.find('@') != std::string::npos) text.erase(0, text.rfind('@') + 1);
  if (!bucket.empty() && text.rfind(lower_case(bucket) + ".", 0) == 0) text.erase(0, bucket.size() + 1);
  if (const auto [name, port] = split_port(text); port == (config.is_secure ? ":443" : ":80")) text = name;
  result.host = text;
  return result;
}

std::string wanted_region(const HttpResponse& response, const S3Error& error) {
  const int s = response.status;
  if (s != 400 && s != 403 && s != 301 && s != 307) return "";
  const std::string told = response.header("x-amz-bucket-region");
  return told.empty() ? error.region : told;
}

// 0 when the answer does not tell the time.
int64_t store_time(const HttpResponse& response, const S3Error& error) {
  int64_t told = parse_time_nsec(response.header("date"));
  if (told == 0) told = parse_time_nsec(error.server_time);
  return told / 1000000000;
}

bool is_valid_region(const std::string& region) {
  return !region.empty() && region.size() <= 64 && std::all_of(region.begin(), region.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_';
  });
}

}  // namespace

Route route_of(const Config& config, const std::string& bucket) {
  Route route{config.host, config.region, config.path_style || bucket.empty() || !fits_in_host(config, bucket)};
  Memory& m = memory();
  MutexLock lock(m.mu);
  const auto found = m.buckets.find(bucket_key(config, bucket));
  if (found == m.buckets.end()) return route;
  if (!found->second.host.empty()) route.host = found->second.host;
  if (!found->second.region.empty()) route.region = found->second.region;
  return route;
}

long clock_skew(const Config& config) {
  Memory& m = memory();
  MutexLock lock(m.mu);
  const auto found = m.clocks.find(config.host);
  return found == m.clocks.end() ? 0 : found->second;
}

bool learn_route(const Config& config, const std::string& bucket, const Route& used, const HttpResponse& response,
                 const S3Error& error) {
  const int s = response.status;
  if (bucket.empty() || (s != 400 && s != 403 && s != 301 && s != 307)) return false;
  const Redirection redirection = redirection_of(config, bucket, response, error);
  const bool may_follow =
      !redirection.host.empty() && !redirection.other_scheme && same_host_family(config.host, redirection.host);
  std::string region = wanted_region(response, error), host;
  if (may_follow) host = redirection.host;
  if (region.empty() && may_follow) region = region_of_host(host);
  if (region.empty()) region = used.region;
  if (!is_valid_region(region)) return false;
  if (host.empty()) host = host_in_region(used.host, region);
  if (host.empty()) host = used.host;
  const bool new_here = host != used.host || region != used.region;

  Memory& m = memory();
  MutexLock lock(m.mu);
  Learned& learned = m.buckets[bucket_key(config, bucket)];
  const std::string& now_host = learned.host.empty() ? config.host : learned.host;
  const std::string& now_region = learned.region.empty() ? config.region : learned.region;
  if (now_host != used.host || now_region != used.region) return true;  // another request has learned meanwhile
  if (!new_here) {
    // What was learned is refused, and nothing better is told: back to what the user said.
    const bool about_keys = error.code == "AuthorizationHeaderMalformed" || error.code == "SignatureDoesNotMatch" ||
                            error.code == "PermanentRedirect";
    if (!about_keys || (learned.host.empty() && learned.region.empty())) return false;
    learned = {};
    return true;
  }
  learned = {host == config.host ? "" : host, region};
  log_warning("bucket '" + bucket + "' at " + config.endpoint() + " is in region '" + region + "'" +
              (host == config.host ? "" : " at '" + host + "'") + ", not '" + used.region +
              "': going on with that; set region (AWS_REGION) " + (host == config.host ? "" : "and server ") +
              "to save the detour");
  return true;
}

bool learn_clock(const Config& config, long used, const HttpResponse& response, const S3Error& error) {
  if (error.code != "RequestTimeTooSkewed" && error.code != "RequestExpired") return false;
  Memory& m = memory();
  MutexLock lock(m.mu);
  long& skew = m.clocks[config.host];
  if (skew != used) return true;  // another request has learned meanwhile
  const int64_t server = store_time(response, error);
  if (server == 0) {
    if (skew == 0) return false;
    skew = 0;  // what was learned is refused, and nothing better is told
    return true;
  }
  const long told = static_cast<long>(server - std::time(nullptr));
  if (std::labs(told - skew) < 2) return false;
  skew = told;
  if (std::labs(told) > kClocksAgree)
    log_warning("this machine's clock is " + std::to_string(std::labs(told)) + " s " +
                (told > 0 ? "behind" : "ahead of") + " that of " + config.endpoint() +
                ": requests are signed with the store's time; set the clock");
  return true;
}

std::string refusal_hint(const Config& config, const std::string& bucket, const HttpResponse& response,
                         const S3Error& error) {
  const int s = response.status;
  const bool refused = s == 400 || s == 401 || s == 403;
  const bool skewed = error.code == "RequestTimeTooSkewed" || error.code == "RequestExpired";
  if (refused || skewed) {
    const int64_t server = store_time(response, error);
    const int64_t told = server - std::time(nullptr);
    if (server != 0 && std::abs(told) > kClocksAgree)
      return "this machine's clock is " + std::to_string(std::abs(told)) + " s " + (told > 0 ? "behind" : "ahead of") +
             " the store's: set it right";
    if (skewed) return "the clocks of this machine and of the store differ: set this machine's right";
  }
  const std::string region = wanted_region(response, error), used = route_of(config, bucket).region;
  const Redirection redirection = redirection_of(config, bucket, response, error);
  std::string hint;
  if (!region.empty() && region != config.region)
    hint =
        "the request was signed for region '" + used + "', the store expects '" + region + "': set region (AWS_REGION)";
  if (!redirection.host.empty() && redirection.host != config.host)
    hint += (hint.empty() ? "" : "; ") + std::string("the store sends to '") + redirection.host + "'" +
            (redirection.other_scheme ? " by another scheme" : "") +
            ", which was not followed: keys go to no other domain; set server to it if that is right";
  if (hint.empty() && (error.code == "AuthorizationHeaderMalformed" || s == 301 || s == 307))
    hint = "the request was signed for region '" + used +
           "', and the store does not say which one it expects: set region "
           "(AWS_REGION) and server to the bucket's";
  return hint;
}

}  // namespace mox::file
