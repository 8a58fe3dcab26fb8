// The line of the log, log.jsonl, and the progress line of a terminal.
#pragma once

#include "run/observers/fetch_plan.h"
#include "run/observers/metrics_observer.h"
#include "run/step_logger.h"
#include "run/step_observer.h"

namespace mox {

class MOX_EXPORT LogObserver : public StepObserver {
 public:
  // As StepLogger's: `log_dir` may be empty, `limit` is 0 when the number of steps is not known.
  LogObserver(const MetricsObserver& metrics, FetchPlan& plan, const std::string& log_dir, int64_t samples_per_step,
              int64_t limit)
      : metrics_(metrics), plan_(plan), logger_(log_dir, samples_per_step, limit) {}

  void begin(const StepNumber&) override { logger_.start(); }
  void after_step(const StepResult& result) override;
  void end(const Ending&) override { logger_.clear_progress(); }

  // Samples a second, of this step's line; 0 without one.
  double rate() const { return rate_; }

 private:
  const MetricsObserver& metrics_;
  FetchPlan& plan_;
  StepLogger logger_;
  double rate_ = 0;
};

}  // namespace mox
