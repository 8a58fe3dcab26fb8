// Hands output_info to the user's output_fn.
#pragma once

#include <vector>

#include "graph/built_graph.h"
#include "run/observers/fetch_plan.h"
#include "run/step_observer.h"

namespace mox {

class MOX_EXPORT OutputObserver : public StepObserver {
 public:
  // output_fn gets what `every` full steps (at least one) gave; at the end what is left.
  OutputObserver(const BuiltGraph& graph, FetchPlan& plan, OutputFn output_fn, int64_t every);
  int64_t wants(const StepNumber& number) override { return plan_.at(number.local).output; }
  void request(int64_t wanted, StepRequest* request) const override;
  void after_step(const StepResult& result) override;
  void report(const Ending&, RunResult*) override { deliver(); }

 private:
  void deliver();

  const BuiltGraph& graph_;
  FetchPlan& plan_;
  const OutputFn output_fn_;
  const size_t full_;  // dicts
  std::vector<OutputDict> outputs_;
};

}  // namespace mox
