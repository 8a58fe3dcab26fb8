// The loop over steps: asks the observers what they want, runs the step, tells them; until it ends.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "moxing/export.h"
#include "run/engine_session.h"
#include "run/step_observer.h"
#include "run/step_peers.h"
#include "run/step_trial.h"
#include "run/step_watch.h"
#include "run/tower_inputs.h"

namespace mox {

struct StepLoopOptions {
  int64_t limit = 0;               // steps of this run; 0: until the input ends
  int64_t first = 0;               // what the line that tells the last step counts from
  int64_t global_step = 0;         // the model's, before the first step
  bool inputs_one_by_one = false;  // of several devices: the last step may have a batch for some of them only
  bool resumed = false;            // an input that has ended already was read by a run before
  int64_t batch_size = 0;          // for messages
  int64_t samples = 0;             // of a step of all processes, for messages; 0: not known
  bool done = false;               // there is no step any more, but a state that others had
  StepPeers* peers = nullptr;      // the other processes; nullptr: none
};

class MOX_EXPORT StepLoop {
 public:
  // All must outlive it. Where `graph` increments a global step, each step reads it after that.
  StepLoop(const BuiltGraph& graph, EngineSession& session, StepWatch& watch, StepLoopOptions options,
           StepObservers observers);
  ~StepLoop();

  // Has TensorFlow optimize the graph for the first step, where it is known what that fetches: what is wrong with the
  // graph is told before the training begins. Otherwise the first step does it.
  void prepare_first();
  // Until the limit, the end of the input, an observer that asks to stop, or a signal. Fills steps, global_step and
  // interrupted; the observers the rest. Call it once.
  RunResult run();

 private:
  // A prepared step, and where each observer's fetches are in the result.
  struct Step {
    EngineSession::Prepared run;
    StepRequest request;
    std::vector<std::pair<size_t, size_t>> fetched;  // [observer]: first, count
    std::vector<StepObserver*> feeders;
  };
  using Wants = std::vector<int64_t>;  // devices that take part, what each observer wants, the graph's variant
  // The step that does what is wanted. `borrowed`: it does more, and so often it is used in place of one of its own.
  struct Kept {
    std::shared_ptr<const Step> step;
    int64_t borrowed = 0;
  };

  void begin();
  void ask();
  const Step& prepared();
  Step plan() const;
  std::shared_ptr<const Step> prepare() const;
  std::shared_ptr<const Step> borrow() const;
  // False: it has to be done again.
  bool step();
  bool choose_variant();
  bool recover();
  // More may have been lost than this process has done since it was started: it has these steps to do as well.
  void take_lost_steps();
  // The step under way failed, or what comes before it; throws what is being handled unless it is to be done again.
  void recover_or_throw();
  std::vector<tensorflow::Tensor> run_step(const Step& step);
  const std::vector<tensorflow::Tensor>& fed(const Step& step);
  void tell(const Step& step, const std::vector<tensorflow::Tensor>& fetched);
  Ending::How run_steps();
  Ending::How run_until_end();
  std::optional<Ending::How> end_before_step();
  void on_end_of_input();
  bool ends(Ending::How how, RunResult* result);
  void end(Ending::How how, RunResult* result);
  Ending ending(Ending::How how) const;
  int64_t steps_left() const { return limit_ > 0 ? std::max<int64_t>(1, limit_ - number_.local) : 0; }
  bool limit_reached() const { return done_ || (limit_ > 0 && number_.local >= limit_); }

  const BuiltGraph& graph_;
  EngineSession& session_;
  StepWatch& watch_;
  const StepLoopOptions options_;
  const StepObservers observers_;
  std::optional<TowerInputs> inputs_;  // only when devices take their inputs one by one
  std::optional<StepTrial> trial_;     // only when the graph has several variants

  int64_t limit_;  // as the options say, and what was lost of others' steps
  bool done_;
  StepNumber number_;  // of the coming step; its local number is that of the steps done
  bool sound_ = true;  // the variables are those after them
  bool stop_ = false;  // an observer asked for it
  Wants wants_;
  std::map<Wants, Kept> steps_;
  std::pair<const Wants, Kept>* last_ = nullptr;  // the step before
  std::vector<tensorflow::Tensor> fed_;
  tensorflow::StepStats stats_;
};

}  // namespace mox
