#include "engine/step_rate.h"

#include <algorithm>
#include <chrono>

#include "base/process_usage.h"

namespace mox::cli {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

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
