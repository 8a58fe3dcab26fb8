#include "passes/narrow_convolutions.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "convolutions/loops.h"
#include "graph/node_defs.h"
#include "passes/fast_convolutions.h"
#include "passes/filter_shape.h"
#include "passes/widen.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// Up to so many; fewer where the processor itself multiplies bfloat16.
int64_t few_channels() {
  const convolutions::ConvolutionLoops* loops = convolutions::convolution_loops();
  return loops && loops->multiply_pairs ? 8 : 32;
}

bool is_bfloat16(const tf::NodeDef& node) {
  const auto type = node.attr().find("T");
  return type != node.attr().end() && type->second.type() == tf::DT_BFLOAT16;
}

bool is_narrow(const NodeIndex& index, const tf::NodeDef& node) {
  if (!is_one_of(node.op(), {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"}) || !is_bfloat16(node))
    return false;
  if (becomes_fast(index, node)) return false;  // ours is as fast there as in float32
  const std::vector<int64_t> filter = shape_of_filter(index, node.input(1));
  return filter.size() == 4 && filter[0] * filter[1] > 1 && filter[2] <= few_channels();
}

}  // namespace

int widen_narrow_convolutions(tf::GraphDef* graph) {
  std::vector<int> narrow;
  std::set<std::string> forward, gradients;  // convolutions; what their filters' gradients are made of
  std::map<std::string, int> readers;
  {
    const NodeIndex index = index_nodes(*graph);
    for (int i = 0; i < graph->node_size(); ++i) {
      const tf::NodeDef& node = graph->node(i);
      for (const std::string& input : node.input()) ++readers[parse_tensor(input).text()];
      if (!is_narrow(index, node)) continue;
      narrow.push_back(i);
      if (node.op() == "Conv2D") forward.insert(node.name());
      if (node.op() == "Conv2DBackpropFilter") gradients.insert(parse_tensor(node.input(2)).text());
    }
  }
  // TensorFlow computes the bias together with the convolution, and its gradient with that of the filter.
  std::vector<int> biases, bias_gradients;
  for (int i = 0; i < graph->node_size(); ++i) {
    const tf::NodeDef& node = graph->node(i);
    if (!is_bfloat16(node) || node.input_size() == 0) continue;
    const std::string from = parse_tensor(node.input(0)).text();
    if (node.op() == "BiasAdd" && forward.count(from) && readers[from] == 1) biases.push_back(i);
    if (node.op() == "BiasAddGrad" && gradients.count(from)) bias_gradients.push_back(i);
  }
  for (const int i : narrow) {
    if (graph->node(i).op() == "Conv2DBackpropFilter")
      compute_in_float32(graph, i, {0, 2});
    else if (graph->node(i).op() == "Conv2D")
      compute_in_float32(graph, i, {0, 1});
    else
      compute_in_float32(graph, i, {1, 2});
  }
  for (const int i : biases) compute_in_float32(graph, i, {0, 1});
  for (const int i : bias_gradients) compute_in_float32(graph, i, {0});
  return static_cast<int>(narrow.size());
}

}  // namespace mox
