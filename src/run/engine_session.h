// A session of TensorFlow's runtime on a built graph, with what a run does to it: initialise, restore, read, step.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "run/built_graph.h"
#include "run/checkpoint_loader.h"
#include "run/checkpoint_writer.h"
#include "run/run_config.h"
#include "tensorflow/core/framework/step_stats.pb.h"
#include "tensorflow/core/public/session.h"

namespace mox {

// The input ended: not an error.
struct EndOfInput {};

class EngineSession {
 public:
  // Adds to the graph what saving and restoring need, and creates the session. `graph` must outlive it.
  EngineSession(BuiltGraph& graph, const RunConfig& config);
  ~EngineSession();

  // Initial values for what the checkpoint lacks, the checkpoint's for the rest; then tables and iterators.
  void initialize(const LoadedCheckpoint& checkpoint);

  // A prepared step: fetches in order, targets run too.
  using Callable = tensorflow::Session::CallableHandle;
  Callable prepare(const std::vector<std::string>& fetches, const std::vector<std::string>& targets);
  // Throws EndOfInput, or RunError with the operation that failed.
  std::vector<tensorflow::Tensor> run(Callable callable);
  // The same once, with the time of every operation in `stats`.
  std::vector<tensorflow::Tensor> run_traced(const std::vector<std::string>& fetches,
                                             const std::vector<std::string>& targets, tensorflow::StepStats* stats);

  // All variables as they are now. No copy is made: the next update of a variable copies it on write.
  NamedValues read_variables();
  // The global step variable, 0 when the graph has none.
  int64_t global_step();

  // Breaks off a step under way, from any thread: the session cannot be used after it.
  void abort();

 private:
  void create(const RunConfig& config);
  void add_variable_ops();

  BuiltGraph& graph_;
  std::unique_ptr<tensorflow::Session> session_;
  Callable read_all_ = 0;
  bool read_prepared_ = false;
  std::atomic<bool> aborted_{false};
};

}  // namespace mox
