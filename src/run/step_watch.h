// Watches the session's runs from a thread: one that does not end after a signal, or that waits for its input.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/worker_thread.h"
#include "graph/built_graph.h"
#include "moxing/export.h"
#include "run/engine_session.h"
#include "run/step_peers.h"

namespace mox {

// A signal must stop a run even when a step does not end: after some patience the session is broken off. Where not even
// that helps (tf.data waiting for an input that stalls cannot be cancelled), the signal ends the process.
// A run that waits while the process computes nothing waits for its input: a line says so every `stall_seconds`.
class MOX_EXPORT StepWatch {
 public:
  // `peers`: the other processes that a step may wait for; nullptr: none.
  StepWatch(const BuiltGraph& graph, EngineSession& session, double stall_seconds, const StepPeers* peers = nullptr);

  // It watches no more. After a break-off call it soon: a session that does not return ends the process.
  void stop();

  // A run of the session is under way while it lives.
  class Running {
   public:
    explicit Running(StepWatch& watch);
    ~Running();

   private:
    StepWatch& watch_;
    const int64_t start_;
  };

  // While it is set, a step that waits is no stall: another process does something that takes long, as all know.
  void set_patient(bool patient) { patient_ = patient; }

  // The session was broken off: it cannot be used any more.
  bool broke_off() const { return broke_off_; }

 private:
  void watch(const std::stop_token& stop);
  void look_for_signal(const std::stop_token& stop);
  void look_for_stall();
  void report_stall(double waited) const;

  const BuiltGraph& graph_;
  EngineSession& session_;
  const double stall_seconds_;
  const StepPeers* const peers_;
  std::atomic<int64_t> running_since_{0};  // nanoseconds of the steady clock, 0: nothing runs
  std::atomic<double> longest_{0};         // seconds
  std::atomic<bool> broke_off_{false};
  std::atomic<bool> patient_{false};
  // Of the watching thread alone.
  int64_t signal_since_ = 0, stalled_run_ = 0, last_look_ = 0;
  double cpu_at_last_look_ = 0, idle_seconds_ = 0;
  WorkerThread thread_;
};

}  // namespace mox
