// Workers that exchange their gradients themselves, without a server.
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
#include "run/cluster_run.h"

namespace mox {

class CollectiveRun : public ClusterRun {
 public:
  explicit CollectiveRun(const RunConfig& config);
  ~CollectiveRun() override;

  std::unique_ptr<Exchange> make_exchange() override;
  void prepare(BuiltGraph* graph, const Reload& reload) override;
  int64_t start(EngineSession* session, const LoadedCheckpoint& checkpoint) override;
  int64_t taking_part() const override { return member_ ? member_->group().size() : processes(); }
  bool stands_in() const override { return !is_chief() && member_ && member_->group().rank == 0; }
  void sum(std::vector<double>* values) override;
  std::vector<std::string> gather(const std::string& mine) override;
  bool from_chief(std::vector<double>* values, int64_t global_step) override;
  void finish(int64_t global_step) override;
  void leave(const std::string& error) override;

  void ask_to_stop(Ending::How how) override;
  std::optional<Ending::How> agreed_end() const override;
  bool recover(StepNumber* number) override;
  std::optional<std::vector<double>> share_times(const std::vector<double>& mine) override;
  std::optional<std::string> waits_for() const override;

 private:
  void make_member();
  void form_and_share(bool finishing = false);
  void share_state();
  void feed_input();
  [[noreturn]] void give_up(const std::exception& lost) const;
  void with_ring(const std::function<void(cluster::Ring*)>& use);

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
