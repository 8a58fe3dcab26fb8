#include "run/collective_run.h"

#include <fmt/format.h>

#include <cstring>

#include "base/host.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "run/input_continuation.h"
#include "run/shared_state.h"
#include "run/signals.h"

namespace mox {

CollectiveRun::CollectiveRun(const RunConfig& config) : ClusterRun(config) {}

CollectiveRun::~CollectiveRun() { leave(""); }

std::unique_ptr<Exchange> CollectiveRun::make_exchange() {
  auto exchange = std::make_unique<CollectiveExchange>(
      CollectiveExchange::Options{number_.number(), config_.cluster.sync_batch_norm, config_.sums, config_.devices});
  exchange_ = exchange.get();
  return exchange;
}

void CollectiveRun::prepare(BuiltGraph* graph, const Reload&) {
  graph_ = graph;
  make_member();
}

// What must be the same at all: else they would train different models, or end at different steps.
void CollectiveRun::make_member() {
  cluster::MemberOptions options;
  options.task_index = config_.cluster.task_index;
  options.worker_hosts = config_.cluster.worker_hosts;
  options.token = config_.cluster.token;
  options.session_timeout = config_.cluster.session_timeout;
  options.min_workers = config_.cluster.min_workers;
  options.grace = std::min(options.grace, config_.cluster.session_timeout / 2);
  options.agreed = settings_of_all(config_, *graph_);
  options.agreed.emplace_back("--gradient_dtype", config_.cluster.bfloat16_gradients ? "bfloat16" : "float32");
  options.agreed.emplace_back("--sync_batch_norm", config_.cluster.sync_batch_norm ? "true" : "false");
  options.agreed.emplace_back("--variable_update", graph_->variants.size() > 1 ? "auto" : "collective_all_reduce");
  options.agreed.emplace_back("--min_workers", std::to_string(config_.cluster.min_workers));
  member_ = std::make_unique<cluster::Member>(std::move(options));
  if (config_.cluster.token.empty() && !is_loopback(config_.cluster.worker_hosts[config_.cluster.task_index]))
    log_warning(
        fmt::format("whoever reaches {} can join this run: give all workers one --cluster_token, or set "
                    "MOX_CLUSTER_TOKEN (mox launch does)",
                    config_.cluster.worker_hosts[config_.cluster.task_index]));
  if (!exchange_) return;
  cluster::Exchanger::Options exchange;
  exchange.first = exchange_->first_bucket();
  exchange.buckets = exchange_->buckets();
  exchange.gate = exchange_->has_gate();
  exchange.wire = config_.cluster.bfloat16_gradients ? cluster::WireType::kBfloat16 : cluster::WireType::kFloat;
  exchanger_ = std::make_unique<cluster::Exchanger>(member_.get(), exchange);
  number_.set(exchanger_.get());
}

int64_t CollectiveRun::start(EngineSession* session, const LoadedCheckpoint& checkpoint) {
  session->reopen([this] { return SessionFactory(config_); });
  session->initialize(checkpoint);
  session_ = session;
  if (is_chief()) global_step_ = graph_->global_step.empty() ? checkpoint.global_step : session->global_step();
  form_and_share();
  session->start_input();
  return global_step_;
}

// Until there is a group that stays whole while the state is shared.
void CollectiveRun::form_and_share(bool finishing) {
  for (;;) {
    try {
      member_->form(
          global_step_, [] { return SignalGuard::received() != 0; }, finishing);
      meetings_ = 0;
      share_state();
      break;
    } catch (const cluster::GroupBroken& e) {
      log_warning(fmt::format("{}: the workers come together again", e.what()));
    }
  }
  if (exchanger_) exchanger_->restart();
  feed_input();
}

void CollectiveRun::share_state() {
  const cluster::Group& group = member_->group();
  with_ring([&](cluster::Ring* ring) { share_variables(session_, ring, group.source); });
  if (group.rank != group.source && group.global_step > 0)
    log_info(fmt::format("took the state of {}: global step {}", group.seats[group.source].name, group.global_step));
  global_step_ = std::max<int64_t>(0, group.global_step);
}

void CollectiveRun::feed_input() {
  const cluster::Group& group = member_->group();
  input_position::Share share;
  share.worker = group.rank;
  share.workers = group.size();
  share.block = graph_->samples_per_step > 0 ? graph_->samples_per_step : static_cast<int64_t>(graph_->towers.size());
  take_share(graph_, session_, share, static_cast<int64_t>(group.number >> 1));
  if (input_runs_) session_->restart_input();
  input_runs_ = true;
}

void CollectiveRun::with_ring(const std::function<void(cluster::Ring*)>& use) {
  member_->begin_exchange(meetings_++);
  try {
    use(&member_->ring());
  } catch (const cluster::ConnectionError& e) {
    member_->explain(e);
  } catch (const cluster::Interrupted& e) {
    member_->explain(e);
  }
  member_->end_exchange();
}

void CollectiveRun::sum(std::vector<double>* values) {
  const std::string mine(reinterpret_cast<const char*>(values->data()), values->size() * sizeof(double));
  std::fill(values->begin(), values->end(), 0);
  for (const std::string& text : gather(mine)) {
    if (text.size() != mine.size()) throw Error("another worker sums other numbers: are all of one version?");
    std::vector<double> part(values->size());
    std::memcpy(part.data(), text.data(), text.size());
    for (size_t i = 0; i < part.size(); ++i) (*values)[i] += part[i];
  }
}

// An evaluation has no state to go on from.
void CollectiveRun::give_up(const std::exception& lost) const {
  throw RunError(fmt::format("{}; what all workers {} together is lost: start them again", lost.what(),
                             graph_->mode == ModeKeys::EVAL ? "evaluate" : "predict"));
}

std::vector<std::string> CollectiveRun::gather(const std::string& mine) {
  std::vector<std::string> all;
  const auto exchange = [&](cluster::Ring* ring) {
    for (int rank = 0; rank < ring->size(); ++rank) {
      std::string text = rank == ring->rank() ? mine : "";
      ring->broadcast(&text, rank);
      all.push_back(std::move(text));
    }
  };
  try {
    with_ring(exchange);
  } catch (const cluster::GroupBroken& e) {
    give_up(e);
  }
  return all;
}

bool CollectiveRun::from_chief(std::vector<double>* values, int64_t global_step) {
  const std::vector<cluster::Group::Seat>& seats = member_->group().seats;
  if (seats.front().task_index != 0) return false;  // they go on without it
  std::string text;
  if (is_chief()) text.assign(reinterpret_cast<const char*>(values->data()), values->size() * sizeof(double));
  try {
    with_ring([&](cluster::Ring* ring) { ring->broadcast(&text, 0); });
  } catch (const cluster::GroupBroken& e) {
    log_warning(fmt::format("{}; the workers come together again after global step {}", e.what(), global_step));
    global_step_ = global_step;
    form_and_share();  // what the chief has gone on to, too
    return false;
  }
  values->resize(text.size() / sizeof(double));
  std::memcpy(values->data(), text.data(), values->size() * sizeof(double));
  return !is_chief();
}

void CollectiveRun::finish(int64_t global_step) try {
  if (!exchanger_) return;
  global_step_ = global_step;
  exchanger_->restart();
  for (;;) {
    try {
      while (!exchanger_->finish()) {
      }
      return;
    } catch (const cluster::GroupBroken& e) {
      log_warning(fmt::format("{}: the workers come together once more", e.what()));
      form_and_share(true);
      if (const int64_t there = member_->group().size(); there < processes())
        log_warning(
            fmt::format("{} of {} workers end the training: nothing is needed of who was lost in its last steps", there,
                        processes()));
    }
  }
} catch (const cluster::Interrupted&) {
  log_warning(
      "asked to stop while a worker that was lost in the last steps is waited for: this one has done all of its own");
}

void CollectiveRun::leave(const std::string& error) {
  if (left_ || !member_) return;
  left_ = true;
  member_->leave(error);
}

void CollectiveRun::ask_to_stop(Ending::How how) {
  asked_ = how;
  if (exchanger_)
    exchanger_->vote(how == Ending::kInterrupted ? cluster::Exchanger::Vote::kInterrupt
                                                 : cluster::Exchanger::Vote::kStop);
}

std::optional<Ending::How> CollectiveRun::agreed_end() const {
  if (!exchanger_) {
    try {
      member_->check();
    } catch (const cluster::GroupBroken& e) {
      give_up(e);
    }
    return asked_;
  }
  if (exchanger_->was_voted(cluster::Exchanger::Vote::kInterrupt)) return Ending::kInterrupted;
  if (exchanger_->was_voted(cluster::Exchanger::Vote::kStop)) return Ending::kFinished;
  return std::nullopt;
}

bool CollectiveRun::recover(StepNumber* number) {
  const std::exception_ptr error = exchanger_ ? exchanger_->error() : nullptr;
  if (!error) return false;
  try {
    std::rethrow_exception(error);
  } catch (const cluster::StepCancelled&) {
    return false;
  } catch (const cluster::PeerFinished& e) {
    throw PeersInputEnded{e.what()};
  } catch (const cluster::GroupBroken& e) {
    log_warning(fmt::format("{}; step {} (global step {}) is done again when all are there", e.what(), number->local,
                            number->global));
  }
  global_step_ = number->global;
  form_and_share();
  number->local += global_step_ - number->global;
  number->global = global_step_;
  log_info(fmt::format("the training goes on at global step {} with {} of {} workers", global_step_,
                       member_->group().size(), processes()));
  return true;
}

// They travel with the next step, and are known to all after it.
std::optional<std::vector<double>> CollectiveRun::share_times(const std::vector<double>& mine) {
  std::optional<std::vector<double>> all = exchanger_->told();
  if (!all) exchanger_->tell(mine);
  return all;
}

std::optional<std::string> CollectiveRun::waits_for() const {
  if (!member_ || !member_->is_exchanging()) return std::nullopt;
  return member_->stragglers();
}

}  // namespace mox
