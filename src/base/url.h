// "scheme://rest": how what lies on a store is told from a path on a disk of this machine. Said here alone.
#pragma once

#include <string>
#include <string_view>

namespace mox {

struct UrlParts {
  std::string_view scheme;  // "" where the text has none
  std::string_view rest;    // what follows "://"; the whole text where it has no scheme
};

// At the first "://". Points into `text`.
inline UrlParts split_url(std::string_view text) {
  const size_t end = text.find("://");
  if (end == std::string_view::npos || end == 0) return {{}, text};
  return {text.substr(0, end), text.substr(end + 3)};
}

// Whether a path is an object's, "s3://…", or another URL. A local path may have "://" in a name: a scheme is small
// letters, digits, '+' and '-'.
inline bool has_scheme(std::string_view path) {
  const std::string_view scheme = split_url(path).scheme;
  return !scheme.empty() &&
         scheme.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+-") == std::string_view::npos;
}

// One spelling for what both obs:// and s3:// name; other paths as they are.
inline std::string as_s3(std::string path) {
  if (has_scheme(path) && split_url(path).scheme == "obs") path.replace(0, 3, "s3");
  return path;
}

// "https://host" or "http://host".
inline std::string http_url(std::string_view host, bool is_secure) {
  return (is_secure ? "https://" : "http://") + std::string(host);
}

}  // namespace mox
