// The losses of every step must be finite.
#pragma once

#include "graph/built_graph.h"
#include "run/checkpoint_writer.h"
#include "run/step_observer.h"

namespace mox {

class MOX_EXPORT LossCheck : public StepObserver {
 public:
  // `writer`: for the message, which says what is saved; nullptr: nothing.
  LossCheck(const BuiltGraph& graph, CheckpointWriter* writer) : graph_(graph), writer_(writer) {}
  int64_t wants(const StepNumber&) override { return 1; }
  void request(int64_t wanted, StepRequest* request) const override;
  // RunError that names step and tensor.
  void check_step(const StepResult& result) override;

 private:
  [[noreturn]] void stop(double value, const std::string& loss, const StepNumber& number) const;

  const BuiltGraph& graph_;
  CheckpointWriter* const writer_;
};

}  // namespace mox
