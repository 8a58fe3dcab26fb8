// Paths: local, or scheme://bucket/key.
#pragma once

#include <string>
#include <string_view>

namespace mox::file {

struct Location {
  std::string scheme;  // "" for a local path
  std::string bucket;  // object stores only
  std::string key;     // object stores: without the leading '/'; a trailing '/' is kept
  std::string path;    // local: as given, less a file:// prefix

  bool is_local() const { return scheme.empty(); }
  bool is_bucket() const { return !is_local() && key.empty(); }
  // The caller wrote a trailing '/': a folder is meant.
  bool names_folder() const;
  // As a user writes it.
  std::string str() const;
  // A copy that names `name` below this folder.
  Location child(std::string_view name) const;
  // The key (or the path) with exactly one trailing '/'; "" for the root of a bucket.
  std::string folder_prefix() const;
  // Without trailing '/'.
  Location as_file() const;
};

// InvalidArgumentError for an empty path, an unknown scheme, a missing or malformed bucket, or a NUL inside.
Location parse_path(const std::string& url);

// The last component, without trailing '/'; "" for the root of a bucket.
std::string base_name(const Location& location);
// The folder that holds it.
Location parent_of(const Location& location);

// True when a relative name of a listing is safe to join to a local folder: not absolute, no empty, "." or ".." parts.
bool is_safe_relative(std::string_view name);

}  // namespace mox::file
