// One step's time by operation: a table in the log, and a timeline in log_dir.
#pragma once

#include <string>

#include "run/step_observer.h"

namespace mox {

class TraceObserver : public StepObserver {
 public:
  // `log_dir` "": no timeline is written.
  TraceObserver(int64_t step, std::string log_dir) : step_(step), log_dir_(std::move(log_dir)) {}
  int64_t wants(const StepNumber& number) override { return number.local == step_; }
  void request(int64_t, StepRequest* request) const override { request->trace = true; }
  void check_step(const StepResult& result) override;
  void report(const Ending& ending, RunResult* result) override;

 private:
  const int64_t step_;
  const std::string log_dir_;
};

}  // namespace mox
