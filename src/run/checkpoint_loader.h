// Which checkpoint a run starts from, and what of it is loaded.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/built_graph.h"
#include "moxing/export.h"
#include "run/finite_weights.h"
#include "run/run_config.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

struct LoadedCheckpoint {
  std::string prefix;                                // "": nothing to load, variables are initialised
  std::map<std::string, tensorflow::Tensor> values;  // by variable name
  bool resumed = false;                              // it is log_dir's own
  int64_t global_step = 0;                           // of the checkpoint, also where the model has no such variable
  std::vector<std::string> rejected;                 // newer ones that could not be used
};

// The three rules: log_dir's newest whole checkpoint; else checkpoint_path, by the patterns (which leave nothing out in
// modes that do not train); else nothing in TRAIN, and for a model without variables, and a NotFoundError in the other
// modes. Every byte is checked against its checksum: a broken checkpoint is a warning with
// its path, and the one before it is taken; so is one whose weights are not finite. Says in one line what was loaded.
// `weights`: of the graph that `variables` are of.
LoadedCheckpoint load_checkpoint(const std::vector<VariableInfo>& variables, const FiniteWeights& weights,
                                 const RunConfig& config);

// True when `name` matches one of the include patterns (or there are none) and none of the exclude patterns.
// Patterns are regular expressions that match anywhere in the name, whatever its case. InvalidArgumentError for a
// broken one.
MOX_EXPORT bool matches_patterns(const std::string& name, const std::vector<std::string>& include,
                                 const std::vector<std::string>& exclude);
MOX_EXPORT std::vector<std::string> split_patterns(const std::string& comma_separated);

}  // namespace mox
