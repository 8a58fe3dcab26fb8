// This machine, and how others are named: "host:port".
#pragma once

#include <string>
#include <string_view>

#include "moxing/export.h"

namespace mox {

// What this machine calls itself; "?" where it does not say.
MOX_EXPORT std::string host_name();

// "name:port" with a port from 1 to 65535, "[::1]:22" too; without blanks, ',' or '/'.
MOX_EXPORT bool is_host_and_port(std::string_view text);

// Of "host:port": nobody on another machine reaches it.
MOX_EXPORT bool is_loopback(std::string_view address);

}  // namespace mox
