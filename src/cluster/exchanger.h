// The exchange of a process's gradients with the others', step by step: one thread, the same order everywhere.
//
// What processes tell each other about the step (that one's input has ended, that one was asked to stop) travels in
// front of the first gradients, so that all know it in the same step and nobody waits for a message beside it.
#pragma once

#include <array>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/worker_thread.h"
#include "cluster/member.h"

namespace mox::cluster {

// How gradients travel.
enum class WireType { kFloat, kBfloat16 };

// Another worker has no part in this step, because its input ended or it did all its steps: the step does not come
// about. The group is whole.
class MOX_EXPORT PeerFinished : public RunError {
 public:
  using RunError::RunError;
  ~PeerFinished() override;
};

// A step failed at this process for a reason of its own: what it had posted is not exchanged.
class MOX_EXPORT StepCancelled : public RunError {
 public:
  using RunError::RunError;
  ~StepCancelled() override;
};

class MOX_EXPORT Exchanger {
 public:
  // A tensor of a bucket: `to` becomes the mean over all processes of what is in `from`. They may be the same.
  struct Part {
    const float* from = nullptr;
    float* to = nullptr;
    size_t count = 0;
  };
  // Called once, from the exchange's thread; nullptr when the means are there.
  using Done = std::function<void(std::exception_ptr error)>;

  struct Options {
    std::vector<size_t> first;  // elements of bucket 0's parts, which finish() must know
    int buckets = 1;            // a step; posted as 0 … buckets-1 in any order, they are exchanged in this one
    WireType wire = WireType::kFloat;
    // Bucket 0 is one number, which the others wait for: where its mean is not 0, the step ends with it (the gradients
    // of some process are not finite, and nobody posts them).
    bool gate = false;
  };
  // `member` must outlive it.
  Exchanger(Member* member, Options options);
  ~Exchanger();

  // After a step that failed, once it has ended at this process; and for the next group, where steps count from 0.
  void restart();

  // `parts` must stay until `done`. After an error all that is posted gets it, too, until restart().
  void post(int bucket, std::vector<Part> parts, Done done);
  // The step under way has failed: what is posted, or will be, ends with StepCancelled, until restart().
  void cancel();

  // Steps whose exchange is whole, since restart().
  int64_t steps() const;
  // What the step under way failed with; nullptr: not the exchange's doing.
  std::exception_ptr error() const;

  // A vote that travels with the next step: after a step in which anybody voted, all know it.
  enum class Vote { kStop, kInterrupt };
  void vote(Vote vote);
  bool was_voted(Vote vote) const;

  // Numbers of this process, at most kTold, that travel with the next step.
  static constexpr size_t kTold = 4;
  void tell(const std::vector<double>& numbers);
  // Once all have told theirs, for the same step: the means, which are the same everywhere. Until restart().
  std::optional<std::vector<double>> told() const;

  // Takes part in the others' next step as one that has none: it does not come about, with PeerFinished at those that
  // would have it. Returns once it is so; true when no worker is left that has one. What the group fails with.
  bool finish();

 private:
  struct Posted {
    std::vector<Part> parts;
    Done done;
  };
  // Sums over the processes, as they travel.
  struct Signals {
    float finished = 0, finished_ranks = 0, stop = 0, interrupt = 0, tells = 0;
    std::array<float, kTold> told = {};
  };

  void run(const std::stop_token& stop);
  void drop_posted();
  void exchange(int bucket, const std::vector<Part>& parts);
  void exchange_parts(int bucket, const std::vector<Part>& parts);
  void add_signals();
  void take_signals();
  bool is_last(int bucket, const std::vector<Part>& parts) const;
  void exchange_piece(float* data, size_t count);
  void flush();

  Member* const member_;
  const Options options_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::map<int, Posted> posted_ MOX_GUARDED_BY(mutex_);
  std::exception_ptr error_ MOX_GUARDED_BY(mutex_);
  int next_ MOX_GUARDED_BY(mutex_) = 0;
  int64_t steps_ MOX_GUARDED_BY(mutex_) = 0;
  bool exchanging_ MOX_GUARDED_BY(mutex_) = false, finishing_ MOX_GUARDED_BY(mutex_) = false;
  std::array<bool, 2> vote_ MOX_GUARDED_BY(mutex_) = {}, voted_ MOX_GUARDED_BY(mutex_) = {};
  bool all_finished_ MOX_GUARDED_BY(mutex_) = false;
  std::vector<double> tell_ MOX_GUARDED_BY(mutex_);  // empty: nothing
  std::optional<std::vector<double>> told_ MOX_GUARDED_BY(mutex_);

  // The thread's.
  Signals signals_;
  bool signals_under_way_ = false;
  std::vector<float> packed_;
  std::vector<Bfloat16> halves_;
  std::vector<std::pair<float*, size_t>> targets_;  // of what is packed
  WorkerThread thread_;                             // last
};

}  // namespace mox::cluster
