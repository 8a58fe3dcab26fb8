#include "run/step_loop.h"

#include <fmt/format.h>

#include <cmath>
#include <csignal>

#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "run/past_end.h"
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
const HookRunner::Additions kNoAdditions;

// TensorFlow names the operations that failed. Where the input did, no update of that step was computed.
bool is_from_input(const std::string& error) { return error.find("input/get_next_") != std::string::npos; }

}  // namespace

StepLoop::StepLoop(const BuiltGraph& graph, const RunConfig& config, const std::vector<HookGroup>& hooks,
                   EngineSession& session, const LoadedCheckpoint& start, const FiniteWeights& weights,
                   int64_t first_global_step)
    : graph_(graph),
      config_(config),
      session_(session),
      first_global_step_(first_global_step),
      watch_(std::make_unique<StepWatch>(graph, session, config.stall_report_secs.value_or(0))),
      hooks_(graph, hooks, session, *watch_),
      monitored_(config.keep_best) {
  const bool train = config.run_mode == ModeKeys::TRAIN;
  if (takes_inputs_one_by_one(graph)) inputs_.emplace(graph, session);
  if (config.max_number_of_steps > 0)
    limit_ = train ? std::max<int64_t>(0, config.max_number_of_steps - first_global_step) : config.max_number_of_steps;
  logger_ = std::make_unique<StepLogger>(config.log_dir, graph.samples_per_step, limit_);
  if (train && !config.log_dir.empty()) {
    checkpoints_ = std::make_unique<CheckpointWriter>(
        config.log_dir, config.keep_checkpoint_max,
        BestCheckpoint(config.log_dir, config.keep_best, config.keep_best_mode), weights, start);
    if (config.save_summary_steps > 0 || config.save_histogram_steps > 0) {
      summaries_ = std::make_unique<SummaryWriter>(config.log_dir);
      summaries_->add_start(first_global_step);
      summaries_->add_graph(graph.graph);
    }
  }
  if (config.save_histogram_steps > 0) histograms_ = summaries_.get();
  last_save_time_ = steady_clock::now();
}

StepLoop::~StepLoop() = default;

StepLoop::Wants StepLoop::wants_of(int64_t step) const {
  Wants wants;
  wants.line = config_.log_every_n_steps > 0 && step % config_.log_every_n_steps == 0;
  wants.log = wants.line || config_.run_mode == ModeKeys::EVAL;
  wants.summary = summaries_ && config_.save_summary_steps > 0 && step % config_.save_summary_steps == 0;
  wants.towers = graph_.towers.size();
  wants.output = config_.output_fn && (config_.output_every_n_steps > 0 || config_.run_mode == ModeKeys::PREDICT);
  if (!config_.fetch_strategy_fn) return wants;
  const StepFetches fetches = config_.fetch_strategy_fn(step, {wants.log, wants.summary, wants.output});
  wants.line = fetches.log_info && (wants.line || !wants.log);
  wants.log = fetches.log_info;
  wants.summary = fetches.summaries && summaries_;
  wants.output = fetches.output_info && config_.output_fn;
  return wants;
}

const StepLoop::Step& StepLoop::prepared(Wants wants, const HookRunner::Additions& hooks) {
  const int64_t key = wants.key() << 32 | hooks.id;
  auto found = steps_.find(key);
  if (found != steps_.end()) return found->second;
  std::vector<std::string> fetches;
  if (config_.run_mode == ModeKeys::TRAIN)
    for (const TowerInfo& tower : graph_.towers)
      fetches.insert(fetches.end(), tower.losses.begin(), tower.losses.end());
  Step step;
  step.log_info = fetches.size();
  step.towers = wants.towers;
  step.logged = config_.log_first_clone ? 1 : wants.towers;
  if (wants.log || wants.summary)
    for (int t = 0; t < step.logged; ++t)
      for (const NamedTensor& info : graph_.towers[t].log_info) fetches.push_back(info.tensor);
  step.learning_rate = fetches.size();
  if (wants.summary && !graph_.learning_rates.empty()) fetches.push_back(graph_.learning_rates[0]);
  step.summaries = fetches.size();
  if (wants.summary) fetches.insert(fetches.end(), graph_.summaries.begin(), graph_.summaries.end());
  step.outputs = fetches.size();
  for (int t = 0; wants.output && t < step.towers; ++t)
    for (const NamedTensor& info : graph_.towers[t].output_info) fetches.push_back(info.tensor);
  step.hooks = fetches.size();
  fetches.insert(fetches.end(), hooks.fetches.begin(), hooks.fetches.end());
  step.targets = graph_.train_ops;
  step.targets.insert(step.targets.end(), hooks.targets.begin(), hooks.targets.end());
  step.feeds = hooks.feeds;
  if (inputs_) {
    const std::vector<std::string> inputs = inputs_->feeds(step.towers);
    step.feeds.insert(step.feeds.end(), inputs.begin(), inputs.end());
  }
  step.run = session_.prepare(fetches, step.targets, step.feeds);
  step.fetches = fetches;
  return steps_[key] = step;
}

void StepLoop::prepare_first() {
  if (hooks_.empty() && !inputs_ && !config_.fetch_strategy_fn) prepared(wants_of(0), kNoAdditions);
}

std::vector<tf::Tensor> StepLoop::run_step(const Step& step) {
  const StepWatch::Running running(*watch_);
  try {
    if (!inputs_ && local_step_ != config_.trace_step) return session_.run(step.run, hooks_.fed());
    std::vector<tf::Tensor> fed = hooks_.fed();
    if (inputs_) fed.insert(fed.end(), inputs_->fed().begin(), inputs_->fed().end());
    return local_step_ == config_.trace_step ? run_traced_step(step, fed) : session_.run(step.run, fed);
  } catch (const RunError& e) {
    if (watch_->broke_off()) throw;
    sound_ = is_from_input(e.what());
    throw RunError(
        fmt::format("step {} (global step {}) failed: {}", local_step_, first_global_step_ + local_step_, e.what()));
  }
}

std::vector<tf::Tensor> StepLoop::run_traced_step(const Step& step, const std::vector<tf::Tensor>& fed) {
  constexpr int kRows = 20;
  Feeds feeds;
  for (size_t i = 0; i < fed.size(); ++i) feeds.emplace_back(step.feeds[i], fed[i]);
  tf::StepStats stats;
  const std::vector<tf::Tensor> fetched = session_.run_traced(feeds, step.fetches, step.targets, &stats);
  log_info("time of step " + std::to_string(local_step_) + " by operation:\n" + cost_table(stats, kRows));
  if (!config_.log_dir.empty()) {
    const std::string path = tf::io::JoinPath(config_.log_dir, "timeline-" + std::to_string(local_step_) + ".json");
    throw_if_error(tf::WriteStringToFile(tf::Env::Default(), path, timeline_json(stats)), "writing " + path);
    log_info("timeline (open it in chrome://tracing): " + path);
  }
  return fetched;
}

// In words, for messages: what is there when nothing more is being written.
std::string StepLoop::last_checkpoint() {
  if (!checkpoints_) return "there is no checkpoint yet, nor will there be one without a log_dir";
  checkpoints_->wait();
  const std::string saved = checkpoints_->last_saved(), good = checkpoints_->last_good();
  if (!saved.empty()) return "the last checkpoint is " + saved;
  return good.empty() ? "there is no checkpoint yet" : "the last checkpoint is the one that it went on from, " + good;
}

void StepLoop::check_losses(const std::vector<tf::Tensor>& fetched, int64_t step) {
  if (config_.run_mode != ModeKeys::TRAIN) return;
  size_t i = 0;
  for (const TowerInfo& tower : graph_.towers) {
    for (const std::string& loss : tower.losses) {
      const double value = scalar_value(fetched[i++], loss);
      if (std::isfinite(value)) continue;
      if (checkpoints_) checkpoints_->wait();
      check_saved();  // a save of the step before may know which variable it began with
      throw RunError(
          fmt::format("the loss is {} at step {} (global step {}), tensor {}: training stops; {}. Try a smaller "
                      "learning rate, or look at the input of that step",
                      value, step, first_global_step_ + step, loss, last_checkpoint()));
    }
  }
}

Metrics StepLoop::log_info_of(const std::vector<tf::Tensor>& fetched, const Step& step) const {
  Metrics metrics;
  const auto& names = graph_.towers[0].log_info;
  for (size_t i = 0; i < names.size(); ++i) {
    double sum = 0;
    for (int t = 0; t < step.logged; ++t)
      sum += scalar_value(fetched[step.log_info + t * names.size() + i], names[i].name);
    metrics.emplace_back(names[i].name, sum / step.logged);
  }
  return metrics;
}

void StepLoop::collect_outputs(const std::vector<tf::Tensor>& fetched, const Step& step) {
  size_t i = step.outputs;
  for (int t = 0; t < step.towers; ++t) {
    OutputDict& dict = outputs_.emplace_back();
    // A copy: what was fetched may be a variable's own buffer, or keep a whole batch alive.
    for (const NamedTensor& info : graph_.towers[t].output_info) dict[info.name] = fetched[i++];
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

void StepLoop::accumulate(const Metrics& metrics, int towers) {
  summed_ += towers;
  if (sums_.empty())
    for (const auto& [name, value] : metrics) sums_.emplace_back(name, 0);
  for (size_t i = 0; i < metrics.size(); ++i) sums_[i].second += metrics[i].second * towers;
}

void StepLoop::log(int64_t step, Wants wants, const Step& prepared, const std::vector<tf::Tensor>& fetched) {
  if (!wants.log && !wants.summary) return;
  const Metrics metrics = log_info_of(fetched, prepared);
  last_metrics_ = metrics;
  monitored_.add(metrics);
  if (config_.run_mode == ModeKeys::EVAL) accumulate(metrics, prepared.logged);
  const int64_t global_step = config_.run_mode == ModeKeys::TRAIN ? first_global_step_ + step : first_global_step_;
  double rate = 0;
  if (wants.line) rate = logger_->log_step(step, global_step, metrics);
  if (!wants.summary) return;
  Metrics scalars = metrics;
  if (std::none_of(metrics.begin(), metrics.end(), [](const auto& m) { return m.first == "loss"; }))
    scalars.emplace_back("loss", scalar_value(fetched[0], "loss"));
  if (!graph_.learning_rates.empty())
    scalars.emplace_back("learning_rate", scalar_value(fetched[prepared.learning_rate], "learning_rate"));
  if (rate > 0) scalars.emplace_back("sample/sec", rate);
  summaries_->add_scalars(global_step, scalars);
  for (size_t i = prepared.summaries; i < prepared.outputs; ++i)
    summaries_->add_serialized(global_step, std::string(fetched[i].scalar<tf::tstring>()()));
  summaries_->flush();
}

bool StepLoop::save_is_due() const {
  if (!checkpoints_) return false;
  const double elapsed = std::chrono::duration<double>(steady_clock::now() - last_save_time_).count();
  if (config_.save_model_secs >= 0) return config_.save_model_secs > 0 && elapsed >= config_.save_model_secs;
  if (config_.save_model_steps >= 0)
    return config_.save_model_steps > 0 && (first_global_step_ + local_step_) % config_.save_model_steps == 0;
  return elapsed >= kDefaultSaveSeconds;
}

void StepLoop::save() {
  checkpoints_->save(first_global_step_ + local_step_, session_.read_variables(), monitored_.take());
  saved_at_ = local_step_;
  last_save_time_ = steady_clock::now();
}

// Throws when the weights of a save were not worth it: the step after it cannot be, either.
void StepLoop::check_saved() {
  const std::string poison = checkpoints_ ? checkpoints_->poison() : "";
  if (poison.empty()) return;
  sound_ = false;
  throw RunError(
      fmt::format("{}: they are not saved, and training stops; {}. Try a smaller learning rate, or clip the "
                  "gradients (--gradient_clip)",
                  poison, last_checkpoint()));
}

bool StepLoop::step() {
  Wants wants = wants_of(local_step_);
  const HookRunner::Additions& additions =
      hooks_.empty() ? kNoAdditions : hooks_.before_run(local_step_, first_global_step_ + local_step_);
  if (inputs_) {
    const StepWatch::Running running(*watch_);
    wants.towers = inputs_->next();
  }
  const Step& prepared_step = prepared(wants, additions);
  sound_ = false;
  const std::vector<tf::Tensor> fetched = run_step(prepared_step);
  check_losses(fetched, local_step_);
  const int64_t step = local_step_++;
  sound_ = true;
  log(step, wants, prepared_step, fetched);
  if (wants.output) collect_outputs(fetched, prepared_step);
  logger_->show_progress(step);
  if (histograms_ && step % config_.save_histogram_steps == 0)
    histograms_->add_histograms(first_global_step_ + step, session_.read_variables());
  const bool stop = !hooks_.empty() && hooks_.after_run(fetched, prepared_step.hooks);
  if (save_is_due()) save();
  return stop;
}

void StepLoop::run_steps() {
  try {
    if (!hooks_.empty()) hooks_.after_create_session();
    while (!limit_reached()) {
      if ((interrupted_ = SignalGuard::received() != 0)) return;
      check_saved();
      if (step()) return;
    }
  } catch (const EndOfInput&) {
    sound_ = true;  // nothing of that step was applied: it needs the input
    const bool resumed = config_.run_mode == ModeKeys::TRAIN && first_global_step_ > 0;
    if (local_step_ == 0 && !resumed)
      throw DataError("the input ended before the first step: it has fewer samples than a batch (batch_size " +
                      std::to_string(config_.batch_size) + "), or none at all");
    if (local_step_ == 0)
      log_info(
          "nothing to train: the input was read to its end before; give it more epochs, or use another log_dir to "
          "start "
          "anew");
    else
      log_info(fmt::format("the input ended after {} steps", local_step_));
  } catch (const InputEndedInHook&) {
    log_info(fmt::format("the input of a hook ended after {} steps", local_step_));
  } catch (const OutOfRangeError& e) {
    throw RunError(std::string("a hook read past an end that is not the input's: ") + e.what());
  } catch (const RunError&) {
    if (!watch_->broke_off()) throw;
    interrupted_ = true;
  }
}

RunResult StepLoop::run() {
  const bool train = config_.run_mode == ModeKeys::TRAIN;
  logger_->start();
  if (limit_ > 0) log_info(fmt::format("Running will end at step: {}", limit_));
  try {
    run_steps();
    if (!hooks_.empty() && !watch_->broke_off()) hooks_.end();
    finish();
  } catch (...) {
    save_after_error();
    throw;
  }
  RunResult result;
  result.steps = local_step_;
  result.global_step = train ? first_global_step_ + local_step_ : first_global_step_;
  result.interrupted = interrupted_;
  result.metrics = last_metrics_;
  if (config_.run_mode == ModeKeys::EVAL) {
    result.metrics = sums_;
    for (auto& [name, sum] : result.metrics) sum /= std::max<int64_t>(1, summed_);
  }
  if (checkpoints_) result.checkpoint = checkpoints_->last_good();
  return result;
}

// A user's function threw: what was trained until then is kept. After a failed step, or a loss that is not finite, the
// variables are not worth it.
void StepLoop::save_after_error() {
  watch_.reset();
  logger_->clear_progress();
  if (!checkpoints_) return;
  if (sound_ && saved_at_ != local_step_ && local_step_ > 0) {
    try {
      save();
    } catch (const std::exception& e) {  // the error under way is the one to tell
      log_warning(std::string("the checkpoint after an error was not saved: ") + e.what());
    }
  }
  checkpoints_->wait();
  if (sound_ && saved_at_ == local_step_ && local_step_ > 0 && checkpoints_->last_error().empty())
    log_info(fmt::format("an error ends the run after step {}; the last checkpoint is {}", local_step_,
                         checkpoints_->last_saved()));
  if (summaries_) summaries_->flush();
}

void StepLoop::finish() {
  const bool can_save = !watch_->broke_off();
  watch_.reset();
  logger_->clear_progress();
  if (checkpoints_ && can_save && saved_at_ != local_step_ && local_step_ > 0) save();
  if (checkpoints_) checkpoints_->wait();
  if (summaries_) summaries_->flush();
  if (config_.trace_step >= local_step_)
    log_warning(
        fmt::format("trace_step is {}, but the run ended after {} steps, which count from 0: nothing was traced",
                    config_.trace_step, local_step_));
  check_saved();
  if (interrupted_ && config_.run_mode == ModeKeys::TRAIN) {
    log_warning(fmt::format("stopped by {} after step {} (global step {}); {}",
                            SignalGuard::received() == SIGTERM ? "SIGTERM" : "SIGINT", local_step_,
                            first_global_step_ + local_step_, last_checkpoint()));
  }
  const std::string error = checkpoints_ ? checkpoints_->last_error() : "";
  if (!error.empty()) throw RunError("the last checkpoint was not saved: " + error);
  if (config_.output_fn) deliver_outputs();
}

}  // namespace mox
