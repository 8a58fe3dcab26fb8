// How the gradients of devices and processes become what the optimizer applies.
#pragma once

#include <string>

#include "exchange/clip_gradients.h"
#include "graph/built_graph.h"
#include "moxing/export.h"

namespace mox {

// One way to do it: within one process (LocalExchange), over parameter servers, by all-reduce. A pass on a TRAIN graph,
// before anything else looks at its gradients. What it finds:
// - graph->gradients: a slot for each variable and loss, with the gradients of this process's devices (already without
//   the loss scale, and as the optimizer's wrappers left them). They stand in the order in which the variables were
//   made: the backward pass has the last ones first, which is the order for buckets;
// - dtype and device of a slot are those of its node, the shape is its variable's in graph->variables.
// What it leaves behind:
// - each slot's input: what the optimizer sees, on the slot's device, in its dtype; the mean over all devices of all
//   processes;
// - graph->train_ops: the operations of this process's step; it may add some, and take the optimizer's away where
//   another process applies the gradients;
// - state: what checkpoints keep goes to graph->variables (`optional`), what each run makes anew (accumulators, queues,
//   connections) is an operation in graph->initializers.
class MOX_EXPORT Exchange {
 public:
  virtual ~Exchange();

  // Whether the gradients of all processes are finite; `finite` (node of a bool scalar) says it of this one's. All
  // processes must get the same answer: where it is false, none of them runs what follows from its gradients, so that
  // nobody waits for another. Asked before join, with a dynamic loss scale only.
  virtual std::string all_finite(BuiltGraph* graph, const std::string& finite) = 0;

  virtual void join(BuiltGraph* graph) = 0;

  // After everything else has added its nodes: says of each in which process of a cluster it runs. Nothing to say where
  // the graph is one process's.
  virtual void place(BuiltGraph* graph) {}
};

struct GradientOptions {
  double loss_scale = 1;  // that of the losses, when it is fixed
  bool dynamic_loss_scale = false;
  int64_t loss_scale_growth_steps = 2000;
  ClipOptions clip;
};

// From each device's raw gradients to what the optimizer applies: takes the loss scale out, on each device; exchanges;
// limits. With a dynamic loss scale the step is skipped where all_finite is false.
MOX_EXPORT void connect_gradients(BuiltGraph* graph, Exchange* exchange, const GradientOptions& options);

}  // namespace mox
