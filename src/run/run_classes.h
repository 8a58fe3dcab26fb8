// The class list of a run is the run's: labels.txt beside its checkpoints.
#pragma once

#include <string>
#include <vector>

#include "graph/built_graph.h"
#include "run/run_config.h"

namespace mox {

// InvalidArgumentError that tells both lists' differences, where a training would go on in log_dir with other classes
// than it has, or an evaluation would count by other classes than its checkpoint's. Data without names pass.
void check_run_classes(const BuiltGraph& graph, const RunConfig& config);

// The same of two data sets of one run: `other`, e.g. that of inter_mode, has the classes of the training's.
MOX_EXPORT void check_same_run_classes(const std::vector<std::string>& training, const std::vector<std::string>& other,
                                       const std::string& what);

}  // namespace mox
