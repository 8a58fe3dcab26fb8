#include "run/server_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cluster/socket.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "run/input_continuation.h"
#include "run/signals.h"

namespace mox {

namespace {

constexpr double kAnswer = 1;  // seconds
constexpr double kCause = 6;   // in which it becomes known who is lost, see server_watch.cc

}  // namespace

ServerRun::ServerRun(const RunConfig& config)
    : ClusterRun(config),
      cluster_{"worker", static_cast<int>(config.cluster.task_index), config.cluster.ps_hosts,
               config.cluster.worker_hosts} {}

ServerRun::~ServerRun() {
  try {
    leave("");
  } catch (const std::exception& e) {
    log_warning(fmt::format("the other processes were not told that this one ends: {}", e.what()));
  }
}

std::unique_ptr<Exchange> ServerRun::make_exchange() {
  ParameterServerOptions options;
  options.task = cluster_.index;
  options.workers = workers();
  options.devices = config_.devices;
  options.sync = is_sync();
  options.copies = config_.cluster.copies;
  options.tries_copies = config_.cluster.tries_copies;
  options.bfloat16_gradients = config_.cluster.bfloat16_gradients;
  options.replicas_to_aggregate = static_cast<int>(config_.cluster.replicas_to_aggregate);
  auto exchange = std::make_unique<ParameterServerExchange>(options);
  exchange_ = exchange.get();
  return exchange;
}

void ServerRun::prepare(BuiltGraph* graph, const Reload& reload) {
  graph_ = graph;
  reload_ = reload;
  server_ = &TensorflowServer::start(cluster_, config_.devices, config_.num_intra_threads,
                                     std::max<int64_t>(0, config_.num_inter_threads));
  std::vector<int> servers(cluster_.ps_hosts.size());
  for (size_t i = 0; i < servers.size(); ++i) servers[i] = static_cast<int>(i);
  board_.emplace(*server_, servers);
  own_ = note_of(cluster_);
  own_.agreed.insert(own_.agreed.end(),
                     {{"--sync_replicas", is_sync() ? "true" : "false"},
                      {"--variable_update", config_.cluster.copies         ? "distributed_replicated"
                                            : config_.cluster.tries_copies ? "auto"
                                                                           : "parameter_server"},
                      {"--gradient_dtype", config_.cluster.bfloat16_gradients ? "bfloat16" : "float32"},
                      {"--replicas_to_aggregate", std::to_string(config_.cluster.replicas_to_aggregate)}});
  const auto settings = settings_of_all(config_, *graph);
  own_.agreed.insert(own_.agreed.end(), settings.begin(), settings.end());
  watch_.emplace(*server_, *board_, is_sync(),
                 [this](const ServerTrouble& trouble) { breaker_->break_off(trouble.text); });
}

SessionFactory ServerRun::connect() {
  meet();
  watch_->begin(signs_, group_, own_);
  return SessionFactory(config_, server_->target(), breaker_);
}

bool ServerRun::has_whole_state() const {
  try {
    session_->global_step();
    if (!is_sync()) return true;
    const auto read = session_->prepare({fmt::format("{}:0", kReadWholeState)}, {});
    return session_->run(read)[0].scalar<bool>()();
  } catch (const Error&) {  // a server that was started anew has none
    return false;
  }
}

void ServerRun::initialize(const LoadedCheckpoint& checkpoint) {
  if (is_chief() && !keeps_state_) {
    session_->initialize(checkpoint);
  } else if (!initialized_) {
    for (const VariableInfo& variable : graph_->variables)
      if (!exchange_->servers().count(variable.name)) session_->run_operation(variable.initializer, {});
  }
  initialized_ = true;
}

int64_t ServerRun::start(EngineSession* session, const LoadedCheckpoint& checkpoint) {
  session_ = session;
  for (;;) {
    try {
      session->reopen([this] { return connect(); });
      if (is_chief() && keeps_state_) {
        keeps_state_ = has_whole_state();
        log_info(keeps_state_ ? "the training goes on with the state that is on the parameter servers"
                              : "the state on the parameter servers is not whole: it is restored, or made anew");
      }
      initialize(checkpoint);
      return begin();
    } catch (const RunError&) {
      const std::optional<ServerTrouble> trouble = find_trouble();
      if (!trouble) throw;
      if (trouble->kind == ServerTrouble::kEnded) throw RunError(trouble->text);
      take_leave(*trouble);
    }
  }
}

// Feeds this worker's share of the input, begins it; then steps may come.
int64_t ServerRun::begin() {
  input_position::Share share;
  share.worker = cluster_.index;
  share.workers = workers();
  share.block = graph_->samples_per_step > 0 ? graph_->samples_per_step : static_cast<int64_t>(graph_->towers.size());
  take_share(graph_, session_, share, static_cast<int64_t>(group_.turns[0] >> 1));
  if (input_runs_)
    session_->restart_input();
  else
    session_->start_input();
  input_runs_ = true;
  for (const std::string& op : exchange_->starters()) session_->run_operation(op, {});
  if (is_chief()) {
    group_.step = session_->global_step();
    board_->write(group_);
    if (has_local_state()) wait_for_others_to_begin();
  } else {
    own_.state = "running";
    board_->write(cluster_.index, own_);
  }
  return group_.step;
}

bool ServerRun::has_local_state() const {
  return std::any_of(graph_->variables.begin(), graph_->variables.end(),
                     [this](const VariableInfo& variable) { return !exchange_->servers().count(variable.name); });
}

bool ServerRun::others_have_begun() const {
  const std::optional<ServerBoard::Notes> notes = board_->read();
  if (!notes) return false;
  int begun = 1;
  for (const auto& [worker, note] : notes->workers)
    begun += worker > 0 && worker < workers() && note.turn == group_.turns[worker] && note.state != "joining";
  return begun == workers();
}

// They take the state that the chief has of its own, which its first step changes.
void ServerRun::wait_for_others_to_begin() {
  while (!others_have_begun()) {
    if (const auto trouble = watch_->trouble()) throw RunError(trouble->text);
    check_waiting(&next_report_, "the other workers have not begun yet");
  }
}

void ServerRun::come_back(StepNumber* number) {
  session_->reopen([this] { return connect(); });
  LoadedCheckpoint checkpoint;
  if (is_chief()) {
    keeps_state_ = has_whole_state();
    if (!keeps_state_) checkpoint = reload_();
    if (!keeps_state_)
      log_warning(checkpoint.prefix.empty()
                      ? "the state on the parameter servers is lost, and there is no checkpoint: it is made anew"
                      : "the state on the parameter servers is lost: it is restored from " + checkpoint.prefix);
  }
  initialize(checkpoint);
  const int64_t step = begin();
  // Without sync the others' steps count, too: only what was lost is done again. The number is below 0 where that is
  // more than this process has done.
  if (is_sync())
    number->local += step - number->global;
  else if (step < number->global)
    number->local -= config_.cluster.steps_of_each(number->global - step);
  number->global = step;
}

// What another process did that an error comes from; nothing: it is of this process's own.
std::optional<ServerTrouble> ServerRun::find_trouble() const {
  if (!watch_->is_watching()) return std::nullopt;
  if (!breaker_->is_broken()) {  // or of a connection that the watch has yet to ask about
    const std::vector<TensorflowServer::Sign> now = server_->ask(kAnswer);
    const bool all = std::all_of(now.begin(), now.end(), [](const auto& sign) { return sign.alive; });
    if (all && processes_hash(now) == own_.processes) return std::nullopt;
  }
  return watch_->wait_for_trouble(kCause);
}

// Of the group that there was; returns where the processes may come together again.
void ServerRun::take_leave(const ServerTrouble& trouble) {
  if (trouble.kind == ServerTrouble::kEnded) {
    let_others_end();
    throw PeersInputEnded{trouble.text};
  }
  watch_->pause();
  breaker_->clear();
  if (trouble.kind == ServerTrouble::kFailed) throw RunError(trouble.text);
  if (trouble.kind == ServerTrouble::kInterrupted) throw cluster::Interrupted(trouble.text);
  log_warning(fmt::format("{}; the workers come together again when all are there", trouble.text));
}

bool ServerRun::recover(StepNumber* number) {
  constexpr int kTries = 3;  // after errors that nobody else's loss explains
  std::optional<ServerTrouble> trouble = find_trouble();
  if (!trouble) return false;
  for (int tries = 0;;) {
    take_leave(*trouble);
    try {
      come_back(number);
      log_info(fmt::format("all processes are there: the training goes on at global step {}", number->global));
      return true;
    } catch (const RunError& e) {
      trouble = find_trouble();
      const bool again = watch_->is_watching() && SignalGuard::received() == 0 && ++tries < kTries;
      if (!trouble && again) trouble = ServerTrouble{ServerTrouble::kLost, e.what()};
      if (trouble) continue;
      reach_servers();
      throw;
    }
  }
}

// What the chief still has to save is read in a session without those that are lost, where all servers are there.
void ServerRun::reach_servers() {
  if (!is_chief()) return;
  const std::vector<TensorflowServer::Sign> now = server_->ask(kAnswer);
  for (size_t server = 0; server < cluster_.ps_hosts.size(); ++server)
    if (!now[server].alive) return;
  try {
    session_->reopen([this] { return SessionFactory(config_, server_->target(), breaker_); });
  } catch (const RunError& e) {
    log_warning(fmt::format("the parameter servers take no session any more: {}", e.what()));
  }
}

std::optional<std::vector<double>> ServerRun::share_times(const std::vector<double>& mine) {
  if (is_chief()) {
    group_.times = mine;
    board_->write(group_);
    return mine;
  }
  const std::optional<ServerBoard::Notes> notes = board_->read();
  if (!notes || !notes->chief || notes->chief->turns != group_.turns || notes->chief->times.size() != mine.size())
    return std::nullopt;
  return notes->chief->times;
}

std::optional<std::string> ServerRun::waits_for() const {
  if (!is_sync()) return std::nullopt;
  const std::vector<int64_t> steps = board_->arrivals();
  if (steps.empty()) return "";
  const int64_t newest = *std::max_element(steps.begin(), steps.end());
  if (steps[cluster_.index] < newest) return std::nullopt;
  std::vector<std::string> behind;
  for (size_t i = 0; i < steps.size(); ++i)
    if (steps[i] < newest) behind.push_back(cluster_.name(static_cast<int>(cluster_.ps_hosts.size() + i)));
  if (behind.empty()) return "it waits for the chief or a parameter server";
  return fmt::format("{} {} not sent gradients for it, for which {} wait{}", fmt::join(behind, ", "),
                     behind.size() == 1 ? "has" : "have", steps.size() - behind.size(),
                     steps.size() - behind.size() == 1 ? "s" : "");
}

}  // namespace mox
