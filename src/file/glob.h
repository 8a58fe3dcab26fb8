// Patterns in paths.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "moxing/export.h"

namespace mox::file {

// "a/b/c" -> "a", "b/c"; "a" -> "a", "".
std::pair<std::string_view, std::string_view> split_first(std::string_view path);
bool has_magic(std::string_view text);
// One level: * ? [abc] [a-z] [!a-z]; nothing matches '/'. A leading '.' must be matched by a '.'.
MOX_EXPORT bool match_component(std::string_view pattern, std::string_view name);
// Several levels, '/' between them; a component "**" stands for any number of levels.
bool match_path(std::string_view pattern, std::string_view path);

}  // namespace mox::file
