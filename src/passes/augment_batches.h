// Whole batches of image files, decoded and preprocessed by one call: a pass on the built graph.
#pragma once

#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Behind passes/fuse_augment.cc. Where nothing but batching is done with what MoxDecodeAugment makes, and a broken
// sample ends the training (max_broken_samples of 0), the files are batched, and one call decodes a batch into its
// memory: no copy of each image, and no thread that hands each on. What comes before, draws and parsing, runs in the
// thread that asks for a batch, where it is little. Elements, their order and errors stay the same.
// Returns how many.
int augment_whole_batches(tensorflow::GraphDef* graph);

}  // namespace mox
