// The losses of every step must be finite.
#pragma once

#include "graph/built_graph.h"
#include "run/checkpoint_writer.h"
#include "run/step_observer.h"

namespace mox {

class MOX_EXPORT LossCheck : public StepObserver {
 public:
  // `writer`, `another_saves`: for the message, which says what is saved (last_checkpoint).
  LossCheck(const BuiltGraph& graph, CheckpointWriter* writer, bool another_saves = false)
      : graph_(graph), writer_(writer), another_saves_(another_saves) {}
  int64_t wants(const StepNumber&) override { return 1; }
  void request(int64_t wanted, StepRequest* request) const override;
  // RunError that names step and tensor.
  void check_step(const StepResult& result) override;

 private:
  [[noreturn]] void stop(double value, const std::string& loss, const StepNumber& number) const;

  const BuiltGraph& graph_;
  CheckpointWriter* const writer_;
  const bool another_saves_;
};

}  // namespace mox
