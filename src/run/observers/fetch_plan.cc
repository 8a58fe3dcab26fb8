#include "run/observers/fetch_plan.h"

namespace mox {

void FetchPlan::plan(int64_t step) {
  const auto is_due = [step](int64_t every) { return every > 0 && step % every == 0; };
  Step next;
  next.line = is_due(options_.log_every);
  next.log = next.line || options_.log_always;
  next.summary = options_.can_summarize && is_due(options_.summary_every);
  next.output = options_.can_output && options_.output_always;
  if (options_.strategy) {
    const StepFetches fetches = options_.strategy(step, {next.log, next.summary, next.output});
    next.line = fetches.log_info && (next.line || !next.log);
    next.log = fetches.log_info;
    next.summary = fetches.summaries && options_.can_summarize;
    next.output = fetches.output_info && options_.can_output;
  }
  step_ = next;
  planned_ = step;
}

}  // namespace mox
