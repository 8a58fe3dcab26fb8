#include "passes/small_step.h"

#include <algorithm>

#include "input/input_options.h"

namespace mox {
namespace {

bool is_small_step(const BuiltGraph& graph) {
  constexpr int64_t kSmall = 1 << 24;  // products of a weight and a sample: below a millisecond of one core
  int64_t weights = 0;
  for (const VariableInfo& variable : graph.variables)
    weights += variable.trainable ? variable.shape.num_elements() : 0;
  if (graph.samples_per_step == 0) return false;  // not known
  if (weights * graph.samples_per_step > kSmall || graph.towers.size() > 1) return false;
  const auto& nodes = graph.graph.node();  // a convolution uses a weight many times a sample
  return std::none_of(nodes.begin(), nodes.end(),
                      [](const tensorflow::NodeDef& n) { return n.op().find("Conv") != std::string::npos; });
}

}  // namespace

void run_small_step_in_callers_thread(BuiltGraph* graph) {
  graph->in_callers_thread = is_small_step(*graph) && give_input_own_threads(&graph->graph);
}

void run_forward_step_in_callers_thread(BuiltGraph* graph) {
  if (graph->towers.size() != 1) return;
  const auto& nodes = graph->graph.node();
  const bool has_input = std::any_of(
      nodes.begin(), nodes.end(), [](const tensorflow::NodeDef& n) { return n.op().rfind("IteratorGetNext", 0) == 0; });
  graph->in_callers_thread = !has_input || give_input_own_threads(&graph->graph);
}

}  // namespace mox
