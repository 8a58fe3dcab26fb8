// Validation while a training runs: the graph of inter_mode on the weights as they are.
#pragma once

#include <functional>
#include <optional>

#include "graph/built_graph.h"
#include "moxing/export.h"
#include "run/engine_session.h"
#include "run/step_logger.h"
#include "run/step_watch.h"

namespace mox {

// Adds what counts the samples of its batches. Before the session is made; the graph has an inter_mode.
MOX_EXPORT void add_validation(BuiltGraph* graph);

class MOX_EXPORT Validation {
 public:
  struct Result {
    int64_t samples = 0;
    Metrics means;  // of log_info, over the samples
  };
  // All must outlive it. `most_batches` 0: until the input ends.
  Validation(const BuiltGraph& graph, EngineSession& session, StepWatch& watch, int64_t most_batches)
      : graph_(graph), session_(session), watch_(watch), most_batches_(most_batches) {}

  // From the beginning of its input. `progress` gets the batches that are done. Nothing: a signal asked the run to
  // stop. An Error of the input or the model; DataError where there are no samples.
  std::optional<Result> run(const std::function<void(int64_t batches)>& progress);

 private:
  void prepare();

  const BuiltGraph& graph_;
  EngineSession& session_;
  StepWatch& watch_;
  const int64_t most_batches_;
  std::optional<EngineSession::Prepared> step_;
  std::vector<tensorflow::Tensor> fed_;  // by FeedSessionRunHooks of its model_fn
};

}  // namespace mox
