// What stands around the steps of a run: it says what it wants of a step, gets it, and is told how the run ended.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "moxing/export.h"
#include "moxing/run.h"
#include "tensorflow/core/framework/step_stats.pb.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

struct StepNumber {
  int64_t local = 0;   // of this run, from 0
  int64_t global = 0;  // of the model, as the step before left it; of a step that ran: as the graph counted that
};

// What a step fetches, runs and is fed. Observers add to it.
struct StepRequest {
  int towers = 1;                           // that take part in the step
  std::vector<std::string> fetches;         // tensors, "node:port"; the same one may be there twice
  std::vector<std::string> targets, feeds;  // operations; tensors
  bool trace = false;                       // with the time of every operation
};

struct StepResult {
  StepNumber number;
  int64_t global_after = 0;  // the model's global step now; several processes may have moved it since `number.global`
  int towers = 1;            // that took part
  int64_t wanted = 0;        // what the observer's wants() said
  std::span<const tensorflow::Tensor> fetched;   // what its request() asked for, in order
  const tensorflow::StepStats* stats = nullptr;  // of a traced step
  bool* stop = nullptr;
  // The run ends after this step as if it were the last.
  void request_stop() const { *stop = true; }
};

struct Ending {
  enum How { kFinished, kInputEnded, kInterrupted, kFailed };
  How how = kFinished;  // kFinished: the limit, or an observer asked for it; kFailed: an exception is under way
  bool sound = true;    // the variables can be read, and are those after `steps` steps
  int64_t steps = 0;    // that were done
  int64_t global_step = 0;
};

// The loop calls the observers of a run in their order, in each phase. What a method throws ends the run (kFailed) and
// comes out of it, but for end(kFailed), which must not throw.
class MOX_EXPORT StepObserver {
 public:
  virtual ~StepObserver();

  // The variables have their values, no step ran yet.
  virtual void begin(const StepNumber& next) {}
  // Once before each step: what the observer wants of it, as a number that asks for the same in every step; 0: nothing.
  virtual int64_t wants(const StepNumber& number) { return 0; }
  // Whether wants() of the first step may be asked before the run begins, and answers then as it will.
  virtual bool plans_ahead() const { return true; }
  // Adds what `wanted` stands for, for request->towers devices. Asked once for each combination of what all want: the
  // steps prepared for them are kept.
  virtual void request(int64_t wanted, StepRequest* request) const {}
  // Appends the values of the feeds that were requested, in their order. Only called for those that requested feeds.
  virtual void feed(std::vector<tensorflow::Tensor>* values) {}
  // The step ran. What throws here says that its variables are of no use: they are not saved.
  virtual void check_step(const StepResult& result) {}
  // The step counts.
  virtual void after_step(const StepResult& result) {}
  // No step comes any more: what was trained can be kept here. An error of a later observer's end() or report() comes
  // as a second call, with kFailed.
  virtual void end(const Ending& ending) {}
  // After all end(), unless the run failed: what is left to tell, also by throwing. Fills in its part of the result.
  virtual void report(const Ending& ending, RunResult* result) {}
};

using StepObservers = std::vector<std::unique_ptr<StepObserver>>;

}  // namespace mox
