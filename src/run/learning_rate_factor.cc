#include "run/learning_rate_factor.h"

#include <algorithm>

#include "graph/node_defs.h"
#include "moxing/error.h"
#include "run/state_variable.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// `learning_rate` * factor; `read` is the factor.
std::string scaled(tf::GraphDef* graph, const std::string& learning_rate, const std::string& read, int number) {
  const int before = graph->node_size();
  const std::string name = std::string(kLearningRateFactor) + "/scaled_" + std::to_string(number);
  const std::string wanted = parse_tensor(learning_rate).text();
  for (int i = 0; i < before; ++i)
    for (std::string& input : *graph->mutable_node(i)->mutable_input())
      if (!parse_tensor(input).is_control() && parse_tensor(input).text() == wanted) input = name;
  NodeMaker(graph, name, "Mul").input(learning_rate).input(read).attr("T", tf::DT_FLOAT);
  return name + ":0";
}

}  // namespace

void add_learning_rate_factor(BuiltGraph* graph, const char* who) {
  if (has_learning_rate_factor(*graph)) return;
  if (graph->learning_rates.empty())
    throw InvalidArgumentError(std::string(who) +
                               " needs an optimizer whose learning rate is a tensor that MoXing knows; take one of "
                               "get_optimizer_fn");
  tf::GraphDef* def = &graph->graph;
  tf::Tensor one(tf::DT_FLOAT, {});
  one.scalar<float>()() = 1;
  const std::string name = add_state_variable(graph, kLearningRateFactor, one);
  NodeMaker(def, name + "/read", "ReadVariableOp").input(name).attr("dtype", tf::DT_FLOAT);
  for (size_t i = 0; i < graph->learning_rates.size(); ++i)
    graph->learning_rates[i] = scaled(def, graph->learning_rates[i], name + "/read", i);
}

bool has_learning_rate_factor(const BuiltGraph& graph) {
  return std::any_of(graph.variables.begin(), graph.variables.end(),
                     [](const VariableInfo& v) { return v.name == kLearningRateFactor; });
}

}  // namespace mox
