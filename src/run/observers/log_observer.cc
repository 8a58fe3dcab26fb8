#include "run/observers/log_observer.h"

namespace mox {

void LogObserver::after_step(const StepResult& result) {
  const Metrics* metrics = metrics_.current();
  const bool line = metrics && plan_.at(result.number.local).line;
  rate_ = line ? logger_.log_step(result.number.local, result.number.global, *metrics) : 0;
  logger_.show_progress(result.number.local);
}

}  // namespace mox
