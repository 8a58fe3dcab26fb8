// How to reach the object store: set_auth over the environment over defaults.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/url.h"
#include "moxing/file.h"

namespace mox::file {

struct Config {
  std::string ak, sk, token;
  std::string host;  // host[:port], as in the Host header
  bool is_secure = true;
  bool ssl_verify = true;
  bool long_connections = true;
  bool path_style = true;
  bool is_obs = false;  // Huawei's store: its own append, and its signature of listings in version 1
  std::string region = "us-east-1";
  int attempts = 10;
  double retry_wait = 0.1;  // seconds; doubled for each further attempt up to kLongestWait
  double timeout = 60;      // seconds without a byte
  int list_max_keys = 1000;
  std::string ca_bundle;  // "" : curl's own choice

  // "http://host:port": what errors name.
  std::string endpoint() const { return http_url(host, is_secure); }
};

// The current settings; a request in flight keeps the ones it began with.
std::shared_ptr<const Config> current_config();

// The numbers that set_auth, and the variable MOX_<NAME IN CAPITALS>, take.
struct NumberLimit {
  std::string_view name;  // of the argument
  double low, high;
  bool whole;  // an integer
};
MOX_EXPORT std::span<const NumberLimit> auth_limits();

// Bytes of one part of a large transfer: MOX_FILE_LARGE_FILE_PART_SIZE, at least 5 MiB; nullopt when it is not set.
std::optional<int64_t> wanted_part_size();
// The same, 8 MiB when it is not set: for what holds parts in memory.
int64_t large_file_part_size();
// Parts of one large file in flight: MOX_FILE_LARGE_FILE_TASK_NUM, default 8.
int large_file_task_num();
// MOX_SILENT_MODE: no progress and no summary.
bool silent_mode();

}  // namespace mox::file
