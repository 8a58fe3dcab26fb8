// Where the time of one step goes: a timeline for chrome://tracing, and a table by operation type.
#pragma once

#include <string>

#include "tensorflow/core/framework/step_stats.pb.h"

namespace mox {

// The step as a Chrome trace (JSON).
std::string timeline_json(const tensorflow::StepStats& stats);
// "op type  ms  share  calls", costliest first, `rows` of them. Times of operations that ran at once are all counted.
std::string cost_table(const tensorflow::StepStats& stats, int rows);

}  // namespace mox
