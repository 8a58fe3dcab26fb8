#include "passes/depthwise_precision.h"

#include <algorithm>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

bool is_slow_gradient(const tf::NodeDef& node) {
  if (node.op() != "DepthwiseConv2dNativeBackpropInput" && node.op() != "DepthwiseConv2dNativeBackpropFilter")
    return false;
  const auto& strides = node.attr().at("strides").list().i();
  return node.attr().at("T").type() == tf::DT_BFLOAT16 &&
         std::any_of(strides.begin(), strides.end(), [](int64_t stride) { return stride > 1; });
}

std::string widen(tf::GraphDef* graph, const tf::NodeDef& node, int input) {
  return NodeMaker(graph, node.name() + "/float32/input_" + std::to_string(input), "Cast")
      .input(node.input(input))
      .attr("SrcT", tf::DT_BFLOAT16)
      .attr("DstT", tf::DT_FLOAT)
      .device(node.device())
      .name();
}

}  // namespace

int widen_depthwise_gradients(tf::GraphDef* graph) {
  int rewritten = 0;
  for (int i = 0, count = graph->node_size(); i < count; ++i) {
    if (!is_slow_gradient(graph->node(i))) continue;
    tf::NodeDef wide = graph->node(i);
    // The other one is the shape of what is computed.
    const int values = wide.op() == "DepthwiseConv2dNativeBackpropInput" ? 1 : 0;
    const std::string first = widen(graph, wide, values), second = widen(graph, wide, 2);
    // The node keeps its name, as the cast back: whoever reads it need not know.
    tf::NodeDef* node = graph->mutable_node(i);
    node->set_op("Cast");
    node->clear_attr();
    node->clear_input();
    tf::SetAttrValue(tf::DT_FLOAT, &(*node->mutable_attr())["SrcT"]);
    tf::SetAttrValue(tf::DT_BFLOAT16, &(*node->mutable_attr())["DstT"]);
    wide.set_input(values, first);
    wide.set_input(2, second);
    wide.set_name(wide.name() + "/float32");
    tf::SetAttrValue(tf::DT_FLOAT, &(*wide.mutable_attr())["T"]);
    node->add_input(wide.name());
    *graph->add_node() = std::move(wide);
    ++rewritten;
  }
  return rewritten;
}

}  // namespace mox
