// Random operations of the input pipeline (augmentation) that a resumed training repeats: a pass on the built graph.
#pragma once

#include <string>
#include <vector>

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// In the functions of maps behind a data set that resumes (input/input_position.h), seeded random operations become
// functions of their seed and of the sample's place in the data set's endless row: whichever thread makes a sample, and
// wherever the training began, it is the same. Operations without a seed stay as they are, and so do maps of the user's
// own tf.data, and those before a repeat or a cache, which would meet a place twice.
// `make_iterators`: MakeIterator nodes of the training's input.
MOX_EXPORT void make_input_stateless(tensorflow::GraphDef* graph, const std::vector<std::string>& make_iterators);

}  // namespace mox
