#include "run/observers/log_observer.h"

#include <utility>

#include "run/sample_count.h"
#include "run/tensor_values.h"

namespace mox {

void LogObserver::request(int64_t, StepRequest* request) const {
  if (!options_.learning_rate.empty()) request->fetches.push_back(options_.learning_rate);
  if (options_.samples_per_step > 0) return;
  for (int tower = 0; tower < request->towers; ++tower) request->fetches.push_back(step_samples(tower) + ":0");
}

void LogObserver::after_step(const StepResult& result) {
  const bool line = metrics_.current() && plan_.at(result.number.local).line;
  rate_ = 0;
  ++steps_;
  if (line) {
    auto next = result.fetched.begin();
    StepLogger::Line told{result.number.local, result.number.global};
    if (!options_.learning_rate.empty() && next != result.fetched.end())
      told.learning_rate = scalar_value(*next++, "learning_rate");
    int64_t samples = options_.samples_per_step;
    for (; next != result.fetched.end(); ++next) samples += next->scalar<int64_t>()();
    told.samples_per_step = samples * options_.workers();
    told.steps = std::exchange(steps_, 0);
    rate_ = logger_.log_step(told, metrics_.shown());
  }
  logger_.show_progress(result.number.local, result.number.global, metrics_.current());
}

}  // namespace mox
