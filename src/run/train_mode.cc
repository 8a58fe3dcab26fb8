#include <fmt/format.h>

#include <algorithm>

#include "exchange/local_exchange.h"
#include "moxing/class_names.h"
#include "moxing/log.h"
#include "run/best_checkpoint.h"
#include "run/checkpoint_state.h"
#include "run/hook_state.h"
#include "run/input_continuation.h"
#include "run/learning_rate_factor.h"
#include "run/log_dir_lock.h"
#include "run/model_ema.h"
#include "run/observers/checkpoint_observer.h"
#include "run/observers/loss_check.h"
#include "run/observers/stand_in.h"
#include "run/observers/summary_observer.h"
#include "run/run_mode.h"

namespace mox {
namespace {

bool wants_learning_rate_factor(const std::vector<HookGroup>& hooks) {
  return std::any_of(hooks.begin(), hooks.end(), [](const HookGroup& group) {
    return dynamic_cast<const PlateauLREarlyStoppingHook*>(group[0].get()) != nullptr;
  });
}

class TrainMode : public RunMode {
 public:
  using RunMode::RunMode;

  void check(const BuiltGraph& graph) override {
    if (!config_.log_dir.empty() && config_.cluster.is_chief()) lock_.emplace(config_.log_dir);
    check_keep_best(graph, config_);
  }

  void prepare(BuiltGraph* graph) override {
    connect_gradients(graph, exchange_.get(),
                      {.loss_scale = config_.loss_scale,
                       .dynamic_loss_scale = config_.dynamic_loss_scale,
                       .loss_scale_growth_steps = config_.loss_scale_growth_steps,
                       .clip = config_.gradient_clip});
    if (config_.model_ema > 0) add_model_ema(graph, config_.model_ema);
    add_input_order(graph, cluster_ != nullptr);
    if (wants_learning_rate_factor(hooks_)) add_learning_rate_factor(graph);
    add_hook_state(graph, hooks_);
  }

  void place(BuiltGraph* graph) override { exchange_->place(graph); }

  void start_from(LoadedCheckpoint* checkpoint, BuiltGraph* graph) override {
    if (lock_) remove_leftovers(config_.log_dir);
    continue_input(graph, checkpoint);
    start_averages(*graph, checkpoint);
    RunMode::start_from(checkpoint, graph);
  }

  // The limit counts over restarts: a run that was done stays done.
  std::optional<StepLoopOptions> loop_options(const LoadedCheckpoint& start, const BuiltGraph& graph,
                                              int64_t global_step) override {
    const int64_t most = config_.max_number_of_steps;
    limit_ = most > 0 ? std::max<int64_t>(0, most - config_.cluster.steps_of_each(global_step)) : 0;
    // Started anew after the last step, the chief has yet to save it.
    const bool unsaved = lock_ && global_step > start.global_step;
    if (most > 0 && limit_ == 0 && !unsaved) {
      log_info(fmt::format(
          "nothing to train: the restored global step {} has reached max_number_of_steps {}; raise it, or use "
          "{}",
          global_step, most,
          start.resumed ? "another log_dir to start anew"
                        : "start from a checkpoint with checkpoint_path, which counts from 0"));
      return std::nullopt;
    }
    StepLoopOptions options = common_options(limit_, global_step);
    options.resumed = global_step > 0;
    options.first = global_step;
    options.samples = graph.samples_per_step * (cluster_ ? cluster_->processes() : 1);
    options.done = most > 0 && limit_ == 0;
    return options;
  }

  StepObservers observers(const RunParts& parts) override {
    StepObservers all;
    std::unique_ptr<CheckpointWriter> saving = checkpoint_writer(parts);
    CheckpointWriter* const writer = saving.get();
    const std::shared_ptr<SummaryWriter> events = summary_writer(parts);
    FetchPlan::Options plan = fetch_plan();
    plan.can_summarize = events != nullptr || may_stand_in();
    plan.summary_every = config_.save_summary_steps;
    add_trace(&all);
    all.push_back(std::make_unique<SavedCheck>(writer));
    all.push_back(std::make_unique<LossCheck>(parts.graph, writer));
    const MetricsObserver& metrics = add_metrics(&all, parts.graph, std::move(plan));
    const LogObserver* const log = config_.cluster.is_chief() ? &add_log(&all, metrics, parts.graph, limit_) : nullptr;
    std::function<std::optional<double>()> best;
    if (writer && !config_.keep_best.empty()) {
      auto monitored = std::make_unique<MonitoredMetric>(metrics, config_.keep_best);
      best = [mean = &monitored->mean()] { return mean->take(); };
      all.push_back(std::move(monitored));
    }
    if (events) all.push_back(std::make_unique<SummaryObserver>(parts.graph, *plan_, metrics, *log, events));
    if (may_stand_in()) add_stand_in_log(&all, parts, metrics);
    add_outputs(&all, parts.graph);
    const auto read = [&session = parts.session] { return session.read_variables(); };
    if (events && config_.save_histogram_steps > 0)
      all.push_back(std::make_unique<HistogramObserver>(config_.save_histogram_steps, read, events));
    add_hooks(&all, parts, HookState(hooks_, parts.session));
    if (saving)
      all.push_back(std::make_unique<CheckpointObserver>(save_options(parts, parts.global_step), std::move(saving),
                                                         read, std::move(best)));
    if (may_stand_in())
      all.push_back(stand_in([this, parts, read](const StepNumber& next) {
        return std::make_unique<CheckpointObserver>(save_options(parts, next.global), new_writer(parts), read, nullptr);
      }));
    return all;
  }

  void begin(const BuiltGraph& graph) override {
    if (lock_ && !graph.class_names.empty()) write_class_names(config_.log_dir, graph.class_names);
  }

 private:
  std::unique_ptr<CheckpointWriter> checkpoint_writer(const RunParts& parts) const {
    return lock_ ? new_writer(parts) : nullptr;
  }

  std::unique_ptr<CheckpointWriter> new_writer(const RunParts& parts) const {
    return std::make_unique<CheckpointWriter>(
        config_.log_dir, config_.keep_checkpoint_max,
        BestCheckpoint(config_.log_dir, config_.keep_best, config_.keep_best_mode), parts.weights, parts.start);
  }

  std::shared_ptr<SummaryWriter> summary_writer(const RunParts& parts) const {
    if (!lock_ || (config_.save_summary_steps == 0 && config_.save_histogram_steps == 0)) return nullptr;
    return new_events(parts, parts.global_step);
  }

  std::shared_ptr<SummaryWriter> new_events(const RunParts& parts, int64_t global_step) const {
    auto events = std::make_shared<SummaryWriter>(config_.log_dir);
    events->add_start(global_step);
    events->add_graph(parts.graph.graph);
    return events;
  }

  // The others go on without a chief that is lost: then the first of them logs and saves.
  bool may_stand_in() const {
    return !config_.cluster.is_chief() && !config_.log_dir.empty() && config_.cluster.min_workers > 0;
  }

  template <typename Make>
  std::unique_ptr<StepObserver> stand_in(Make make) const {
    return std::make_unique<StandIn>([cluster = cluster_] { return cluster->stands_in(); }, std::move(make));
  }

  // log.jsonl and events.
  void add_stand_in_log(StepObservers* all, const RunParts& parts, const MetricsObserver& metrics) {
    all->push_back(stand_in([this, parts, &metrics](const StepNumber&) {
      auto log = make_log(metrics, parts.graph, limit_);
      standing_in_ = log.get();
      return log;
    }));
    if (config_.save_summary_steps == 0) return;
    all->push_back(stand_in([this, parts, &metrics](const StepNumber& next) {
      return std::make_unique<SummaryObserver>(parts.graph, *plan_, metrics, *standing_in_,
                                               new_events(parts, next.global));
    }));
  }

  CheckpointObserver::Options save_options(const RunParts& parts, int64_t global_step) const {
    CheckpointObserver::Options options;
    options.every_secs = config_.save_model_secs;
    options.every_steps = config_.save_model_steps;
    options.global_step = parts.graph.global_step;
    options.first = global_step;
    options.unsaved = global_step > parts.start.global_step;
    return options;
  }

  const std::unique_ptr<Exchange> exchange_ =
      cluster_ ? cluster_->make_exchange() : std::make_unique<LocalExchange>(config_.sums, config_.devices);
  std::optional<LogDirLock> lock_;  // its holder is the one process that writes to log_dir
  int64_t limit_ = 0;               // steps of this run; 0: until the input ends
  const LogObserver* standing_in_ = nullptr;
};

}  // namespace

std::unique_ptr<RunMode> make_train_mode(RunConfig& config, const std::vector<HookGroup>& hooks, ClusterRun* cluster) {
  return std::make_unique<TrainMode>(config, hooks, cluster);
}

}  // namespace mox
