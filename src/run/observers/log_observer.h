// The line of the log, log.jsonl, and the progress line of a terminal.
#pragma once

#include <functional>
#include <string>

#include "run/observers/fetch_plan.h"
#include "run/observers/metrics_observer.h"
#include "run/step_logger.h"
#include "run/step_observer.h"

namespace mox {

class MOX_EXPORT LogObserver : public StepObserver {
 public:
  struct Options {
    StepLogger::Options logger;
    // Of this worker; 0: a step that is logged is asked for it (sample_count.h), the others have as many.
    int64_t samples_per_step = 0;
    std::function<int64_t()> workers = [] { return 1; };  // how many take part now
    std::string learning_rate = "";                       // a tensor, told with each line; "": none
  };
  LogObserver(const MetricsObserver& metrics, FetchPlan& plan, const Options& options)
      : metrics_(metrics), plan_(plan), options_(options), logger_(options.logger) {}

  void begin(const StepNumber&) override { logger_.start(); }
  int64_t wants(const StepNumber& number) override { return asks() && plan_.at(number.local).line; }
  bool plans_ahead() const override { return !asks() || plan_.plans_ahead(); }
  void request(int64_t wanted, StepRequest* request) const override;
  void after_step(const StepResult& result) override;
  void end(const Ending&) override { logger_.clear_progress(); }

  // Samples a second, of this step's line; 0 without one.
  double rate() const { return rate_; }
  StepLogger& logger() { return logger_; }

 private:
  bool asks() const { return options_.samples_per_step == 0 || !options_.learning_rate.empty(); }

  const MetricsObserver& metrics_;
  FetchPlan& plan_;
  const Options options_;
  StepLogger logger_;
  int64_t steps_ = 0;  // since the last line
  double rate_ = 0;
};

}  // namespace mox
