// The checkpoints of a training: when they are saved, and what their state means for how it ends.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "run/checkpoint_writer.h"
#include "run/step_observer.h"

namespace mox {

// What is saved when. Stands behind the hooks: what they did in a step is part of its checkpoint.
class MOX_EXPORT CheckpointObserver : public StepObserver {
 public:
  struct Options {
    double every_secs = -1;    // -1: not given, 0: none. Wins over steps
    int64_t every_steps = -1;  // of the global step; with neither given: every 600 seconds
    std::string global_step;   // the variable's name: checkpoints are named after its value
    int64_t first = 0;         // its value before the first step
    bool unsaved = false;      // no checkpoint has the state before the first step: other processes had it
  };
  // What decides which checkpoint is the best.
  struct Best {
    std::function<std::optional<double>()> metric = {};  // of the checkpoint that is saved now; may be empty
    std::function<bool()> wanted = {};  // whether this step is to be saved whatever the options say; may be empty
  };
  // `read` gives all variables.
  CheckpointObserver(Options options, std::unique_ptr<CheckpointWriter> writer, std::function<NamedValues()> read,
                     Best best);

  void after_step(const StepResult& result) override;
  // Saves the last step, or a state that is newer than the checkpoints, waits for it, and says so after an error.
  void end(const Ending& ending) override;
  // RunResult::checkpoint.
  void report(const Ending& ending, RunResult* result) override { result->checkpoint = writer_->last_good(); }

  CheckpointWriter& writer() { return *writer_; }

 private:
  bool is_due(int64_t global_step);
  void save(int64_t steps, bool again = false);  // again: the last save failed
  void save_after_error(const Ending& ending);

  const Options options_;
  const std::unique_ptr<CheckpointWriter> writer_;
  const std::function<NamedValues()> read_;
  const Best best_;
  int64_t saved_at_ = -1;      // steps of this run
  int64_t saved_global_ = -1;  // and the model's: other processes may move it after this one's last step
  int64_t periods_;            // of every_steps steps that were over
  std::chrono::steady_clock::time_point last_save_;
};

// In words, for messages: what is there when nothing more is being written. nullptr: the run writes none.
// `another_saves`: the process that writes them is another one.
std::string last_checkpoint(CheckpointWriter* writer, bool another_saves = false);
// RunError when the weights of a save were not worth it: the step after it cannot be, either. nullptr: nothing.
void check_saved(CheckpointWriter* writer);

// Whether the training may go on and end well, as far as its checkpoints tell. Stands before the observers that change
// or show something.
class MOX_EXPORT SavedCheck : public StepObserver {
 public:
  explicit SavedCheck(CheckpointWriter* writer, bool another_saves = false)
      : writer_(writer), another_saves_(another_saves) {}
  int64_t wants(const StepNumber& number) override;
  void report(const Ending& ending, RunResult* result) override;

 private:
  CheckpointWriter* const writer_;  // may be nullptr
  const bool another_saves_;
};

}  // namespace mox
