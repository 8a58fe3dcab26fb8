// Writes checkpoints in the background: training only waits when the one before is not finished yet.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "base/worker_thread.h"
#include "run/best_checkpoint.h"
#include "run/checkpoint_file.h"
#include "run/checkpoint_loader.h"
#include "run/checkpoint_state.h"

namespace mox {

// Keeps the newest `keep` checkpoints of `dir`, the best one, and its `checkpoint` file. A save that fails is an error
// line, and asks for newer values until one works; the checkpoints before it stay. Weights that are not
// finite are never saved. What other folders hold is never removed, nor is what a run does not name model.ckpt-N.
class CheckpointWriter {
 public:
  // `start`: what the run goes on from.
  CheckpointWriter(std::string dir, int keep, BestCheckpoint best, FiniteWeights weights,
                   const LoadedCheckpoint& start);
  // Waits for the save under way.
  ~CheckpointWriter() = default;

  // Takes the values (tensors share their buffers; they are not written to, and let go of one after the other) and
  // returns at once. `metric`: what decides whether it is the best so far. `again`: because the last save failed.
  void save(int64_t step, NamedValues values, std::optional<double> metric = std::nullopt, bool again = false);
  // The last save failed a while ago: newer values are wanted, out of turn.
  bool wants_again();
  // Waits until what was given is written.
  void wait();
  // Whether a checkpoint with this metric would be the best of those that are there; waits for the save under way.
  bool is_best(const std::optional<double>& metric);

  // Prefix of the last checkpoint that was written, "" for none.
  std::string last_saved();
  // The same; before the first, what the run went on from.
  std::string last_good();
  // Why the newest save failed, "" when it did not.
  std::string last_error();
  // "the variable w holds nan … after step 12": the weights that were given are not worth saving. "" for none.
  std::string poison();

 private:
  struct Values {
    int64_t step = 0;
    NamedValues tensors;
    std::optional<double> metric;
    bool again = false;
  };

  void work(const std::stop_token& stop);
  // Returns why it failed, "" when it did not.
  std::string try_to_write(Values* values);
  void write(Values* values);
  void announce(const std::string& prefix);
  CheckpointState with(const std::string& prefix) const;
  void name_and_remove(CheckpointState next);

  const std::string dir_;
  const int keep_;
  const FiniteWeights weights_;
  const std::string resumed_from_;
  CheckpointState state_;  // used by the thread only
  BestCheckpoint best_;    // likewise

  Mutex mu_;
  CondVar changed_;
  bool pending_ MOX_GUARDED_BY(mu_) = false;  // values_ waits or is being written
  Values values_ MOX_GUARDED_BY(mu_);
  std::string last_saved_ MOX_GUARDED_BY(mu_);
  std::string last_error_ MOX_GUARDED_BY(mu_);
  std::optional<std::chrono::steady_clock::time_point> failed_at_ MOX_GUARDED_BY(mu_);
  std::string poison_ MOX_GUARDED_BY(mu_);
  WorkerThread thread_;
};

}  // namespace mox
