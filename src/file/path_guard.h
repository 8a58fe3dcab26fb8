// Places that nobody means to lose as a whole, and paths that are two names of one thing.
#pragma once

#include <string>

#include "file/path.h"

namespace mox::file {

// InvalidArgumentError when `what` is a place whose loss nobody means: `/`, `.`, `..`, the current or the home folder,
// a mount's root, a folder that holds one of them, or a whole bucket (unless `whole_bucket`). Judged by where the path
// leads; nothing is touched. `through_link` false: of a link as last component only the link itself is meant.
void refuse_protected(const char* operation, const Location& what, bool whole_bucket, bool through_link);

// "" when the local path may be removed, else why not. The part of refuse_protected that tests call directly.
std::string why_protected(const std::string& path, bool through_link);

// Absolute, links resolved as far as something is there, without '.', '..' and double slashes.
std::string resolved_path(const std::string& path);

// One inode (also by links), or one object (s3:// and obs:// are one store).
bool is_same_place(const Location& a, const Location& b);
// `inner` is the folder `outer`, or lies below it.
bool lies_inside(const Location& inner, const Location& outer);

}  // namespace mox::file
