// Static shapes of a GraphDef's tensors, for passes that must know them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tensorflow/core/common_runtime/shape_refiner.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/graph/graph.h"

namespace mox {

class GraphShapes {
 public:
  // Makes a graph of it: tenths of a second for thousands of nodes. Error when it is none.
  explicit GraphShapes(const tensorflow::GraphDef& graph);

  // -1: not known; empty: not even how many dimensions, or a scalar.
  std::vector<int64_t> of(const std::string& tensor);
  // Whether an element-wise operation's inputs have one shape.
  bool equal_inputs(const std::string& node);

 private:
  tensorflow::Graph graph_;
  tensorflow::ShapeRefiner refiner_;
  std::map<std::string, tensorflow::Node*> nodes_;
};

}  // namespace mox
