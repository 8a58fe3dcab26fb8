#include "run/observers/log_observer.h"

#include "run/sample_count.h"

namespace mox {

void LogObserver::request(int64_t, StepRequest* request) const {
  for (int tower = 0; tower < request->towers; ++tower) request->fetches.push_back(step_samples(tower) + ":0");
}

void LogObserver::after_step(const StepResult& result) {
  const Metrics* metrics = metrics_.current();
  const bool line = metrics && plan_.at(result.number.local).line;
  int64_t samples = samples_per_step_;
  for (const tensorflow::Tensor& count : result.fetched) samples += count.scalar<int64_t>()();
  rate_ = line ? logger_.log_step(result.number.local, result.number.global, samples * workers_(), *metrics) : 0;
  logger_.show_progress(result.number.local);
}

}  // namespace mox
