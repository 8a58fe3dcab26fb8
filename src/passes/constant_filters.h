// EVAL and PREDICT: what a convolution's filter is, no step changes. oneDNN's convolutions bring their filter into a
// layout of their own in each step, unless TensorFlow tells them that it is a constant: then they keep it. Only a Const
// counts for TensorFlow; a variable that nothing in the graph assigns to is as good. Making constants of variables
// would hold each weight several times, in graphs.
#pragma once

#include "graph/built_graph.h"
#include "moxing/export.h"
#include "tensorflow/core/graph/graph.h"

namespace mox {

// Marks reads of variables that nothing but their initializer writes. What a step feeds instead of such a read is not
// constant: a part of TensorFlow's own optimization, which we register, looks for marks in what a step runs.
// MOX_CONSTANT_FILTERS=0 switches it off, to compare.
MOX_EXPORT void mark_constant_filters(BuiltGraph* graph);

// Of a node of a graph that a step runs: whether it is such a read.
bool reads_constant(const tensorflow::Node& node);

}  // namespace mox
