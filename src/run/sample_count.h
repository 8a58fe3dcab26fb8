// How many samples a step takes, counted in the graph: batches may be short, or of a size that only the data know.
#pragma once

#include <string>

#include "graph/built_graph.h"

namespace mox {

// Adds the nodes that tell the samples in a device's batch, an int64 scalar: the first dimension of its first input;
// where that is known, the constant. `prefix`: of the nodes' names; the tensor's is the same.
std::string add_sample_count(BuiltGraph* graph, size_t tower, const std::string& prefix);
// The same of any input: the tensor `input`. `usual`: the number where the shape does not say it, 0: not known.
std::string add_sample_count(BuiltGraph* graph, const std::string& input, int64_t usual, const std::string& prefix);

// For graphs whose samples_per_step is not known (0): a count for each device, to be fetched.
void add_step_samples(BuiltGraph* graph);
// The name of a device's count.
std::string step_samples(size_t tower);

}  // namespace mox
