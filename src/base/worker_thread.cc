#include "base/worker_thread.h"

#include <pthread.h>

#include <exception>
#include <string>

#include "base/mutex.h"
#include "moxing/log.h"

namespace mox {

WorkerThread::WorkerThread(const char* name, Work work)
    : thread_([name = std::string(name), work = std::move(work)](std::stop_token stop) {
        pthread_setname_np(pthread_self(), name.c_str());
        try {
          work(std::move(stop));
        } catch (const std::exception& e) {
          log_error("the thread " + name + " ended by a mistake inside MoXing, please report it: " + e.what());
        }
      }) {}

void WorkerThread::stop() {
  thread_.request_stop();
  join();
}

void WorkerThread::join() {
  if (thread_.joinable()) thread_.join();
}

bool sleep_unless_stopped(const std::stop_token& stop, std::chrono::nanoseconds pause) {
  Mutex mu;
  CondVar wake;
  MutexLock lock(mu);
  wake.wait_for(lock, stop, pause, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace mox
