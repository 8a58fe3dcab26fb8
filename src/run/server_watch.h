// Watches the processes of a run with parameter servers while it has steps.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/worker_thread.h"
#include "run/server_board.h"

namespace mox {

// Why a step cannot come about, or will not.
struct ServerTrouble {
  enum Kind {
    kLost,         // a process is gone, or was started again
    kEnded,        // another worker has no more steps
    kInterrupted,  // the chief ended the run after a signal
    kFailed,       // another worker ended with an error
  };
  Kind kind = kLost;
  std::string text;  // names who
};

class ServerWatch {
 public:
  // `on_trouble` is called once a group, from the watching thread. `sync`: the steps need all workers.
  ServerWatch(const TensorflowServer& server, ServerBoard& board, bool sync,
              std::function<void(const ServerTrouble&)> on_trouble);

  // Watches the processes of `signs`, which began together as `group` says.
  void begin(const std::vector<TensorflowServer::Sign>& signs, const ChiefNote& group, const ProcessNote& own);
  // Until the next begin(). Nothing is called after it.
  void pause();
  // Between the two.
  bool is_watching() const;

  std::optional<ServerTrouble> trouble() const;
  // Waits for it, at most `seconds`.
  std::optional<ServerTrouble> wait_for_trouble(double seconds) const;
  // What another worker wishes: that all stop. "" for none.
  std::string wish() const;
  void set_wish(const std::string& wish);
  // This worker has no more steps: that others have none is no trouble any more, and none that was.
  void let_others_end();
  // Whether all other workers have ended, or are not there any more.
  bool others_ended() const;

 private:
  void watch(const std::stop_token& stop);
  void look();
  void look_at_processes(const std::vector<TensorflowServer::Sign>& signs);
  void look_at_notes(const ServerBoard::Notes& notes);
  void note_trouble(ServerTrouble::Kind kind, const std::string& text);
  bool has_ended(int number) const MOX_REQUIRES(mutex_);

  const TensorflowServer& server_;
  ServerBoard& board_;
  const bool sync_;
  const std::function<void(const ServerTrouble&)> on_trouble_;

  mutable Mutex mutex_;
  mutable CondVar changed_;
  bool ending_ MOX_GUARDED_BY(mutex_) = false, active_ MOX_GUARDED_BY(mutex_) = false,
               looking_ MOX_GUARDED_BY(mutex_) = false;
  std::vector<uint64_t> members_ MOX_GUARDED_BY(mutex_);
  ChiefNote group_ MOX_GUARDED_BY(mutex_);
  ProcessNote own_ MOX_GUARDED_BY(mutex_);
  std::vector<int> misses_ MOX_GUARDED_BY(mutex_), ended_ MOX_GUARDED_BY(mutex_);  // looks
  std::optional<ServerTrouble> trouble_ MOX_GUARDED_BY(mutex_);
  std::string wish_ MOX_GUARDED_BY(mutex_);
  WorkerThread thread_;  // last
};

}  // namespace mox
