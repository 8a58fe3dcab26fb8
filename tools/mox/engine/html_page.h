// The frame of the program's HTML pages: one file that needs nothing else, styles inside.
#pragma once

#include <string>

namespace mox::cli {

// `title` is text, `body` HTML; `command` ("mox report") is named at the end with the version.
std::string html_page(const std::string& title, const std::string& body, const std::string& command);

}  // namespace mox::cli
