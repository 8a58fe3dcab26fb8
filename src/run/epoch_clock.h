// Epochs and steps of a training: where it stands, and how long it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "graph/built_graph.h"
#include "moxing/export.h"
#include "run/run_config.h"

namespace mox {

class MOX_EXPORT EpochClock {
 public:
  // `samples_per_step`: of a step of the global step. 0 where a number is not known: the clock knows nothing then.
  EpochClock(int64_t samples_per_epoch, int64_t samples_per_step)
      : samples_per_epoch_(samples_per_epoch), samples_per_step_(samples_per_step) {}
  // Of a training: its devices and workers count. Workers that do not wait for each other count the step one by one.
  EpochClock(const RunConfig& config, const BuiltGraph& graph);

  bool knows() const { return samples_per_epoch_ > 0 && samples_per_step_ > 0; }
  // Epochs that the model has had.
  double epochs(int64_t global_step) const;
  // The whole ones: exact, where a number of steps that is no integer makes an epoch.
  int64_t whole_epochs(int64_t global_step) const;
  // The first global step at which `epochs` are done.
  int64_t steps(double epochs) const;

 private:
  int64_t samples_per_epoch_, samples_per_step_;
};

// How many steps each worker does, over restarts.
struct TrainLength {
  int64_t steps = 0;    // of this worker; 0: until the input ends
  const char* by = "";  // the option that says so, "" for none
  // Its value.
  std::string text(const RunConfig& config) const;
};
// The shorter of num_epochs and max_number_of_steps; says in the log what num_epochs comes to. InvalidArgumentError for
// num_epochs where batches are of a size that only the data know.
TrainLength train_length(const RunConfig& config, const BuiltGraph& graph);

// "12", "3.25": epochs, as they are told.
MOX_EXPORT std::string epochs_text(double epochs);

}  // namespace mox
