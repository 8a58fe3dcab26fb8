// Writes checkpoints in the background: training only waits when the one before is not finished yet.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "run/best_checkpoint.h"
#include "run/checkpoint_state.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

using NamedValues = std::vector<std::pair<std::string, tensorflow::Tensor>>;

// Writes one checkpoint in TensorFlow's V2 format; it appears under `prefix` whole or not at all.
void write_checkpoint(const std::string& prefix, NamedValues values);

// Keeps the newest `keep` checkpoints of `dir`, the best one, and its `checkpoint` file. A save that fails is an error
// line, and remembered; the checkpoints before it stay.
class CheckpointWriter {
 public:
  CheckpointWriter(std::string dir, int keep, BestCheckpoint best);
  ~CheckpointWriter();  // waits for the save under way

  // Takes the values (tensors share their buffers; they are not written to) and returns at once.
  // `metric`: what decides whether it is the best so far.
  void save(int64_t step, NamedValues values, std::optional<double> metric = std::nullopt);
  // Waits until what was given is written.
  void wait();

  // Prefix of the last checkpoint that was written, "" for none.
  std::string last_saved();
  // Why the newest save failed, "" when it did not.
  std::string last_error();

 private:
  void work();
  void write(int64_t step, NamedValues values, std::optional<double> metric);
  void remove_old(const std::string& prefix);

  const std::string dir_;
  const int keep_;
  CheckpointState state_;  // used by the thread only
  BestCheckpoint best_;    // likewise

  std::mutex mu_;
  std::condition_variable changed_;
  bool stop_ = false;                    // guarded by mu_
  bool pending_ = false;                 // guarded by mu_: values_ waits or is being written
  int64_t step_ = 0;                     // guarded by mu_
  NamedValues values_;                   // guarded by mu_
  std::optional<double> metric_;         // guarded by mu_
  std::string last_saved_, last_error_;  // guarded by mu_
  std::thread thread_;
};

}  // namespace mox
