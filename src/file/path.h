// What is done with paths: local, or scheme://bucket/key.
#pragma once

#include <string>
#include <string_view>

#include "moxing/file_system.h"

namespace mox::file {

// "s3" of "s3://…"; "" when there is no scheme.
std::string scheme_of(const std::string& path);

// s3:// and obs://, which transfers know in particular (parts, checksums, copies inside the store).
bool is_store(const Location& location);
// One storage serves both.
bool is_same_storage(const Location& a, const Location& b);

// InvalidArgumentError for an empty path, an unknown scheme, a missing or malformed bucket, or a NUL inside.
Location parse_path(const std::string& url);

// The last component, without trailing '/'; "" for the root of a bucket.
std::string base_name(const Location& location);
// The folder that holds it.
Location parent_of(const Location& location);

// True when a relative name of a listing is safe to join to a local folder: not absolute, no empty, "." or ".." parts.
bool is_safe_relative(std::string_view name);

}  // namespace mox::file
