// Which steps fetch what beside the training itself: by the intervals of the options, or as fetch_strategy_fn decides.
#pragma once

#include <cstdint>

#include "moxing/export.h"
#include "moxing/run.h"

namespace mox {

class MOX_EXPORT FetchPlan {
 public:
  struct Options {
    int64_t log_every = 0, summary_every = 0;        // steps; 0: none
    bool log_always = false;                         // log_info of each step counts, not only where a line is logged
    bool can_summarize = false, can_output = false;  // who takes them is there
    bool output_always = false;
    FetchStrategyFn strategy = nullptr;
  };
  struct Step {
    bool line = false;  // of the log
    bool log = false, summary = false, output = false;
  };

  explicit FetchPlan(Options options) : options_(std::move(options)) {}

  // Of a step of this run. The strategy is asked once a step.
  const Step& at(int64_t step) {
    if (step != planned_) plan(step);
    return step_;
  }
  // False with a strategy: it must not be asked before its step comes.
  bool plans_ahead() const { return !options_.strategy; }

 private:
  void plan(int64_t step);

  const Options options_;
  int64_t planned_ = -1;
  Step step_;
};

}  // namespace mox
