// Says in the log how far something is that may take minutes.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/mutex.h"
#include "moxing/export.h"

namespace mox::data {

// Nothing at all where it is done within `every`; then a line each time so much has passed:
// "listing s3://bucket/train: 320,000 files after 20 s", with `of` > 0 "…: 31 of 100 files after 20 s".
// Several threads may add at once.
class MOX_EXPORT WaitLog {
 public:
  WaitLog(std::string what, std::string things, int64_t of = 0,
          std::chrono::steady_clock::duration every = std::chrono::seconds(10));
  void add(int64_t count);

 private:
  const std::string what_, things_;
  const int64_t of_;
  const std::chrono::steady_clock::duration every_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  Mutex mutex_;
  int64_t count_ MOX_GUARDED_BY(mutex_) = 0;
  std::chrono::steady_clock::time_point said_ MOX_GUARDED_BY(mutex_) = begin_;
};

}  // namespace mox::data
