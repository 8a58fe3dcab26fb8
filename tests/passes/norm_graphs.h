// Graphs, node by node, for tests of what passes make of batch norms.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "graph/node_defs.h"

namespace mox::testing {

namespace tf = tensorflow;
using Inputs = std::vector<std::string>;
using Edit = std::function<void(tf::GraphDef*)>;

inline tf::NodeDef* find(tf::GraphDef* graph, const std::string& name) {
  for (tf::NodeDef& node : *graph->mutable_node())
    if (node.name() == name) return &node;
  ADD_FAILURE() << "no node " << name;
  return graph->mutable_node(0);
}

inline Inputs inputs_of(tf::GraphDef* graph, const std::string& name) {
  const auto& inputs = find(graph, name)->input();
  return {inputs.begin(), inputs.end()};
}

inline void set_attr(tf::GraphDef* graph, const std::string& name, const char* attr, const auto& value) {
  tf::SetAttrValue(value, &(*find(graph, name)->mutable_attr())[attr]);
}

inline void add_filter(tf::GraphDef* graph, const std::string& name, const tf::TensorShape& shape) {
  NodeMaker(graph, name, "VarHandleOp").attr("dtype", tf::DT_FLOAT).attr("shape", shape);
  NodeMaker(graph, name + "/read", "ReadVariableOp").input(name).attr("dtype", tf::DT_FLOAT);
}

inline void set_filter(tf::GraphDef* graph, const std::string& name, const tf::TensorShape& shape) {
  set_attr(graph, name, "shape", shape);
}

// "grad", the gradient of a convolution's input, is what arrives at "norm"; with `more` a "dy" that is no
// convolution's; with `side` what was added.
inline tf::GraphDef backward(bool more = false, bool side = false, tf::DataType type = tf::DT_BFLOAT16) {
  tf::GraphDef graph;
  for (const char* name : {"sizes", "dz", "dy", "x", "y", "mean", "variance", "scale", "offset"})
    NodeMaker(&graph, name, "Placeholder").attr("dtype", name == std::string("sizes") ? tf::DT_INT32 : tf::DT_FLOAT);
  NodeMaker norm(&graph, "norm", "MoxNormalizeGrad");
  norm.input("grad");
  if (more) norm.input("dy");
  norm.input("x");
  if (side) norm.input("y");
  for (const char* name : {"mean", "variance", "scale", "offset"}) norm.input(name);
  norm.attr("T", type)
      .attr("num_dy", more ? 2 : 1)
      .attr("num_side", side ? 1 : 0)
      .attr("epsilon", 0.25f)
      .attr("activation", "Relu6");
  add_filter(&graph, "w", {1, 1, 16, 32});
  NodeMaker(&graph, "grad", "MoxConvolutionInputGradient")
      .input("sizes")
      .input("w/read")
      .input("dz")
      .attr("T", type)
      .attr("stride", 1)
      .attr("padding", "VALID");
  NodeMaker(&graph, "dx", "Identity").input("norm").attr("T", type);
  return graph;
}

}  // namespace mox::testing
