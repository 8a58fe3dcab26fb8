#include "moxing/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cstdlib>

#include "base/mutex.h"
#include "base/printable.h"
#include "moxing/error.h"

namespace mox {
namespace {

constexpr std::array<const char*, 5> kLevelNames = {"debug", "info", "warning", "error", "off"};

struct Logger {
  Mutex mu;
  LogSink sink MOX_GUARDED_BY(mu);
  LogLevel level MOX_GUARDED_BY(mu) = LogLevel::kInfo;
  std::shared_ptr<spdlog::logger> terminal;
};

Logger& logger() {
  static Logger* instance = [] {
    auto* l = new Logger;  // never destroyed: background threads may log at exit
    l->terminal = std::make_shared<spdlog::logger>("moxing", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    l->terminal->set_pattern("%v");
    l->terminal->set_level(spdlog::level::trace);
    l->terminal->flush_on(spdlog::level::trace);
    if (const char* name = std::getenv("MOX_LOG_LEVEL"); name && *name) {
      MutexLock lock(l->mu);
      try {
        l->level = parse_log_level(name);
      } catch (const InvalidArgumentError& e) {  // a run refuses it; what only logs goes on
        l->terminal->info("WARNING: environment variable MOX_LOG_LEVEL: {}", e.what());
      }
    }
    return l;
  }();
  return *instance;
}

void write(LogLevel level, std::string_view text) {
  Logger& l = logger();
  MutexLock lock(l.mu);
  if (level < l.level) return;
  const std::string line = printable(text);
  if (l.sink) {
    l.sink(level, line);
    return;
  }
  const char* prefix = level == LogLevel::kWarning ? "WARNING: " : level == LogLevel::kError ? "ERROR: " : "";
  l.terminal->info("{}{}", prefix, line);
}

}  // namespace

void set_log_sink(LogSink sink) {
  Logger& l = logger();
  MutexLock lock(l.mu);
  l.sink = std::move(sink);
}

void set_log_level(LogLevel level) {
  Logger& l = logger();
  MutexLock lock(l.mu);
  l.level = level;
}

LogLevel parse_log_level(const std::string& name) {
  for (size_t i = 0; i < kLevelNames.size(); ++i)
    if (name == kLevelNames[i]) return static_cast<LogLevel>(i);
  throw InvalidArgumentError("unknown log level '" + name + "': use debug, info, warning, error or off");
}

void log_debug(std::string_view line) { write(LogLevel::kDebug, line); }
void log_info(std::string_view line) { write(LogLevel::kInfo, line); }
void log_warning(std::string_view line) { write(LogLevel::kWarning, line); }
void log_error(std::string_view line) { write(LogLevel::kError, line); }

}  // namespace mox
