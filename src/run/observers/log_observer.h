// The line of the log, log.jsonl, and the progress line of a terminal.
#pragma once

#include <functional>

#include "run/observers/fetch_plan.h"
#include "run/observers/metrics_observer.h"
#include "run/step_logger.h"
#include "run/step_observer.h"

namespace mox {

class MOX_EXPORT LogObserver : public StepObserver {
 public:
  // As StepLogger's: `log_dir` may be empty, `limit` is 0 when the number of steps is not known. Where
  // samples_per_step, of this worker, is 0, a step that is logged is asked for it (sample_count.h); the others have as
  // many. `workers`: how many take part now.
  LogObserver(const MetricsObserver& metrics, FetchPlan& plan, const std::string& log_dir, int64_t samples_per_step,
              std::function<int64_t()> workers, int64_t limit)
      : metrics_(metrics),
        plan_(plan),
        samples_per_step_(samples_per_step),
        workers_(std::move(workers)),
        logger_(log_dir, limit) {}

  void begin(const StepNumber& next) override { logger_.start(next.local); }
  int64_t wants(const StepNumber& number) override { return samples_per_step_ == 0 && plan_.at(number.local).line; }
  bool plans_ahead() const override { return samples_per_step_ > 0 || plan_.plans_ahead(); }
  void request(int64_t wanted, StepRequest* request) const override;
  void after_step(const StepResult& result) override;
  void end(const Ending&) override { logger_.clear_progress(); }

  // Samples a second, of this step's line; 0 without one.
  double rate() const { return rate_; }

 private:
  const MetricsObserver& metrics_;
  FetchPlan& plan_;
  const int64_t samples_per_step_;
  const std::function<int64_t()> workers_;
  StepLogger logger_;
  double rate_ = 0;
};

}  // namespace mox
