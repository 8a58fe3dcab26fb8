// This process among those that run together: who is there, whose state counts, which part of the input is whose.
//
// All processes have the whole model. They come together before the first step, take the state of the one that is
// furthest (at the start the chief, which initialised or restored it), and share the input out. When one is lost, the
// step under way counts for nobody or for all; those that are left come together again, with the lost one or, with
// min_workers, without it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cluster/exchangers.h"
#include "exchange/collective_exchange.h"
#include "graph/built_graph.h"
#include "input/input_position.h"
#include "run/engine_session.h"
#include "run/run_config.h"
#include "run/step_peers.h"

namespace mox {

class ClusterRun : public StepPeers {
 public:
  // nullptr: the flags name no other process.
  static std::unique_ptr<ClusterRun> of(const RunConfig& config);
  ~ClusterRun() override;

  bool is_chief() const { return config_.is_chief(); }
  int64_t processes() const { return static_cast<int64_t>(config_.worker_hosts.size()); }

  // In this order. What joins the gradients of a training; `exchange` must outlive it.
  std::unique_ptr<Exchange> make_exchange();
  // Deals out the input of `graph`, which must outlive it, and counts all processes' samples.
  void prepare(BuiltGraph* graph);
  // Waits for the others, takes the newest state, says what each reads. `global_step`: of the state that `session` has,
  // -1 for one that does not count. Before iterators are made. Returns the state's global step.
  int64_t join(EngineSession* session, int64_t global_step);

  // The chief is lost, and this is the first of those that go on without it.
  bool stands_in() const { return !is_chief() && member_ && member_->group().rank == 0; }

  // Sums over all processes, in place. Each must call it the same number of times; an error when one is lost.
  void sum(std::vector<double>* values);
  // What all say, in the order of the processes. As sum().
  std::vector<std::string> gather(const std::string& mine);

  // After the last step: waits until no process has one, so that a process that was lost is taken along to the end.
  void finish();
  // The process is done; the others are told an `error`.
  void leave(const std::string& error);

  void ask_to_stop(Ending::How how) override;
  std::optional<Ending::How> agreed_end() const override;
  bool recover(StepNumber* number) override;

  std::optional<std::string> waits_for() const override;

 private:
  explicit ClusterRun(const RunConfig& config);
  void make_member();
  std::string fingerprint() const;
  void form_and_share();
  void share_state();
  void feed_input();
  [[noreturn]] void give_up(const std::exception& lost) const;
  void with_ring(const std::function<void(cluster::Ring*)>& use);

  const RunConfig& run_;
  const ClusterConfig& config_;
  cluster::ExchangerNumber number_;
  CollectiveExchange* exchange_ = nullptr;  // TRAIN
  BuiltGraph* graph_ = nullptr;
  EngineSession* session_ = nullptr;
  std::unique_ptr<cluster::Member> member_;
  std::unique_ptr<cluster::Exchanger> exchanger_;
  int64_t global_step_ = -1;
  int64_t meetings_ = 0;  // sums and gathers
  std::optional<Ending::How> asked_;
  bool input_runs_ = false, left_ = false;
};

}  // namespace mox
