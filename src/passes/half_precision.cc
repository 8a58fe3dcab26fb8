#include "passes/half_precision.h"

#include <string>
#include <vector>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

struct HalfOp {
  const char* op;
  std::vector<int> inputs;  // those of type T
};

const HalfOp* half_op(const tf::NodeDef& node) {
  static const std::vector<HalfOp>* ops = new std::vector<HalfOp>{
      {"BatchMatMulV2", {0, 1}},
      {"Conv2D", {0, 1}},
      {"Conv2DBackpropFilter", {0, 2}},
      {"Conv2DBackpropInput", {1, 2}},
      {"DepthwiseConv2dNative", {0, 1}},
      {"DepthwiseConv2dNativeBackpropFilter", {0, 2}},
      {"DepthwiseConv2dNativeBackpropInput", {1, 2}},
      {"MatMul", {0, 1}},
  };
  const auto type = node.attr().find("T");
  if (type == node.attr().end() || type->second.type() != tf::DT_FLOAT) return nullptr;
  for (const HalfOp& entry : *ops)
    if (node.op() == entry.op) return &entry;
  return nullptr;
}

// The node goes on under another name; its own becomes that of the Cast, so that all who use it find float32.
void change(tf::GraphDef* graph, tf::NodeDef* node, const HalfOp& op) {
  const std::string name = node->name(), device = node->device();
  node->set_name(name + "/half");
  tf::SetAttrValue(tf::DT_HALF, &(*node->mutable_attr())["T"]);
  for (int input : op.inputs) {
    NodeMaker cast(graph, name + "/half_input_" + std::to_string(input), "Cast");
    cast.input(node->input(input)).attr("SrcT", tf::DT_FLOAT).attr("DstT", tf::DT_HALF).device(device);
    node->set_input(input, cast.name());
  }
  NodeMaker(graph, name, "Cast")
      .input(name + "/half")
      .attr("SrcT", tf::DT_HALF)
      .attr("DstT", tf::DT_FLOAT)
      .device(device);
}

}  // namespace

void compute_in_half_precision(tf::GraphDef* graph) {
  std::vector<tf::NodeDef*> found;
  for (tf::NodeDef& node : *graph->mutable_node())
    if (half_op(node)) found.push_back(&node);
  for (tf::NodeDef* node : found) change(graph, node, *half_op(*node));
}

}  // namespace mox
