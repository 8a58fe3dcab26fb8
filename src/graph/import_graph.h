// A graph that was built elsewhere, copied into a scope's graph: what Python functions of the input pipeline do.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "graph/tensor_info.h"
#include "moxing/export.h"
#include "moxing/scope.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Puts the tensors in place of the placeholders of these names, and returns `outputs` with the shapes that they state.
MOX_EXPORT std::vector<tensorflow::Output> import_graph(
    const Scope& scope, const tensorflow::GraphDef& graph,
    const std::vector<std::pair<std::string, tensorflow::Output>>& inputs, const std::vector<InputTensor>& outputs);

}  // namespace mox
