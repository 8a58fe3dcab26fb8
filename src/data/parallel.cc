#include "data/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace mox::data {

void parallel_for(size_t count, int threads, const std::function<void(size_t)>& body) {
  std::atomic<size_t> next{0};
  Mutex mutex;
  std::exception_ptr failure;  // guarded by mutex
  const auto work = [&] {
    for (size_t i = next++; i < count; i = next++) {
      try {
        body(i);
      } catch (...) {
        MutexLock lock(mutex);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::thread> pool;
  const size_t extra = std::min<size_t>(count, static_cast<size_t>(std::max(threads, 1)));
  for (size_t i = 1; i < extra; ++i) pool.emplace_back(work);
  work();
  for (auto& thread : pool) thread.join();
  MutexLock lock(mutex);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace mox::data
