// The functions for tf.data graphs that data sets outside need not see. Private to the engine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moxing/dataset_graph.h"
#include "tensorflow/core/graph/node_builder.h"

namespace mox::data {

// Runs what is before it in `threads` threads of its own.
DatasetNode private_threads(const Scope& scope, const DatasetNode& input, int64_t threads);
// Leaves out tf.data's default rewriting, which copies what the pipeline captures.
DatasetNode unrewritten(const Scope& scope, const DatasetNode& input);

// Of tensors that agree in their first size, the rows that each element, a vector of numbers, names; one component a
// tensor.
DatasetNode rows_of(const Scope& scope, const DatasetNode& numbers, const MapOptions& columns);

// `element`, or at run time an error when it has no values, which `batch` and `unbatch` cannot take: `name` (a string
// or several) tells the sample, `what` the tensor. As it is where its shape says that it has some.
tensorflow::Output not_empty(const Scope& scope, const tensorflow::Output& element, const tensorflow::Output& name,
                             const std::string& what);

// Adds the node that was built, with the scope's device and control dependencies, and infers its shapes.
tensorflow::Node* add_node(const Scope& scope, tensorflow::NodeBuilder& builder);

// Adds the iterator, its initialiser (listed in the graph's state) and the op that gets the next element.
std::vector<tensorflow::Output> iterate(const Scope& scope, const DatasetNode& input);

// The function library entry made of `body`; returns the function's name and the types and shapes it returns.
struct BodyFunction {
  std::string name;
  tensorflow::DataTypeVector types;
  std::vector<tensorflow::PartialTensorShape> shapes;
};
BodyFunction add_function(const Scope& scope, const DatasetNode& input, const MapBody& body,
                          const std::vector<tensorflow::Output>& captured);

}  // namespace mox::data
