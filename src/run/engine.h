// The engine: runs a built graph, whichever front end built it.
#pragma once

#include <optional>

#include "graph/built_graph.h"
#include "moxing/export.h"
#include "run/run_config.h"

namespace mox {

// `config`: as apply_flags and validate left it: checked, and its log_dir is there. `export_graph` is model_fn built in
// EXPORT mode, when the model is exported after the run.
MOX_EXPORT RunResult run_built_graph(BuiltGraph graph, std::optional<BuiltGraph> export_graph, RunConfig config);

}  // namespace mox
