// What the workers of a run with parameter servers tell each other: a table on each server.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "run/tensorflow_server.h"

namespace tensorflow {
class Session;
}

namespace mox {

// What a worker says of itself.
struct WorkerNote {
  uint64_t turn = 0;         // a number of its own for each time that it comes to the others
  uint64_t processes = 0;    // which processes it sees, see processes_hash
  uint64_t incarnation = 0;  // its own process's, see TensorflowServer::Sign
  std::string state;         // "joining", "running", "ended" (it has no more steps), "failed"
  bool is_over() const { return state == "ended" || state == "failed"; }
  std::string why;                                          // it failed, or what keeps its step waiting
  std::string who;                                          // "worker 1 (10.0.0.2:5000, process 77 on node2)"
  std::string wish;                                         // "" or that all stop: "interrupted", "finished"
  std::vector<std::pair<std::string, std::string>> agreed;  // settings that must be the same at all workers
};

// What the chief says of the run.
struct ChiefNote {
  std::vector<uint64_t> turns;  // of the workers that take part; together they name the generation
  uint64_t processes = 0;
  std::string state;          // "running", "ended", "interrupted"
  int64_t step = 0;           // the global step with which they began
  std::string settings;       // of the training whose state is on the servers
  std::vector<double> times;  // seconds a step of each of the graph's variants, once they were tried
  std::string generation() const;
};

// A number for a set of processes as they are: another one when one of them was started again.
uint64_t processes_hash(const std::vector<TensorflowServer::Sign>& signs);

class ServerBoard {
 public:
  struct Notes {
    std::map<int, WorkerNote> workers;  // those that are there
    std::optional<ChiefNote> chief;
  };

  // `servers`: those whose tables are used. The first is read.
  ServerBoard(const TensorflowServer& server, std::vector<int> servers);
  ~ServerBoard();

  // A new session, once all the servers are there. False, and `why`, when they do not take it in time.
  bool open(std::string* why);
  // nullopt: the server does not answer now.
  std::optional<Notes> read() const;
  // The step for which each worker has all its gradients, see arrival_of_worker; nothing where that is not known now.
  std::vector<int64_t> arrivals() const;
  // To all tables. False: not all have it.
  bool write(int worker, const WorkerNote& note);
  bool write(const ChiefNote& note);

 private:
  bool write(int64_t key, const std::string& text);
  std::shared_ptr<tensorflow::Session> session() const;

  const TensorflowServer& server_;
  const std::vector<int> servers_;
  mutable Mutex mutex_;
  std::shared_ptr<tensorflow::Session> session_ MOX_GUARDED_BY(mutex_);
};

}  // namespace mox
