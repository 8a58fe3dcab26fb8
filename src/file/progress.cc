#include "file/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "file/config.h"
#include "moxing/log.h"

namespace mox::file {
namespace {

constexpr auto kFirstSight = std::chrono::milliseconds(1000);  // what is done by then shows nothing
constexpr auto kRedraw = std::chrono::milliseconds(200);
constexpr auto kLogEvery = std::chrono::seconds(10);

std::string bar(double share) {
  constexpr int kWidth = 24;
  const int filled = static_cast<int>(share * kWidth);
  return "[" + std::string(static_cast<size_t>(filled), '=') + std::string(static_cast<size_t>(kWidth - filled), ' ') +
         "]";
}

}  // namespace

std::string human_bytes(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

Progress::Progress(const CopyCounters& counters, std::string title, bool quiet)
    : counters_(counters), title_(std::move(title)), terminal_(::isatty(STDERR_FILENO) == 1) {
  if (!quiet && !silent_mode()) thread_ = WorkerThread("mox_progress", [this](const auto& stop) { run(stop); });
}

Progress::~Progress() { stop(); }

void Progress::add_total(int64_t files, int64_t bytes) {
  total_files_ += files;
  total_bytes_ += bytes;
}

void Progress::stop() {
  thread_.stop();
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

std::string Progress::line() const {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  const int64_t bytes = counters_.bytes, files = counters_.files + counters_.skipped;
  const int64_t total_bytes = total_bytes_;
  std::string text = title_ + ": ";
  if (final_ && total_bytes > 0) {
    const double share = std::min(1.0, static_cast<double>(bytes) / static_cast<double>(total_bytes));
    text += fmt::format("{} {:3.0f}% ", bar(share), share * 100);
  }
  text += fmt::format("{}/{}{} files, {}, {}/s", files, total_files_.load(), final_ ? "" : "+", human_bytes(bytes),
                      human_bytes(static_cast<int64_t>(static_cast<double>(bytes) / std::max(seconds, 0.001))));
  if (const int64_t failed = counters_.failed; failed > 0) text += fmt::format(", {} failed", failed);
  return text;
}

void Progress::run(const std::stop_token& stop) {
  const std::chrono::milliseconds first = terminal_ ? kFirstSight : kLogEvery, next = terminal_ ? kRedraw : kLogEvery;
  for (auto pause = first; sleep_unless_stopped(stop, pause); pause = next) {
    if (terminal_) {
      std::fprintf(stderr, "\r%s\033[K", line().c_str());
      std::fflush(stderr);
      drawn_ = true;
    } else {
      log_info(line());
    }
  }
}

}  // namespace mox::file
