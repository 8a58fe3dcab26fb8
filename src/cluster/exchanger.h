// The exchange of a process's gradients with the others', step by step: one thread, the same order everywhere.
#pragma once

#include <exception>
#include <functional>
#include <map>
#include <vector>

#include "base/mutex.h"
#include "base/worker_thread.h"
#include "cluster/member.h"

namespace mox::cluster {

// How gradients travel.
enum class WireType { kFloat, kBfloat16 };

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
    int buckets = 1;  // a step; posted as 0 … buckets-1 in any order, they are exchanged in this one
    WireType wire = WireType::kFloat;
    // Bucket 0 is one number, which the others wait for: where its mean is not 0, the step ends with it (the gradients
    // of some process are not finite, and nobody posts them).
    bool gate = false;
  };
  // `member` must outlive it.
  Exchanger(Member* member, const Options& options);
  ~Exchanger();

  // For the next group, after a step that failed and ended: steps count from 0.
  void restart();

  // `parts` must stay until `done`. After an error all that is posted gets it, too, until restart().
  void post(int bucket, std::vector<Part> parts, Done done);

  // Steps whose exchange is whole, since restart().
  int64_t steps() const;

  // A vote that travels with the first bucket of the next step: after a step in which anybody voted, all know it.
  void vote_to_stop();
  bool stop_was_voted() const;

 private:
  struct Posted {
    std::vector<Part> parts;
    Done done;
  };

  void run(const std::stop_token& stop);
  void drop_posted();
  void exchange(int bucket, const std::vector<Part>& parts);
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
  bool exchanging_ MOX_GUARDED_BY(mutex_) = false;
  bool vote_ MOX_GUARDED_BY(mutex_) = false, voted_ MOX_GUARDED_BY(mutex_) = false;

  // The thread's.
  std::vector<float> packed_;
  std::vector<Bfloat16> halves_;
  std::vector<std::pair<float*, size_t>> targets_;  // of what is packed
  WorkerThread thread_;                             // last
};

}  // namespace mox::cluster
