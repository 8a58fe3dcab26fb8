// The passes: what is rewritten in a graph that either front end built, before it runs. One file a pass; the list, in
// the order in which they run, is in passes.cc.
#pragma once

#include <vector>

#include "devices/device_plan.h"
#include "graph/built_graph.h"
#include "moxing/export.h"

namespace mox {

// What passes know beside the graph.
struct PassContext {
  DevicePlan devices;
  bool half_precision = false;   // the flag use_fp16
  bool threads_chosen = false;   // the user says how many threads run a step
  bool several_workers = false;  // each reads its share of the input
  int64_t worker = 0;            // this one's place among them
  int64_t threads = 0;           // in which a step's operations run; 0: one a core
  int operation_threads = 0;     // that compute inside one of them
};

// For which towers it is: a kernel that only CPUs have, or a trick that only pays there, must not reach a GPU's graph.
enum class Fits { kAnyDevice, kCpu, kGpu };
// Never EXPORT: that graph is for other programs (passes/fold_into_variables.h is the exporter's).
enum class In { kTrain, kTrainAndEval, kEvalAndPredict, kAnyMode };

struct Pass {
  const char* name;
  In in;
  Fits fits;
  void (*run)(BuiltGraph*, const PassContext&);
};

// In their order.
const std::vector<Pass>& passes();
// Those of the graph's mode that fit the plan's devices. After all else that adds nodes: the exchange of gradients,
// state of the engine and of hooks.
MOX_EXPORT void run_passes(BuiltGraph* graph, const PassContext& context);

}  // namespace mox
