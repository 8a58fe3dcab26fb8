#include "run/background_log.h"

#include <exception>
#include <iterator>

#include "base/url.h"
#include "moxing/log.h"

namespace mox {
namespace {

constexpr size_t kMostKept = 64 << 20;  // bytes
constexpr auto kRetryPause = std::chrono::seconds(10);
constexpr auto kStorePause = std::chrono::seconds(5);

}  // namespace

std::chrono::milliseconds pause_between_writes(const std::string& dir) {
  return has_scheme(dir) ? kStorePause : std::chrono::milliseconds(0);
}

BackgroundLog::BackgroundLog(std::string what, std::chrono::milliseconds pause, Write write)
    : what_(std::move(what)),
      pause_(pause),
      write_(std::move(write)),
      thread_("mox_log", [this](const auto& stop) { work(stop); }) {}

BackgroundLog::~BackgroundLog() {
  thread_.stop();
  MutexLock lock(mu_);
  if (!records_.empty() || dropped_ > 0)
    log_error(std::to_string(records_.size() + dropped_) + " " + what_ + " were not saved: " + last_error_);
}

void BackgroundLog::add(std::string record) {
  MutexLock lock(mu_);
  bytes_ += record.size();
  records_.push_back(std::move(record));
  drop_oldest();
}

void BackgroundLog::flush() {
  {
    MutexLock lock(mu_);
    wanted_ = true;
  }
  wake_.notify_all();
}

void BackgroundLog::drop_oldest() {
  size_t count = 0;
  for (; bytes_ > kMostKept && count + 1 < records_.size(); ++count) bytes_ -= records_[count].size();
  records_.erase(records_.begin(), records_.begin() + static_cast<std::ptrdiff_t>(count));
  dropped_ += count;
}

void BackgroundLog::report_failure(const std::string& reason) {
  last_error_ = reason;
  if (!failing_) log_warning(what_ + " cannot be written now; they are kept and tried again: " + reason);
  failing_ = true;
}

void BackgroundLog::write_out() {
  wanted_ = false;
  if (records_.empty()) return;
  std::vector<std::string> taken;
  taken.swap(records_);
  bytes_ = 0;
  mu_.unlock();
  try {
    write_(taken);
    if (failing_) log_info(what_ + " are written again");
    failing_ = false;
    taken.clear();
  } catch (const std::exception& e) {
    report_failure(e.what());
  }
  mu_.lock();
  if (taken.empty()) return;
  taken.insert(taken.end(), std::make_move_iterator(records_.begin()), std::make_move_iterator(records_.end()));
  records_ = std::move(taken);
  for (const std::string& record : records_) bytes_ += record.size();
  drop_oldest();
  wanted_ = true;
}

void BackgroundLog::work(const std::stop_token& stop) {
  MutexLock lock(mu_);
  const auto wanted = [this]() MOX_REQUIRES(mu_) { return wanted_; };
  while (wake_.wait(lock, stop, wanted) && !stop.stop_requested()) {
    write_out();
    const auto pause = failing_ ? std::max<std::chrono::milliseconds>(pause_, kRetryPause) : pause_;
    wake_.wait_for(lock, stop, pause, [] { return false; });
  }
  write_out();
}

}  // namespace mox
