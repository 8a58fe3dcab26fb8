#include "passes/callers_thread.h"

#include <algorithm>
#include <string>

#include "devices/step_threads.h"
#include "input/input_options.h"

namespace mox {
namespace {

bool is_convolution(const tensorflow::NodeDef& node) { return node.op().find("Conv") != std::string::npos; }

bool is_small_step(const BuiltGraph& graph) {
  constexpr int64_t kSmall = 1 << 24;  // products of a weight and a sample: below a millisecond of one core
  int64_t weights = 0;
  for (const VariableInfo& variable : graph.variables)
    weights += variable.trainable ? variable.shape.num_elements() : 0;
  return graph.samples_per_step > 0 && weights * graph.samples_per_step <= kSmall;  // 0: not known
}

}  // namespace

void run_training_step_in_callers_thread(BuiltGraph* graph, int threads) {
  if (graph->towers.size() != 1) return;
  const auto& nodes = graph->graph.node();  // a convolution uses a weight many times a sample
  const bool convolves = std::any_of(nodes.begin(), nodes.end(), is_convolution);
  if (convolves ? !StepThreads::serve(threads) : !is_small_step(*graph)) return;
  graph->in_callers_thread = give_input_own_threads(&graph->graph);
}

void run_forward_step_in_callers_thread(BuiltGraph* graph) {
  if (graph->towers.size() != 1) return;
  const auto& nodes = graph->graph.node();
  const bool has_input = std::any_of(
      nodes.begin(), nodes.end(), [](const tensorflow::NodeDef& n) { return n.op().rfind("IteratorGetNext", 0) == 0; });
  graph->in_callers_thread = !has_input || give_input_own_threads(&graph->graph);
}

}  // namespace mox
