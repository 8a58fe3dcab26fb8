// Labels out of range are an error in every training and evaluation, whoever wrote the input and the loss.
//
// one_hot makes zeros of a label that is no class. softmax cross entropy then counts a loss of 0, and trains the
// network away from every class: silently wrong. (The sparse one says it itself.)
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Where the labels of a softmax cross entropy come from one_hot, its indices are checked; elsewhere the labels' rows
// are. Left alone are losses or labels that the model multiplies by something of its input, or selects from: so samples
// are left out on purpose, by a weight of 0. Returns how many checks were added. See check_labels_op.cc.
MOX_EXPORT int check_labels(tensorflow::GraphDef* graph);

}  // namespace mox
