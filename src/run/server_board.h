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

// What a worker, or a parameter server, says of itself.
struct ProcessNote {
  uint64_t turn = 0;       // a number of its own for each time that it comes to the others; a server's: of its process
  uint64_t processes = 0;  // which processes it sees, see processes_hash
  uint64_t incarnation = 0;  // its own process's, see TensorflowServer::Sign
  std::string state;         // "joining", "running", "ended" (it has no more steps), "failed"
  bool is_over() const { return state == "ended" || state == "failed"; }
  std::string why;                                          // it failed, or what keeps its step waiting
  std::string who;                                          // "worker 1 (10.0.0.2:5000, process 77 on node2)"
  std::string wish;                                         // "" or that all stop: "interrupted", "finished"
  std::vector<std::pair<std::string, std::string>> agreed;  // settings that must be the same everywhere
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

// By the turn of a process: what the chief refused it for.
using Refusals = std::map<uint64_t, std::string>;

// Of this process of the cluster: who it is, and what a server has to agree with, too.
ProcessNote note_of(const ServerCluster& cluster);

// A number for a set of processes as they are: another one when one of them was started again.
uint64_t processes_hash(const std::vector<TensorflowServer::Sign>& signs);

class ServerBoard {
 public:
  struct Notes {
    std::map<int, ProcessNote> workers;  // those that are there
    std::optional<ChiefNote> chief;
    std::optional<ProcessNote> server;  // the one whose table this is
    Refusals refused;
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
  // What the servers say of themselves: each in its own table. Nothing for those that have said nothing yet, or do not
  // answer now. [in the order of `servers`]
  std::vector<std::optional<ProcessNote>> servers() const;
  // To all tables. False: not all have it.
  bool write(int worker, const ProcessNote& note);
  bool write(const ChiefNote& note);
  bool write(const Refusals& refused);
  // As the server whose table it is.
  bool write_as_server(const ProcessNote& note);

 private:
  bool write(int64_t key, const std::string& text);
  std::shared_ptr<tensorflow::Session> session() const;

  const TensorflowServer& server_;
  const std::vector<int> servers_;
  mutable Mutex mutex_;
  std::shared_ptr<tensorflow::Session> session_ MOX_GUARDED_BY(mutex_);
};

}  // namespace mox
