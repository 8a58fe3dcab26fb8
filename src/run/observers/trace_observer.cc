#include "run/observers/trace_observer.h"

#include <fmt/format.h>

#include "graph/graph_state.h"
#include "moxing/log.h"
#include "run/timeline.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"

namespace mox {

namespace tf = tensorflow;

void TraceObserver::check_step(const StepResult& result) {
  constexpr int kRows = 20;
  if (!result.stats || result.wanted == 0) return;
  log_info("time of step " + std::to_string(step_) + " by operation:\n" + cost_table(*result.stats, kRows));
  if (log_dir_.empty()) return;
  const std::string path = tf::io::JoinPath(log_dir_, "timeline-" + std::to_string(step_) + ".json");
  throw_if_error(tf::WriteStringToFile(tf::Env::Default(), path, timeline_json(*result.stats)), "writing " + path);
  log_info("timeline (open it in chrome://tracing): " + path);
}

void TraceObserver::report(const Ending& ending, RunResult*) {
  if (step_ < ending.steps) return;
  log_warning(fmt::format("trace_step is {}, but the run ended after {} steps, which count from 0: nothing was traced",
                          step_, ending.steps));
}

}  // namespace mox
