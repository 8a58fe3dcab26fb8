// What mox train says when it is done.
#pragma once

#include <string>
#include <vector>

#include "engine/train_data.h"
#include "moxing/run.h"

namespace mox::cli {

// Lines: how long it took, what was reached, the best, the checkpoint, what to do next. `seconds`: of the whole
// command.
std::vector<std::string> end_block(const RunResult& result, const TrainData& data, const RunOptions& run,
                                   double seconds);

}  // namespace mox::cli
