// The C++ front end: calls the user's functions and names what they build for the GraphAssembly.
#pragma once

#include "graph/built_graph.h"
#include "moxing/export.h"
#include "run/run_config.h"

namespace mox {

// The graph of TRAIN, EVAL or PREDICT: input pipeline, model_fn for each device, gradients, updates. `batch` gets dtype
// and shape of one device's inputs, for export_inputs.
MOX_EXPORT BuiltGraph build_run_graph(const RunConfig& config, std::vector<InputTensor>* batch);
// model_fn in EXPORT mode, on placeholders of these names and types.
BuiltGraph build_export_graph(const ModelFn& model_fn, const std::vector<InputTensor>& inputs);

}  // namespace mox
