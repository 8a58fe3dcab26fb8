// How fast the steps of a run are.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "moxing/hooks.h"
#include "run/tensor_free_hook.h"

namespace mox::cli {

struct StepRate {
  int64_t steps = 0;                              // that were timed
  double seconds = 0, cpu_seconds = 0;            // of all of them, in this process
  double step_ms = 0, least_ms = 0, most_ms = 0;  // the median step, the fastest and the slowest
};

// Looks at the clock after each step of a run: model_fn adds it to its first ModelSpec.
class StepClock : public AggregativeSessionRunHook, public TensorFreeHook {
 public:
  // The first `warmup` steps, at least one, are not timed.
  explicit StepClock(int64_t warmup) : warmup_(warmup) {}

  bool support_aggregation() const override { return true; }
  bool support_sync_workers() const override { return true; }
  void after_run(SessionRunContext& context, const SessionRunValues& values) override;

  // steps 0 when the run ended before one was timed.
  StepRate rate() const;

 private:
  const int64_t warmup_;
  std::vector<double> ends_;  // seconds, from the last step of the warm-up on
  double first_cpu_ = 0, last_cpu_ = 0;
};

}  // namespace mox::cli
