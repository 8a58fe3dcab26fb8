// A part of the chief that a worker does in its place while the chief is lost.
#pragma once

#include <functional>
#include <memory>

#include "run/step_observer.h"

namespace mox {

// Makes the observer when this process begins to stand in, and drops it when the chief is back.
class StandIn : public StepObserver {
 public:
  // `stands_in`: asked before each step. `make`: an observer that begins with the step `next`; it always wants the
  // same of the same step.
  StandIn(std::function<bool()> stands_in, std::function<std::unique_ptr<StepObserver>(const StepNumber& next)> make)
      : stands_in_(std::move(stands_in)), make_(std::move(make)) {}

  int64_t wants(const StepNumber& number) override {
    if (!stands_in_()) {
      part_.reset();
      return 0;
    }
    if (!part_) {
      part_ = make_(number);
      part_->begin(number);
    }
    return part_->wants(number);
  }
  void request(int64_t wanted, StepRequest* request) const override { part_->request(wanted, request); }
  void after_step(const StepResult& result) override {
    if (part_) part_->after_step(result);
  }
  void end(const Ending& ending) override {
    if (part_) part_->end(ending);
  }
  void report(const Ending& ending, RunResult* result) override {
    if (part_) part_->report(ending, result);
  }

 private:
  const std::function<bool()> stands_in_;
  const std::function<std::unique_ptr<StepObserver>(const StepNumber&)> make_;
  std::unique_ptr<StepObserver> part_;
};

}  // namespace mox
