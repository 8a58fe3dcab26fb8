// Hands output_info to the user's output_fn.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "graph/built_graph.h"
#include "run/observers/fetch_plan.h"
#include "run/step_observer.h"

namespace mox {

class MOX_EXPORT OutputObserver : public StepObserver {
 public:
  // What each process says, in their order.
  using Gather = std::function<std::vector<std::string>(const std::string& mine)>;
  // output_fn gets what `every` full steps (at least one) gave; at the end what is left. `gather`: empty, or with other
  // processes: then it gets the outputs of all, in the order of one process that has their devices: step by step, in
  // each those of process 0 first. An empty output_fn only tells the others.
  OutputObserver(const BuiltGraph& graph, FetchPlan& plan, OutputFn output_fn, int64_t every, Gather gather = {});
  int64_t wants(const StepNumber& number) override { return plan_.at(number.local).output; }
  void request(int64_t wanted, StepRequest* request) const override;
  void after_step(const StepResult& result) override;
  void report(const Ending& ending, RunResult*) override;

 private:
  using Step = std::vector<OutputDict>;  // a dict a device

  void deliver(const std::vector<std::vector<Step>>& processes);
  // Whether all processes have ended.
  bool exchange(bool ended);

  const BuiltGraph& graph_;
  FetchPlan& plan_;
  const OutputFn output_fn_;
  const size_t full_;  // steps
  const Gather gather_;
  std::vector<Step> steps_;
};

}  // namespace mox
