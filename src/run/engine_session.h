// A session of TensorFlow's runtime on a built graph, with what a run does to it: initialise, restore, read, step.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "graph/built_graph.h"
#include "graph/variable_pieces.h"
#include "run/checkpoint_loader.h"
#include "run/checkpoint_writer.h"
#include "run/direct_access.h"
#include "run/session_factory.h"
#include "tensorflow/core/framework/step_stats.pb.h"
#include "tensorflow/core/public/session.h"

namespace mox {

// The input ended: not an error. Thrown for the run's own iterators alone, that of input_fn and that of inter_mode;
// whatever else reads past an end is a RunError: see past_end.h.
struct EndOfInput {};

class MOX_EXPORT EngineSession {
 public:
  // Adds to the graph what saving and restoring need, and creates the session. `graph` must outlive it.
  EngineSession(BuiltGraph& graph, const SessionFactory& factory);
  // The same without a session: reopen() makes it.
  EngineSession(BuiltGraph& graph, const DevicePlan& devices);
  ~EngineSession();

  // Initial values for what the checkpoint lacks, the checkpoint's for the rest. May return before all are there: what
  // uses them waits, and throws RunError where they could not be made.
  void initialize(const LoadedCheckpoint& checkpoint);
  // Then tables and iterators, with the graph's feeds.
  void start_input();
  // The training's iterators begin anew, with the graph's feeds as they are now; what was staged before is dropped.
  void restart_input();

  // A prepared step.
  struct Prepared {
    std::optional<size_t> callable;  // its number; nothing: all that is fetched is fed
    std::vector<int> source;         // of each fetch: what was computed, or ~i: what was fed. Empty: all as computed
    bool advances = false;           // takes a batch that was staged
    bool renews = false;             // no step, but writes variables: devices' copies are renewed after it
  };
  // Fetches in order, targets run too. What is fed may be fetched.
  Prepared prepare(const std::vector<std::string>& fetches, const std::vector<std::string>& targets,
                   const std::vector<std::string>& feeds = {});
  // `fed`: values for `feeds`. Throws EndOfInput, or RunError with the operation that failed.
  std::vector<tensorflow::Tensor> run(const Prepared& prepared, const std::vector<tensorflow::Tensor>& fed = {});
  // The same once, with the time of every operation in `stats`.
  std::vector<tensorflow::Tensor> run_traced(const Feeds& feeds, const std::vector<std::string>& fetches,
                                             const std::vector<std::string>& targets, tensorflow::StepStats* stats);
  void run_operation(const std::string& name, const Feeds& feeds);

  // From now on steps are prepared in this of the graph's variants (index); what was prepared before stays as it is.
  // RunError when what comes before its first step fails.
  void use_variant(size_t variant);
  size_t variant() const { return variant_; }
  // What steps in it run beside the train ops.
  const std::vector<std::string>& variant_targets() const;

  // All variables as they are now. No copy is made: the next update of a variable copies it on write.
  NamedValues read_variables();
  // The global step variable, 0 when the graph has none.
  int64_t global_step();
  // The tensor of the global step after a step, an int64 to fetch with it; "" where the graph increments none.
  const std::string& step_count() const { return step_count_; }
  // One variable, by its name in checkpoints.
  tensorflow::Tensor read(const std::string& variable);
  void assign(const std::string& variable, const tensorflow::Tensor& value);
  // Several at once.
  void assign(const NamedValues& values);

  // Another session on the graph as it is now; resources that have names in their processes stay. What was prepared is
  // prepared again when it runs. Nobody waits for the old one; where none can be made, there is none.
  void reopen(const std::function<SessionFactory()>& connect);
  // Breaks off a step under way, from any thread: the session cannot be used after it.
  void abort();

 private:
  std::string in_variant(const std::string& name) const;
  void renew_copies();
  bool writes_variables(const std::vector<std::string>& fetches, const std::vector<std::string>& targets) const;
  // In place of tensors that are dead in some steps, those that never are.
  std::vector<std::string> fetchable(std::vector<std::string> fetches) const;
  // The same of an input that is staged on its device, also to be fed.
  std::string staged(const std::string& tensor) const;
  // A run that takes a staged batch stages the next one: the operation for it, "" where none is taken.
  std::string advance_of(const std::vector<std::string>& fetches, const std::vector<std::string>& targets,
                         const std::vector<std::string>& feeds) const;
  // After a run that `advances` and failed, the next batch may not be staged: the next such run fails in the same way.
  void check_run(const absl::Status& status, bool advances);
  void add_variable_ops(const DevicePlan& plan);
  void add_step_count();
  void open(const SessionFactory& factory);
  // RunError: there is none.
  tensorflow::Session& session() const;
  // The same, whether variables have their values or not.
  tensorflow::Session& unsettled() const;
  // Waits for the values of variables.
  void settle() const;
  // Whether the operation needs a variable's value.
  bool reads_variables(const std::string& operation) const;
  tensorflow::Session::CallableHandle handle_of(const Prepared& prepared);
  void find_own_inputs();
  // Throws EndOfInput or RunError unless ok.
  void check_step(const absl::Status& status) const;
  size_t index_of(const std::string& variable) const;
  // Gives variables these values; pieces beside them stay as they are.
  void set_values(const NamedValues& values, const std::string& purpose);
  // The variable (its number in the graph), where it can be read without a run of the session.
  std::optional<tensorflow::Tensor> read_directly(size_t variable) const;
  void run_initializers(std::vector<std::string> initializers);

  BuiltGraph& graph_;
  absl::Status staging_;              // of the last run that took a staged batch
  std::set<std::string> own_inputs_;  // nodes that take a batch from the run's iterators
  std::unique_ptr<tensorflow::Session> session_;
  tensorflow::thread::ThreadPoolOptions step_threads_;
  std::optional<DirectAccess> direct_;
  std::shared_future<absl::Status> initializing_;  // in a thread of its own, while steps are prepared
  std::vector<tensorflow::NodeDef> handles_;       // of the variables
  std::vector<Piece> pieces_;                      // the same
  struct Callable {
    tensorflow::CallableOptions options;
    tensorflow::Session::CallableHandle handle = 0;
    int session = 0;  // the how-manieth it was made in
  };
  std::vector<Callable> callables_;
  int sessions_ = 0;
  size_t variant_ = 0;
  std::string step_count_;
  Prepared read_all_;
  bool read_prepared_ = false;
  std::atomic<bool> aborted_{false};
};

}  // namespace mox
