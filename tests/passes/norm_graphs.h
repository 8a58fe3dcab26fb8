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

}  // namespace mox::testing
