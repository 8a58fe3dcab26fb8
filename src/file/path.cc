#include "file/path.h"

#include <algorithm>

#include "base/registry.h"
#include "base/url.h"
#include "moxing/error.h"

namespace mox::file {
namespace {

void check_bucket(const std::string& bucket, const std::string& url) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
  };
  if (bucket.empty() || bucket == "." || bucket == ".." || !std::all_of(bucket.begin(), bucket.end(), allowed))
    throw InvalidArgumentError("path '" + url + "': the bucket name" +
                               (bucket.find('@') == std::string::npos ? " '" + bucket + "'" : "") +
                               " is not valid; write s3://bucket/key with letters, digits, '-', '_' and '.' in bucket");
}

std::string without_trailing_slashes(std::string text) {
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace

std::string scheme_of(const std::string& url) { return has_scheme(url) ? std::string(split_url(url).scheme) : ""; }

bool is_store(const Location& location) { return location.scheme == "s3" || location.scheme == "obs"; }

bool is_same_storage(const Location& a, const Location& b) {
  return a.scheme == b.scheme || (is_store(a) && is_store(b));
}

bool Location::names_folder() const {
  const std::string& text = is_local() ? path : key;
  return !text.empty() && text.back() == '/';
}

std::string Location::str() const {
  if (is_local()) return path;
  return scheme + "://" + bucket + (key.empty() ? "" : "/" + key);
}

Location Location::child(std::string_view name) const {
  Location result = *this;
  if (is_local()) {
    result.path = folder_prefix() + std::string(name);
  } else {
    result.key = folder_prefix() + std::string(name);
  }
  return result;
}

std::string Location::folder_prefix() const {
  const std::string& text = is_local() ? path : key;
  if (text.empty() || text.back() == '/') return text;
  return text + "/";
}

Location Location::as_file() const {
  Location result = *this;
  if (is_local()) {
    result.path = without_trailing_slashes(path);
  } else if (key != "/") {
    result.key = without_trailing_slashes(key);
    if (result.key == "/") result.key.clear();
  }
  return result;
}

Location parse_path(const std::string& url) {
  if (url.empty()) throw InvalidArgumentError("the path is empty; give a local path or s3://bucket/key");
  if (url.find('\0') != std::string::npos) throw InvalidArgumentError("a path holds a NUL character");
  Location result;
  if (!has_scheme(url)) {
    result.path = url;
    return result;
  }
  const auto [scheme, rest] = split_url(url);
  if (scheme == "file") {
    result.path = rest;
    if (result.path.empty()) throw InvalidArgumentError("the path '" + url + "' is empty after file://");
    return result;
  }
  const std::vector<std::string> known = file_system_schemes();
  if (std::find(known.begin(), known.end(), scheme) == known.end())
    throw InvalidArgumentError("path '" + url + "': unknown scheme '" + std::string(scheme) + "'; known are " +
                               listed(known) + ", file and none (local)");
  result.scheme = scheme;
  const size_t slash = rest.find('/');
  result.bucket = rest.substr(0, slash);
  if (slash != std::string_view::npos) result.key = rest.substr(slash + 1);
  if (is_store(result)) check_bucket(result.bucket, url);
  return result;
}

std::string base_name(const Location& location) {
  const Location file = location.as_file();
  const std::string& text = file.is_local() ? file.path : file.key;
  const size_t slash = text.rfind('/');
  return slash == std::string::npos ? text : text.substr(slash + 1);
}

Location parent_of(const Location& location) {
  Location result = location.as_file();
  std::string& text = result.is_local() ? result.path : result.key;
  const size_t slash = text.rfind('/');
  if (slash == std::string::npos) {
    text = result.is_local() ? "." : "";
  } else {
    text = slash == 0 && result.is_local() ? "/" : text.substr(0, slash);
  }
  return result;
}

bool is_safe_relative(std::string_view name) {
  if (name.empty() || name.find('\0') != std::string_view::npos) return false;
  for (;;) {
    const size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
    if (name.empty()) return true;  // a trailing '/': a folder marker
  }
}

}  // namespace mox::file
