// A part of the chief that a worker does in its place while the chief is lost.
#pragma once

#include <functional>
#include <memory>

#include "run/step_observer.h"

namespace mox {

// Makes the observer when this process begins to stand in, and drops it when the chief is back.
class StandIn : public StepObserver {
 public:
  // `stands_in`: asked after each step. `make`: an observer that begins after the step of that global number.
  StandIn(std::function<bool()> stands_in, std::function<std::unique_ptr<StepObserver>(int64_t global_step)> make)
      : stands_in_(std::move(stands_in)), make_(std::move(make)) {}

  void after_step(const StepResult& result) override {
    if (!stands_in_()) {
      part_.reset();
      return;
    }
    if (!part_) part_ = make_(result.number.global);
    part_->after_step(result);
  }
  void end(const Ending& ending) override {
    if (part_) part_->end(ending);
  }
  void report(const Ending& ending, RunResult* result) override {
    if (part_) part_->report(ending, result);
  }

 private:
  const std::function<bool()> stands_in_;
  const std::function<std::unique_ptr<StepObserver>(int64_t)> make_;
  std::unique_ptr<StepObserver> part_;
};

}  // namespace mox
