#include "run/observers/output_observer.h"

#include <algorithm>

namespace mox {

OutputObserver::OutputObserver(const BuiltGraph& graph, FetchPlan& plan, OutputFn output_fn, int64_t every)
    : graph_(graph),
      plan_(plan),
      output_fn_(std::move(output_fn)),
      full_(std::max<int64_t>(1, every) * graph.towers.size()) {}

void OutputObserver::request(int64_t, StepRequest* request) const {
  for (int tower = 0; tower < request->towers; ++tower)
    for (const NamedTensor& info : graph_.towers[tower].output_info) request->fetches.push_back(info.tensor);
}

void OutputObserver::after_step(const StepResult& result) {
  if (result.wanted == 0) return;
  auto next = result.fetched.begin();
  for (int tower = 0; tower < result.towers; ++tower) {
    OutputDict& dict = outputs_.emplace_back();
    for (const NamedTensor& info : graph_.towers[tower].output_info) dict[info.name] = *next++;
  }
  if (outputs_.size() >= full_) deliver();
}

void OutputObserver::deliver() {
  if (outputs_.empty()) return;
  std::vector<OutputDict> outputs;
  outputs.swap(outputs_);
  output_fn_(outputs);
}

}  // namespace mox
