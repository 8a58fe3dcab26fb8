// Random operations that a resumed training repeats: a pass on the built graph.
#pragma once

#include <string>
#include <vector>

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

struct StatelessRandomOptions {
  std::string global_step;                // node name of the variable's handle
  std::string increment;                  // the op that increments it
  std::vector<std::string> initializers;  // what they are computed from stays as it is: it runs once, before any step
  // Workers draw numbers of their own for what leads to `of_worker` (losses, gradients before they are joined); what
  // comes after the join is the same for all.
  int64_t worker = 0;
  std::vector<std::string> of_worker;
};

// Seeded random operations (of dropout, of noise) draw from generators that start anew with each process. Here each
// becomes a function of its seed and of the global step: a step gives the same numbers whenever it runs.
// Operations without a seed, and those inside functions (see stateless_input.h), stay as they are.
MOX_EXPORT void make_random_ops_stateless(tensorflow::GraphDef* graph, const StatelessRandomOptions& options);

}  // namespace mox
