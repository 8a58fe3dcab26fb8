// Turns what input_fn built into one tf.data pipeline that feeds every device.
//
// input_fn builds a graph of its own: data sets, an iterator, and operations on the iterator's elements. This pass
// lifts the operations into a function, so that they run in tf.data's threads, adds the batch dimension when asked
// (parallel map + batch in one), prefetches, and gives each device an IteratorGetNext of its own on the one iterator.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "graph/tensor_info.h"
#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// What input_fn built.
struct InputGraph {
  tensorflow::GraphDef graph;
  std::vector<InputTensor> outputs;
  Feeds feeds;                            // placeholders that data sets in memory are fed through
  std::vector<std::string> initializers;  // ops that tables and the like need before the first element
};

struct LiftOptions {
  bool auto_batch = true;       // add the batch dimension; false: elements are batches already
  int64_t batch_size = 0;       // samples a batch, with auto_batch
  bool drop_remainder = false;  // drop a last batch that is not full
  int num_towers = 1;
  int parallelism = 2;         // samples prepared at once
  std::string name = "input";  // prefix of the nodes and of the iterator's shared name
};

struct LiftedInput {
  tensorflow::GraphDef graph;
  std::vector<std::vector<std::string>> tower_inputs;  // [tower][output]: tensor names in `graph`
  std::vector<InputTensor> batch;                      // dtype and shape of one tower's inputs
  std::vector<std::string> initializers;               // run in this order, with `feeds`
  Feeds feeds;
};

// InvalidArgumentError when the graph cannot be lifted (a placeholder without a value), naming the node.
MOX_EXPORT LiftedInput lift_input(const InputGraph& input, const LiftOptions& options);

}  // namespace mox
