#include "data/wait_log.h"

#include "data/names.h"
#include "moxing/log.h"

namespace mox::data {

WaitLog::WaitLog(std::string what, std::string things, int64_t of, std::chrono::steady_clock::duration every)
    : what_(std::move(what)), things_(std::move(things)), of_(of), every_(every) {}

void WaitLog::add(int64_t count) {
  const auto now = std::chrono::steady_clock::now();
  MutexLock lock(mutex_);
  count_ += count;
  if (now - said_ < every_) return;
  said_ = now;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - begin_).count();
  log_info(what_ + ": " + with_commas(count_) + (of_ > 0 ? " of " + with_commas(of_) : "") + " " + things_ + " after " +
           std::to_string(seconds) + " s");
}

}  // namespace mox::data
