#include "run/step_loop.h"

#include <fmt/format.h>

#include <atomic>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "run/signals.h"
#include "run/tensor_values.h"
#include "run/timeline.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"

namespace mox {

namespace tf = tensorflow;
using std::chrono::steady_clock;

namespace {

constexpr double kDefaultSaveSeconds = 600;  // with neither save_model_secs nor save_model_steps
constexpr double kPatience =
    2;  // seconds that a step may go on after a signal, or twice the longest step if that is more
constexpr auto kLastPatience = std::chrono::seconds(1);  // that a broken-off session may take to return

}  // namespace

// A signal must stop a run even when a step does not end: after some patience the session is broken off. Where not even
// that helps (tf.data waiting for an input that stalls cannot be cancelled), the signal ends the process.
class StepLoop::Watchdog {
 public:
  Watchdog(EngineSession& session, const UnderWay& step) : step_(step), thread_([this, &session] { watch(session); }) {}
  ~Watchdog() {
    {
      std::lock_guard lock(mu_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  bool broke_off() const { return broke_off_; }

 private:
  void watch(EngineSession& session) {
    std::unique_lock lock(mu_);
    steady_clock::time_point since{};
    while (!wake_.wait_for(lock, std::chrono::milliseconds(100), [this] { return stop_; })) {
      if (!SignalGuard::received() || !step_.running) {
        since = {};
        continue;
      }
      if (since == steady_clock::time_point{}) since = steady_clock::now();
      const double waited = std::chrono::duration<double>(steady_clock::now() - since).count();
      if (waited < std::max(kPatience, 2 * step_.longest)) continue;
      broke_off_ = true;
      session.abort();
      if (!wake_.wait_for(lock, kLastPatience, [this] { return stop_; })) end_process(SignalGuard::received());
      return;
    }
  }

  // Not through the log: whoever stalls may hold what it needs.
  [[noreturn]] static void end_process(int signal) {
    std::fputs(
        "WARNING: the step under way does not end (an input that stalls): the process ends, the last checkpoint "
        "stays\n",
        stderr);
    std::signal(signal, SIG_DFL);
    std::raise(signal);
    std::_Exit(128 + signal);
  }

  const UnderWay& step_;
  std::mutex mu_;
  std::condition_variable wake_;
  bool stop_ = false;  // guarded by mu_
  std::atomic<bool> broke_off_{false};
  std::thread thread_;
};

StepLoop::StepLoop(const BuiltGraph& graph, const RunConfig& config, EngineSession& session, int64_t first_global_step)
    : graph_(graph), config_(config), session_(session), first_global_step_(first_global_step) {
  const bool train = config.mode == ModeKeys::TRAIN;
  if (config.max_number_of_steps > 0)
    limit_ = train ? std::max<int64_t>(0, config.max_number_of_steps - first_global_step) : config.max_number_of_steps;
  logger_ = std::make_unique<StepLogger>(config.log_dir, graph.samples_per_step, limit_);
  if (train) {
    checkpoints_ = std::make_unique<CheckpointWriter>(config.log_dir, config.keep_checkpoint_max);
    if (config.save_summary_steps > 0) {
      summaries_ = std::make_unique<SummaryWriter>(config.log_dir);
      summaries_->add_graph(graph.graph);
    }
  }
  last_save_time_ = steady_clock::now();
}

StepLoop::~StepLoop() = default;

StepLoop::Wants StepLoop::wants_of(int64_t step) const {
  Wants wants;
  wants.log =
      config_.mode == ModeKeys::EVAL || (config_.log_every_n_steps > 0 && step % config_.log_every_n_steps == 0);
  wants.summary = summaries_ && step % config_.save_summary_steps == 0;
  wants.output = config_.output_fn && (config_.output_every_n_steps > 0 || config_.mode == ModeKeys::PREDICT);
  return wants;
}

const StepLoop::Step& StepLoop::prepared(Wants wants) {
  auto found = steps_.find(wants.key());
  if (found != steps_.end()) return found->second;
  std::vector<std::string> fetches;
  if (config_.mode == ModeKeys::TRAIN)
    for (const TowerInfo& tower : graph_.towers)
      fetches.insert(fetches.end(), tower.losses.begin(), tower.losses.end());
  Step step;
  step.log_info = fetches.size();
  const size_t logged = config_.log_first_clone ? 1 : graph_.towers.size();
  if (wants.log || wants.summary)
    for (size_t t = 0; t < logged; ++t)
      for (const NamedTensor& info : graph_.towers[t].log_info) fetches.push_back(info.tensor);
  step.learning_rate = fetches.size();
  if (wants.summary && !graph_.learning_rate.empty()) fetches.push_back(graph_.learning_rate);
  step.summaries = fetches.size();
  if (wants.summary) fetches.insert(fetches.end(), graph_.summaries.begin(), graph_.summaries.end());
  step.outputs = fetches.size();
  if (wants.output)
    for (const TowerInfo& tower : graph_.towers)
      for (const NamedTensor& info : tower.output_info) fetches.push_back(info.tensor);
  step.callable = session_.prepare(fetches, graph_.train_ops);
  step.fetches = fetches;
  return steps_[wants.key()] = step;
}

std::vector<tf::Tensor> StepLoop::run_step(const Step& step) {
  const auto start = steady_clock::now();
  under_way_.running = true;
  const absl::Cleanup done = [&] {
    under_way_.running = false;
    under_way_.longest =
        std::max<double>(under_way_.longest, std::chrono::duration<double>(steady_clock::now() - start).count());
  };
  try {
    return local_step_ == config_.trace_step ? run_traced_step(step) : session_.run(step.callable);
  } catch (const RunError& e) {
    if (watchdog_->broke_off()) throw;
    throw RunError(
        fmt::format("step {} (global step {}) failed: {}", local_step_, first_global_step_ + local_step_, e.what()));
  }
}

std::vector<tf::Tensor> StepLoop::run_traced_step(const Step& step) {
  constexpr int kRows = 20;
  tf::StepStats stats;
  // Once more before: the first run of these fetches also plans the graph, which is not the step's time.
  session_.run_traced(step.fetches, graph_.train_ops, &stats);
  ++local_step_;
  std::vector<tf::Tensor> fetched = session_.run_traced(step.fetches, graph_.train_ops, &stats);
  log_info("time of step " + std::to_string(local_step_) + " by operation:\n" + cost_table(stats, kRows));
  if (!config_.log_dir.empty()) {
    const std::string path = tf::io::JoinPath(config_.log_dir, "timeline-" + std::to_string(local_step_) + ".json");
    throw_if_error(tf::WriteStringToFile(tf::Env::Default(), path, timeline_json(stats)), "writing " + path);
    log_info("timeline (open it in chrome://tracing): " + path);
  }
  return fetched;
}

void StepLoop::check_losses(const std::vector<tf::Tensor>& fetched, int64_t step) {
  if (config_.mode != ModeKeys::TRAIN) return;
  size_t i = 0;
  for (const TowerInfo& tower : graph_.towers) {
    for (const std::string& loss : tower.losses) {
      const double value = scalar_value(fetched[i++], loss);
      if (std::isfinite(value)) continue;
      const std::string last = checkpoints_->last_saved();
      throw RunError(
          fmt::format("the loss is {} at step {} (global step {}), tensor {}: training stops; {}. Try a smaller "
                      "learning rate, or look at the input of that step",
                      value, step, first_global_step_ + step, loss,
                      last.empty() ? "this run has saved no checkpoint yet" : "the last checkpoint is " + last));
    }
  }
}

Metrics StepLoop::log_info_of(const std::vector<tf::Tensor>& fetched, const Step& step) const {
  Metrics metrics;
  const size_t logged = config_.log_first_clone ? 1 : graph_.towers.size();
  const auto& names = graph_.towers[0].log_info;
  for (size_t i = 0; i < names.size(); ++i) {
    double sum = 0;
    for (size_t t = 0; t < logged; ++t)
      sum += scalar_value(fetched[step.log_info + t * names.size() + i], names[i].name);
    metrics.emplace_back(names[i].name, sum / logged);
  }
  return metrics;
}

void StepLoop::collect_outputs(const std::vector<tf::Tensor>& fetched, const Step& step) {
  size_t i = step.outputs;
  for (const TowerInfo& tower : graph_.towers) {
    OutputDict& dict = outputs_.emplace_back();
    // A copy: what was fetched may be a variable's own buffer, or keep a whole batch alive.
    for (const NamedTensor& info : tower.output_info) dict[info.name] = fetched[i++];
  }
  const size_t every = std::max<int64_t>(1, config_.output_every_n_steps);
  if (outputs_.size() >= every * graph_.towers.size()) deliver_outputs();
}

void StepLoop::deliver_outputs() {
  if (outputs_.empty()) return;
  std::vector<OutputDict> outputs;
  outputs.swap(outputs_);
  config_.output_fn(outputs);
}

void StepLoop::accumulate(const Metrics& metrics) {
  if (sums_.empty()) {
    sums_ = metrics;
    return;
  }
  for (size_t i = 0; i < metrics.size(); ++i) sums_[i].second += metrics[i].second;
}

void StepLoop::log(int64_t step, Wants wants, const Step& prepared, const std::vector<tf::Tensor>& fetched) {
  if (!wants.log && !wants.summary) return;
  const Metrics metrics = log_info_of(fetched, prepared);
  last_metrics_ = metrics;
  if (config_.mode == ModeKeys::EVAL) accumulate(metrics);
  const int64_t global_step = config_.mode == ModeKeys::TRAIN ? first_global_step_ + step : first_global_step_;
  double rate = 0;
  if (config_.log_every_n_steps > 0 && step % config_.log_every_n_steps == 0)
    rate = logger_->log_step(step, global_step, metrics);
  if (!wants.summary) return;
  Metrics scalars = metrics;
  if (std::none_of(metrics.begin(), metrics.end(), [](const auto& m) { return m.first == "loss"; }))
    scalars.emplace_back("loss", scalar_value(fetched[0], "loss"));
  if (!graph_.learning_rate.empty())
    scalars.emplace_back("learning_rate", scalar_value(fetched[prepared.learning_rate], "learning_rate"));
  if (rate > 0) scalars.emplace_back("sample/sec", rate);
  summaries_->add_scalars(global_step, scalars);
  for (size_t i = prepared.summaries; i < prepared.outputs; ++i)
    summaries_->add_serialized(global_step, std::string(fetched[i].scalar<tf::tstring>()()));
  summaries_->flush();
}

bool StepLoop::save_is_due() const {
  const double elapsed = std::chrono::duration<double>(steady_clock::now() - last_save_time_).count();
  if (config_.save_model_secs >= 0) return config_.save_model_secs > 0 && elapsed >= config_.save_model_secs;
  if (config_.save_model_steps >= 0)
    return config_.save_model_steps > 0 && (first_global_step_ + local_step_) % config_.save_model_steps == 0;
  return elapsed >= kDefaultSaveSeconds;
}

void StepLoop::save() {
  checkpoints_->save(first_global_step_ + local_step_, session_.read_variables());
  saved_at_ = local_step_;
  last_save_time_ = steady_clock::now();
}

RunResult StepLoop::run() {
  const bool train = config_.mode == ModeKeys::TRAIN;
  watchdog_ = std::make_unique<Watchdog>(session_, under_way_);
  if (limit_ > 0) log_info(fmt::format("Running will end at step: {}", limit_));
  bool interrupted = false;
  try {
    while (!limit_reached()) {
      if (config_.between_steps) config_.between_steps();
      if ((interrupted = SignalGuard::received() != 0)) break;
      const Wants wants = wants_of(local_step_);
      const Step& step = prepared(wants);
      const std::vector<tf::Tensor> fetched = run_step(step);
      check_losses(fetched, local_step_);
      log(local_step_, wants, step, fetched);
      if (wants.output) collect_outputs(fetched, step);
      logger_->show_progress(local_step_);
      ++local_step_;
      if (train && save_is_due()) save();
    }
  } catch (const EndOfInput&) {
    if (local_step_ == 0)
      throw DataError("the input ended before the first step: it has fewer samples than a batch (batch_size " +
                      std::to_string(config_.batch_size) + "), or none at all");
    log_info(fmt::format("the input ended after {} steps", local_step_));
  } catch (const RunError&) {
    if (!watchdog_->broke_off()) throw;
    interrupted = true;
  }
  finish(interrupted);
  RunResult result;
  result.steps = local_step_;
  result.global_step = train ? first_global_step_ + local_step_ : first_global_step_;
  result.interrupted = interrupted;
  result.metrics = last_metrics_;
  if (config_.mode == ModeKeys::EVAL) {
    result.metrics = sums_;
    for (auto& [name, sum] : result.metrics) sum /= local_step_;
  }
  if (checkpoints_) result.checkpoint = checkpoints_->last_saved();
  return result;
}

void StepLoop::finish(bool interrupted) {
  const bool can_save = !watchdog_->broke_off();
  watchdog_.reset();
  logger_->clear_progress();
  if (!checkpoints_) {
    if (config_.output_fn) deliver_outputs();
    return;
  }
  if (can_save && saved_at_ != local_step_ && local_step_ > 0) save();
  checkpoints_->wait();
  if (summaries_) summaries_->flush();
  const std::string error = checkpoints_->last_error();
  if (interrupted) {
    const std::string last = checkpoints_->last_saved();
    log_warning(fmt::format("stopped by {} after step {} (global step {}); {}",
                            SignalGuard::received() == SIGTERM ? "SIGTERM" : "SIGINT", local_step_,
                            first_global_step_ + local_step_,
                            last.empty() ? "nothing was saved by this run" : "the last checkpoint is " + last));
  }
  if (!error.empty()) throw RunError("the last checkpoint was not saved: " + error);
  if (config_.output_fn) deliver_outputs();
}

}  // namespace mox
