// How tf.data runs an input pipeline: its threads and its own tuning.
#pragma once

#include <string>
#include <vector>

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/types.h"

namespace mox {

// Whether input_fn chose for itself (Dataset.with_options with autotune or threading).
bool sets_input_options(const tensorflow::GraphDef& graph);

struct InputOptionsNode {
  std::string name;
  tensorflow::DataTypeVector types;
  std::vector<tensorflow::PartialTensorShape> shapes;
};

// Adds the options as the pipeline's last data set and returns its tensor. Autotuning is off: its thread models every
// element, and an iterator that is let go while that thread sleeps waits for it, up to a minute. Each operation of the
// pipeline runs in one thread: its parallelism is over elements.
std::string add_input_options(tensorflow::GraphDef* graph, const std::string& dataset, const InputOptionsNode& node);

// A map whose function fails with OutOfRange (another iterator, a queue, a file that shrank) fails, too: by default
// tf.data takes it for the end of the data.
void end_only_with_the_data(tensorflow::GraphDef* graph);

// What may run for an element in a few microseconds a kilobyte: no decoding, no Python, no files, nothing at random.
bool is_cheap_operation(const std::string& op);

// Gives a pipeline with such options threads of its own and lets the step take its elements without handing over to
// another thread; then the step needs no thread pool. One thread when all that is done for an element is cheap: waking
// more costs more than the work. False when input_fn chose for itself.
MOX_EXPORT bool give_input_own_threads(tensorflow::GraphDef* graph);

}  // namespace mox
