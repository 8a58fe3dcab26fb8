// A training with parameter servers: this worker among the others.
//
// All is said over TensorFlow's own servers. Workers come together by notes on server 0 (server_board.h): each says
// which processes it sees; when all see the same, the chief makes the state whole on the servers, restored or as it
// was, and names the generation. While steps run, ServerWatch asks every process for a sign of life. Who is lost is
// named, the call under way is broken off (breakable_session.h), and all come together again, in a new session with
// accumulators and queues of a new generation: nothing half-done is left in them. Updates that were broken off are
// known by a flag on server 0; then, and where a server was lost, the chief restores its last checkpoint.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exchange/parameter_server_exchange.h"
#include "run/breakable_session.h"
#include "run/cluster_run.h"
#include "run/server_board.h"
#include "run/server_watch.h"
#include "run/tensorflow_server.h"

namespace mox {

class ServerRun : public ClusterRun {
 public:
  explicit ServerRun(const RunConfig& config);
  ~ServerRun() override;

  std::unique_ptr<Exchange> make_exchange() override;
  // Starts this process's server.
  void prepare(BuiltGraph* graph, const Reload& reload) override;
  // Waits until all processes are there and agree. A line says who is missing, what was tried, and since when; RunError
  // after session_timeout. cluster::Interrupted after a signal.
  // The chief makes the state whole: as it is on the servers where this training left it there, else from `checkpoint`;
  // the others take what the chief has.
  int64_t start(EngineSession* session, const LoadedCheckpoint& checkpoint) override;
  void finish(int64_t global_step) override;
  void leave(const std::string& error) override;

  void ask_to_stop(Ending::How how) override;
  std::optional<Ending::How> agreed_end() const override;
  bool recover(StepNumber* number) override;
  // The chief waits without sync for the others' last steps; the others until it has what it keeps: were a server or
  // the chief itself lost before, all are needed once more.
  bool before_end(StepNumber* number) override;
  bool recover_at_end(StepNumber* number) override { return is_chief() && recover(number); }
  // The chief's count.
  std::optional<std::vector<double>> share_times(const std::vector<double>& mine) override;
  std::optional<std::string> waits_for() const override;

 private:
  int workers() const { return static_cast<int>(cluster_.worker_hosts.size()); }
  bool is_sync() const { return config_.cluster.sync_replicas; }
  void meet();
  SessionFactory connect();
  std::optional<ServerTrouble> find_trouble() const;
  void take_leave(const ServerTrouble& trouble);
  void reach_servers();
  void initialize(const LoadedCheckpoint& checkpoint);
  int64_t begin();
  void come_back(StepNumber* number);
  void wait_for_processes();
  bool come_together();
  std::optional<ChiefNote> gather_turns(const ServerBoard::Notes& notes) const;
  // What the chief says counts: who has other settings ends with an error, and is waited for until it comes with the
  // same ones.
  void check_notes(const ServerBoard::Notes& notes);
  void refuse_who_differs(const ServerBoard::Notes& notes);
  void check_chief(const ServerBoard::Notes& notes);
  [[noreturn]] void refuse_itself(const std::string& why);
  // Before all are there: whoever has other lists of hosts never sees the same processes, and would be waited for.
  void check_before_all_are_there();
  bool has_whole_state() const;
  bool has_local_state() const;
  bool others_have_begun() const;
  void wait_for_others_to_begin();
  void let_others_end();
  bool wait_for_others(StepNumber* number);
  bool wait_for_end_of_chief(StepNumber* number);
  bool stops_early() const;
  void check_waiting(double* reported, const std::string& for_whom);
  double waited() const;

  const ServerCluster cluster_;
  ParameterServerExchange* exchange_ = nullptr;
  BuiltGraph* graph_ = nullptr;
  EngineSession* session_ = nullptr;
  Reload reload_;
  TensorflowServer* server_ = nullptr;
  std::optional<ServerBoard> board_;
  const std::shared_ptr<SessionBreaker> breaker_ = std::make_shared<SessionBreaker>();

  std::vector<TensorflowServer::Sign> signs_;  // of all processes when they came together
  ProcessNote own_;
  Refusals refused_;     // by this process, the chief
  bool told_ = true;     // to all servers
  bool agreed_ = false;  // the servers have what the chief has
  ChiefNote group_;
  bool keeps_state_ = false;  // the servers have a running training's state
  bool initialized_ = false;  // this process's own state is
  bool input_runs_ = false, left_ = false;
  std::chrono::steady_clock::time_point waiting_since_;
  double next_report_ = 0;
  std::optional<Ending::How> asked_;
  std::optional<ServerWatch> watch_;  // last
};

}  // namespace mox
