// What an input pipeline is made of, for messages.
#pragma once

#include <string>

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// "input_fn (GeneratorDataset, FlatMapDataset, ShuffleDataset)": the data sets that input_fn made, from the source on.
MOX_EXPORT std::string describe_input(const tensorflow::GraphDef& graph);

}  // namespace mox
