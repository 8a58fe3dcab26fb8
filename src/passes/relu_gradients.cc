#include "passes/relu_gradients.h"

#include <map>
#include <string>
#include <utility>

#include "graph/node_defs.h"

namespace mox {

int take_relu_gradients_of_outputs(tensorflow::GraphDef* graph) {
  std::map<std::pair<std::string, std::string>, std::string> outputs;  // by the gradient's kind and the ReLU's input
  for (const tensorflow::NodeDef& node : graph->node())
    if (is_one_of(node.op(), {"Relu", "Relu6"}))
      outputs.emplace(std::pair(node.op() + "Grad", parse_tensor(node.input(0)).text()), node.name());
  int count = 0;
  for (tensorflow::NodeDef& node : *graph->mutable_node()) {
    if (!is_one_of(node.op(), {"ReluGrad", "Relu6Grad"})) continue;
    const auto found = outputs.find({node.op(), parse_tensor(node.input(1)).text()});
    if (found == outputs.end()) continue;
    node.set_input(1, found->second);
    ++count;
  }
  return count;
}

}  // namespace mox
