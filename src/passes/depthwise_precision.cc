#include "passes/depthwise_precision.h"

#include <algorithm>

#include "graph/node_defs.h"
#include "passes/fast_convolutions.h"
#include "passes/widen.h"

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

}  // namespace

int widen_depthwise_gradients(tf::GraphDef* graph) {
  const NodeIndex index = index_nodes(*graph);
  int rewritten = 0;
  for (int i = 0, count = graph->node_size(); i < count; ++i) {
    if (!is_slow_gradient(graph->node(i)) || becomes_fast(index, graph->node(i))) continue;
    // The other one is the shape of what is computed.
    const int values = graph->node(i).op() == "DepthwiseConv2dNativeBackpropInput" ? 1 : 0;
    compute_in_float32(graph, i, {values, 2});
    ++rewritten;
  }
  return rewritten;
}

}  // namespace mox
