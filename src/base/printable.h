// Text from outside (names, servers' answers, files) as a person may see it.
#pragma once

#include <string>
#include <string_view>

#include "moxing/export.h"

namespace mox {

// `text` with what a terminal would obey, or nobody could read, escaped: control characters (but for line ends and
// tabs), characters that turn the direction of writing, and bytes that are no UTF-8, each as \xNN. The password of a
// URL (http://user:password@host) is ***. The rest as it is.
// Error and the log do this to all that they are given; what is printed elsewhere asks for it.
MOX_EXPORT std::string printable(std::string_view text);

// The same in one line: line ends and tabs are escaped, too. For names.
MOX_EXPORT std::string printable_name(std::string_view text);

}  // namespace mox
