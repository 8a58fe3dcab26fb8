#include "file/config.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/environment.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "file/endpoint.h"
#include "moxing/error.h"

namespace mox::file {
namespace {

struct Settings {
  Mutex mu;
  AuthOptions set MOX_GUARDED_BY(mu);  // what set_auth was given so far
  std::shared_ptr<const Config> resolved MOX_GUARDED_BY(mu);
};

Settings& settings() {
  static auto* instance = new Settings;
  return *instance;
}

std::optional<std::string> from_environment(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const char* value = std::getenv(name); value && *value) return std::string(value);
  return std::nullopt;
}

constexpr NumberLimit kLimits[] = {
    {"port", 1, 65535, true},         {"retry", 1, 1000, true},
    {"retry_wait", 0, 3600, false},   {"client_timeout", 0.001, 86400, false},
    {"list_max_keys", 1, 1000, true},
};

const NumberLimit& limit_of(std::string_view name) {
  return *std::find_if(std::begin(kLimits), std::end(kLimits), [&](const NumberLimit& l) { return l.name == name; });
}

// MOX_<NAME IN CAPITALS>, in the range that set_auth's argument of that name has.
std::optional<int> integer_from(const char* variable, std::string_view name) {
  const NumberLimit& limit = limit_of(name);
  const auto value =
      integer_in_environment(variable, static_cast<int64_t>(limit.low), static_cast<int64_t>(limit.high));
  return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

std::optional<double> number_from(const char* variable, std::string_view name) {
  return number_in_environment(variable, limit_of(name).low, limit_of(name).high);
}

template <typename Number>
void check_argument(const char* name, const std::optional<Number>& value) {
  if (!value) return;
  const NumberLimit& limit = limit_of(name);
  const std::string where = std::string("set_auth: ") + name;
  if (limit.whole)
    check_integer(where, static_cast<int64_t>(*value), static_cast<int64_t>(limit.low),
                  static_cast<int64_t>(limit.high));
  else
    check_number(where, static_cast<double>(*value), limit.low, limit.high);
}

template <typename T>
T pick(const std::optional<T>& set, const std::optional<T>& environment, T otherwise) {
  return set ? *set : environment ? *environment : otherwise;
}

// What set_auth was given, else the first of these environment variables that is set; with its name, for error texts.
struct Given {
  std::string name, value;
};
Given given(const char* argument, const std::optional<std::string>& set, std::initializer_list<const char*> names) {
  if (set) return {std::string("set_auth: ") + argument, *set};
  for (const char* name : names)
    if (const char* value = std::getenv(name); value && *value)
      return {std::string("environment variable ") + name, value};
  return {};
}
std::string word(const Given& what) { return trimmed_word(what.name, what.value); }

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string without_port(const std::string& host) {
  const size_t colon = host.rfind(':');
  return colon == std::string::npos || host.find(']', colon) != std::string::npos ? host : host.substr(0, colon);
}

std::string first_existing(std::initializer_list<const char*> paths) {
  for (const char* path : paths)
    if (::access(path, R_OK) == 0) return path;
  return "";
}

Config resolve(const AuthOptions& set) {
  Config config;
  config.ak = word(given("ak", set.ak, {"MOX_AK", "AWS_ACCESS_KEY_ID", "ACCESS_KEY_ID"}));
  config.sk = word(given("sk", set.sk, {"MOX_SK", "AWS_SECRET_ACCESS_KEY", "SECRET_ACCESS_KEY"}));
  config.token = word(given("token", set.token, {"MOX_TOKEN", "AWS_SESSION_TOKEN", "SECURITY_TOKEN"}));
  if (const std::string region = word(given("region", set.region, {"MOX_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"}));
      !region.empty())
    config.region = region;
  config.is_secure = pick(set.is_secure, bool_in_environment("MOX_IS_SECURE"), true);
  const Given server = given("server", set.server, {"MOX_SERVER", "AWS_ENDPOINT_URL", "S3_ENDPOINT"});
  const Endpoint endpoint = parse_endpoint(server.name, server.value);
  config.host = endpoint.host;
  if (!set.is_secure && endpoint.is_secure) config.is_secure = *endpoint.is_secure;
  if (config.host.empty()) config.host = "s3." + config.region + ".amazonaws.com";
  if (const int port = pick(set.port, integer_from("MOX_PORT", "port"), 0); port != 0)
    config.host = without_port(config.host) + ":" + std::to_string(port);
  // A default port is not part of the Host header that is signed.
  const std::string default_port = config.is_secure ? ":443" : ":80";
  if (ends_with(config.host, default_port)) config.host = without_port(config.host);

  const std::string name = without_port(config.host);
  config.is_obs = name.rfind("obs.", 0) == 0 || ends_with(name, ".myhuaweicloud.com");
  const bool public_cloud = config.is_obs || ends_with(name, ".amazonaws.com") || ends_with(name, ".amazonaws.com.cn");
  config.path_style = pick(set.path_style, bool_in_environment("MOX_PATH_STYLE"), !public_cloud);
  config.ssl_verify = pick(set.ssl_verify, bool_in_environment("MOX_SSL_VERIFY"), true);
  config.long_connections = pick(set.long_conn_mode, bool_in_environment("MOX_LONG_CONN_MODE"), true);
  config.attempts = pick(set.retry, integer_from("MOX_RETRY", "retry"), config.attempts);
  config.retry_wait = pick(set.retry_wait, number_from("MOX_RETRY_WAIT", "retry_wait"), config.retry_wait);
  config.timeout = pick(set.client_timeout, number_from("MOX_CLIENT_TIMEOUT", "client_timeout"), config.timeout);
  config.list_max_keys = pick(set.list_max_keys, integer_from("MOX_LIST_MAX_KEYS", "list_max_keys"), 1000);
  config.ca_bundle =
      from_environment({"MOX_CA_BUNDLE", "AWS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"}).value_or("");
  if (config.ca_bundle.empty())
    config.ca_bundle = first_existing({"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                       "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"});
  return config;
}

template <typename T>
void take(std::optional<T>* into, const std::optional<T>& from) {
  if (from) *into = from;
}

}  // namespace

std::shared_ptr<const Config> current_config() {
  Settings& s = settings();
  MutexLock lock(s.mu);
  if (!s.resolved) s.resolved = std::make_shared<const Config>(resolve(s.set));
  return s.resolved;
}

void set_auth(const AuthOptions& options) {
  check_argument("port", options.port);
  check_argument("retry", options.retry);
  check_argument("retry_wait", options.retry_wait);
  check_argument("client_timeout", options.client_timeout);
  check_argument("list_max_keys", options.list_max_keys);
  if (options.server) parse_endpoint("set_auth: server", *options.server);
  if (options.ak) trimmed_word("set_auth: ak", *options.ak);
  if (options.sk) trimmed_word("set_auth: sk", *options.sk);
  if (options.token) trimmed_word("set_auth: token", *options.token);
  if (options.region) trimmed_word("set_auth: region", *options.region);
  Settings& s = settings();
  MutexLock lock(s.mu);
  take(&s.set.ak, options.ak);
  take(&s.set.sk, options.sk);
  take(&s.set.server, options.server);
  take(&s.set.port, options.port);
  take(&s.set.is_secure, options.is_secure);
  take(&s.set.ssl_verify, options.ssl_verify);
  take(&s.set.long_conn_mode, options.long_conn_mode);
  take(&s.set.path_style, options.path_style);
  take(&s.set.retry, options.retry);
  take(&s.set.retry_wait, options.retry_wait);
  take(&s.set.client_timeout, options.client_timeout);
  take(&s.set.list_max_keys, options.list_max_keys);
  take(&s.set.token, options.token);
  take(&s.set.region, options.region);
  s.resolved.reset();  // the environment is read again
}

std::span<const NumberLimit> auth_limits() { return kLimits; }

std::optional<int64_t> wanted_part_size() {
  constexpr int64_t kSmallestPart = 5 << 20;  // what stores accept
  constexpr int64_t kLargestPart = int64_t{5} << 30;
  const auto wanted = integer_in_environment("MOX_FILE_LARGE_FILE_PART_SIZE", 1, kLargestPart);
  return wanted ? std::optional(std::max(kSmallestPart, *wanted)) : std::nullopt;
}

int64_t large_file_part_size() { return wanted_part_size().value_or(8 << 20); }

int large_file_task_num() {
  return static_cast<int>(integer_in_environment("MOX_FILE_LARGE_FILE_TASK_NUM", 1, 256).value_or(8));
}

bool silent_mode() { return bool_in_environment("MOX_SILENT_MODE").value_or(false); }

}  // namespace mox::file
