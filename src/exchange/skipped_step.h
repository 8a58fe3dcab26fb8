// What a step that the dynamic loss scale skips must not do: passes on the built graph, used by loss_scale.cc.
#pragma once

#include <map>
#include <string>
#include <unordered_set>
#include <vector>

#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// What decides whether a step counts, as node names.
struct SkippedStep {
  std::string folder;                                    // of the nodes that passes add, with a '/' at the end
  std::string finite;                                    // bool scalar: the step counts
  std::string go;                                        // alive only in steps that count
  std::string increment;                                 // runs in every step
  std::vector<std::pair<std::string, std::string>> raw;  // (the gradient's Switch, the Identity that it fills)
  std::string device;                                    // where scalars live
};

// Updates of variables in the train ops that do not follow from gradients (moving averages) wait for `go`. Those that
// the loss itself waits for cannot, and run in every step. Returns the names of the updates that now wait.
std::vector<std::string> let_updates_wait(tensorflow::GraphDef* graph, const SkippedStep& step,
                                          const std::vector<std::string>& train_ops);

// Fetching a tensor that is dead is an error of TensorFlow's. For each tensor that is dead in a skipped step, a tensor
// that is not: it is NaN then (0, false, "" for types without; of a raw gradient the value that is not finite).
std::map<std::string, std::string> add_fetchable(tensorflow::GraphDef* graph, const SkippedStep& step,
                                                 const std::vector<std::string>& waiting);

}  // namespace mox
