// SavedModels for TF-Serving.
#pragma once

#include <string>

#include "graph/built_graph.h"
#include "run/checkpoint_writer.h"

namespace mox {

// Writes saved_model.pb, variables/ and assets/labels.txt (when class names are known) under a temporary name and
// renames it, so that a server that watches log_dir never sees half a model; on a store saved_model.pb is written last.
// Returns the folder.
std::string export_saved_model(const BuiltGraph& graph, const NamedValues& values, const std::string& log_dir);

}  // namespace mox
