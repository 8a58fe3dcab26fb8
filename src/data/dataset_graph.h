// tf.data graphs built in C++: one small function a dataset op. The wheel exports no C++ classes for these ops.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "moxing/scope.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/types.h"

namespace mox::data {

// A dataset in the graph and what its elements are made of.
struct DatasetNode {
  tensorflow::Output variant;
  tensorflow::DataTypeVector types;
  std::vector<tensorflow::PartialTensorShape> shapes;
};

// begin, begin + step, … below end: int64 scalars.
DatasetNode range(const Scope& scope, const tensorflow::Input& begin, const tensorflow::Input& end, int64_t step);
// The rows of the components, which agree in their first size.
DatasetNode tensor_slices(const Scope& scope, const std::vector<tensorflow::Output>& components);
// Picks from a buffer of that many elements, in the order of the two seeds.
DatasetNode shuffle(const Scope& scope, const DatasetNode& input, const tensorflow::Output& buffer_size,
                    const tensorflow::Output& seed, const tensorflow::Output& seed2);
DatasetNode batch(const Scope& scope, const DatasetNode& input, int64_t size, bool drop_remainder);
DatasetNode unbatch(const Scope& scope, const DatasetNode& input);
DatasetNode prefetch(const Scope& scope, const DatasetNode& input, int64_t elements);
// Runs what is before it in `threads` threads of its own.
DatasetNode private_threads(const Scope& scope, const DatasetNode& input, int64_t threads);
// Leaves out tf.data's default rewriting, which copies what the pipeline captures.
DatasetNode unrewritten(const Scope& scope, const DatasetNode& input);

// Builds the body of a map in a graph of its own; `captured` are the outer tensors, same order.
using MapBody =
    std::function<std::vector<tensorflow::Output>(const Scope& body, const std::vector<tensorflow::Output>& element,
                                                  const std::vector<tensorflow::Output>& captured)>;
struct MapOptions {
  std::vector<tensorflow::Output> captured;  // tensors from outside that the body reads
  int64_t parallel = 0;                      // > 0: that many elements at once
  bool deterministic = true;                 // keep the order when elements are made in parallel
};
DatasetNode map(const Scope& scope, const DatasetNode& input, const MapBody& body, const MapOptions& options = {});
// The elements of the data sets that `body` makes of each element, one after the other.
using FlatMapBody = std::function<DatasetNode(const Scope& body, const std::vector<tensorflow::Output>& element,
                                              const std::vector<tensorflow::Output>& captured)>;
DatasetNode flat_map(const Scope& scope, const DatasetNode& input, const FlatMapBody& body,
                     const std::vector<tensorflow::Output>& captured);

// Any other dataset op: `inputs` after the input dataset (left out when that is null).
struct OpSpec {
  const char* op;
  std::vector<tensorflow::Output> inputs;
  tensorflow::DataTypeVector types;
  std::vector<tensorflow::PartialTensorShape> shapes;
};
DatasetNode dataset_op(const Scope& scope, const DatasetNode* input, const OpSpec& spec);

// `element`, or at run time an error when it has no values, which `batch` and `unbatch` cannot take: `name` (a string
// or several) tells the sample, `what` the tensor. As it is where its shape says that it has some.
tensorflow::Output not_empty(const Scope& scope, const tensorflow::Output& element, const tensorflow::Output& name,
                             const std::string& what);

// A placeholder of the tensor's type and shape, fed once when iterators are initialised: the GraphDef stays small.
tensorflow::Output fed_tensor(const Scope& scope, const std::string& name, const tensorflow::Tensor& value);

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
