#include "engine/step_rate.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>

namespace mox::cli {
namespace {

rusage usage() {
  rusage found{};
  getrusage(RUSAGE_SELF, &found);
  return found;
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

double cpu_seconds() {
  const rusage found = usage();
  return seconds_of(found.ru_utime) + seconds_of(found.ru_stime);
}

double peak_mib() { return static_cast<double>(usage().ru_maxrss) / 1024; }

void StepClock::after_run(SessionRunContext& context, const SessionRunValues& values) {
  if (context.local_step() + 1 < warmup_) return;
  last_cpu_ = cpu_seconds();
  if (ends_.empty()) first_cpu_ = last_cpu_;
  ends_.push_back(now());
}

StepRate StepClock::rate() const {
  StepRate result;
  if (ends_.size() < 2) return result;
  std::vector<double> each;
  for (size_t i = 1; i < ends_.size(); ++i) each.push_back(1e3 * (ends_[i] - ends_[i - 1]));
  std::sort(each.begin(), each.end());
  result.steps = static_cast<int64_t>(each.size());
  result.seconds = ends_.back() - ends_.front();
  result.cpu_seconds = last_cpu_ - first_cpu_;
  result.step_ms = each[each.size() / 2];
  result.least_ms = each.front();
  result.most_ms = each.back();
  return result;
}

}  // namespace mox::cli
