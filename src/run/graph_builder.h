// The C++ front end: calls the user's functions and gathers the graph that they build.
#pragma once

#include "graph/built_graph.h"
#include "moxing/export.h"
#include "moxing/run.h"
#include "run/run_config.h"

namespace mox {

// The graph of TRAIN, EVAL or PREDICT: input pipeline, model_fn for each device, gradients, updates. `batch` gets dtype
// and shape of one device's inputs, for build_export_graph.
MOX_EXPORT BuiltGraph build_run_graph(const RunOptions& options, const RunConfig& config,
                                      std::vector<InputTensor>* batch);
// model_fn in EXPORT mode, on placeholders of these types.
BuiltGraph build_export_graph(const ModelFn& model_fn, const RunConfig& config, const std::vector<InputTensor>& batch);

}  // namespace mox
