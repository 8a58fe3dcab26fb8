#include "passes/widen.h"

#include <string>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

const tf::NodeDef* find_rounding(const tf::GraphDef& graph, const std::string& tensor) {
  const std::string name = node_of(tensor);
  for (const tf::NodeDef& node : graph.node())
    if (node.name() == name)
      return node.op() == "Cast" && node.attr().at("SrcT").type() == tf::DT_FLOAT && node.input_size() == 1 ? &node
                                                                                                            : nullptr;
  return nullptr;
}

std::string widen(tf::GraphDef* graph, const tf::NodeDef& node, int input) {
  if (const tf::NodeDef* rounding = find_rounding(*graph, node.input(input))) return rounding->input(0);
  return NodeMaker(graph, node.name() + "/float32/input_" + std::to_string(input), "Cast")
      .input(node.input(input))
      .attr("SrcT", tf::DT_BFLOAT16)
      .attr("DstT", tf::DT_FLOAT)
      .device(node.device())
      .name();
}

}  // namespace

void compute_in_float32(tf::GraphDef* graph, int node, std::initializer_list<int> inputs) {
  tf::NodeDef wide = graph->node(node);
  for (const int input : inputs) wide.set_input(input, widen(graph, graph->node(node), input));
  tf::NodeDef* cast = graph->mutable_node(node);
  cast->set_op("Cast");
  cast->clear_attr();
  cast->clear_input();
  tf::SetAttrValue(tf::DT_FLOAT, &(*cast->mutable_attr())["SrcT"]);
  tf::SetAttrValue(tf::DT_BFLOAT16, &(*cast->mutable_attr())["DstT"]);
  wide.set_name(wide.name() + "/float32");
  tf::SetAttrValue(tf::DT_FLOAT, &(*wide.mutable_attr())["T"]);
  cast->add_input(wide.name());
  *graph->add_node() = std::move(wide);
}

}  // namespace mox
