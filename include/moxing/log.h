// Log lines of the library. They go to standard error unless a sink is set; results go to standard output.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "moxing/export.h"

namespace mox {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

// Called once a line, from any thread, one call at a time; `line` has no newline and no level prefix.
using LogSink = std::function<void(LogLevel level, std::string_view line)>;

// Replaces where lines go; nullptr restores standard error.
MOX_EXPORT void set_log_sink(LogSink sink);
// Lines below this level are dropped. Default kInfo; MOX_LOG_LEVEL=debug|info|warning|error|off sets it at start.
MOX_EXPORT void set_log_level(LogLevel level);
// "debug", "info", "warning", "error" or "off"; InvalidArgumentError that lists them otherwise.
MOX_EXPORT LogLevel parse_log_level(const std::string& name);

// A line at level kDebug. All four may be called from any thread, and escape what a terminal would obey.
MOX_EXPORT void log_debug(std::string_view line);
// At level kInfo.
MOX_EXPORT void log_info(std::string_view line);
// At level kWarning; "WARNING: " stands before it on standard error.
MOX_EXPORT void log_warning(std::string_view line);
// At level kError; "ERROR: " stands before it on standard error.
MOX_EXPORT void log_error(std::string_view line);

}  // namespace mox
