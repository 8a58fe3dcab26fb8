#include <fmt/format.h>

#include <algorithm>

#include "exchange/local_exchange.h"
#include "moxing/class_names.h"
#include "moxing/log.h"
#include "run/best_checkpoint.h"
#include "run/checkpoint_state.h"
#include "run/epoch_clock.h"
#include "run/hook_state.h"
#include "run/input_continuation.h"
#include "run/learning_rate_factor.h"
#include "run/log_dir_lock.h"
#include "run/model_ema.h"
#include "run/moving_average_ramp.h"
#include "run/observers/checkpoint_observer.h"
#include "run/observers/loss_check.h"
#include "run/observers/stand_in.h"
#include "run/observers/summary_observer.h"
#include "run/observers/validation_observer.h"
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
    check_keep_best(graph, config_);
    if (config_.validates() && config_.cluster.is_chief()) monitored_metric(graph, config_);
    length_ = train_length(config_, graph);
    if (!config_.log_dir.empty() && config_.cluster.is_chief()) lock_.emplace(config_.log_dir);
  }

  void prepare(BuiltGraph* graph) override {
    if (config_.moving_average_ramp)
      ramp_moving_averages(graph);
    else
      warn_of_slow_averages(*graph);
    connect_gradients(graph, exchange_.get(),
                      {.loss_scale = config_.loss_scale,
                       .dynamic_loss_scale = config_.dynamic_loss_scale,
                       .loss_scale_growth_steps = config_.loss_scale_growth_steps,
                       .clip = config_.gradient_clip});
    if (config_.model_ema > 0) add_model_ema(graph, config_.model_ema);
    add_input_order(graph, cluster_ != nullptr);
    if (config_.validates()) add_validation_state(graph, config_);
    if (config_.validates() && config_.cluster.is_chief()) {
      add_validation(graph);
      if (config_.use_ema) validate_averages(graph);
      if (config_.model_ema > 0)
        log_info(config_.use_ema
                     ? "model_ema: the validation judges the averages"
                     : "model_ema: the validation judges the weights as they are; with use_ema the averages");
    }
    if (wants_learning_rate_factor(hooks_)) add_learning_rate_factor(graph);
    add_hook_state(graph, hooks_);
  }

  void place(BuiltGraph* graph) override { exchange_->place(graph); }

  void start_from(LoadedCheckpoint* checkpoint, BuiltGraph* graph) override {
    if (lock_) remove_leftovers(config_.log_dir);
    continue_input(graph, checkpoint);
    start_averages(*graph, checkpoint);
    if (!checkpoint->resumed)  // another training's
      for (const char* name : {kValidationState, kLearningRateFactor}) checkpoint->values.erase(name);
    if (!cluster_ && config_.validates()) look_whether_stopped(*checkpoint, *graph);
    RunMode::start_from(checkpoint, graph);
  }

  // The limit counts over restarts: a run that was done stays done.
  std::optional<StepLoopOptions> loop_options(const LoadedCheckpoint& start, const BuiltGraph& graph,
                                              int64_t global_step) override {
    const int64_t most = length_.steps;
    if (!stopped_.empty()) {
      log_info(
          fmt::format("nothing to train: early stopping ended this training ({}); raise early_stopping_patience {}, "
                      "or use another log_dir to start anew",
                      stopped_, config_.early_stopping_patience));
      return std::nullopt;
    }
    limit_ = most > 0 ? std::max<int64_t>(0, most - config_.cluster.steps_of_each(global_step)) : 0;
    // Started anew after the last step, the chief has yet to save it.
    const bool unsaved = lock_ && global_step > start.global_step;
    if (most > 0 && limit_ == 0 && !unsaved) {
      log_info(fmt::format("nothing to train: the restored global step {} has reached {} {}; raise it, or use {}",
                           global_step, length_.by, length_.text(config_),
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
    plan.log_always = config_.log_mean && config_.log_every_n_steps > 0 && config_.cluster.is_chief();
    add_trace(&all);
    all.push_back(std::make_unique<SavedCheck>(writer, !config_.cluster.is_chief()));
    all.push_back(std::make_unique<LossCheck>(parts.graph, writer, !config_.cluster.is_chief()));
    const MetricsObserver& metrics = add_metrics(&all, parts.graph, std::move(plan));
    LogObserver* const log = config_.cluster.is_chief() ? &add_log(&all, metrics, parts.graph, limit_) : nullptr;
    CheckpointObserver::Best best;
    if (config_.validates()) {
      all.push_back(std::make_unique<ValidationObserver>(config_, validation_parts(parts, log, writer)));
      auto* const validation = static_cast<ValidationObserver*>(all.back().get());
      if (!config_.keep_best.empty())
        best = {[validation] { return validation->checkpoint_value(); },
                [validation] { return validation->wants_checkpoint(); }};
    } else if (writer && !config_.keep_best.empty()) {
      auto monitored = std::make_unique<MonitoredMetric>(metrics, config_.keep_best);
      best.metric = [mean = &monitored->mean()] { return mean->take(); };
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
        return std::make_unique<CheckpointObserver>(save_options(parts, next.global), new_writer(parts), read,
                                                    CheckpointObserver::Best());
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
    return std::make_unique<CheckpointWriter>(config_.log_dir, config_.keep_checkpoint_max,
                                              BestCheckpoint(config_.log_dir, best_metric(), config_.keep_best_mode),
                                              parts.weights, parts.start);
  }

  // A value of a validation is none of the training's batches.
  std::string best_metric() const {
    return config_.validates() && !config_.keep_best.empty() ? kValidationPrefix + config_.keep_best
                                                             : config_.keep_best;
  }

  ValidationObserver::Parts validation_parts(const RunParts& parts, LogObserver* log, CheckpointWriter* writer) const {
    ValidationObserver::Parts result{parts.graph, parts.session, parts.watch, cluster_, log};
    result.writer = writer;
    if (lock_) result.events_dir = config_.log_dir + "/" + kValidationFolder;
    const bool each_counts = config_.cluster.has_servers() && !config_.cluster.sync_replicas;
    if (limit_ > 0 && !each_counts) result.last_step = parts.global_step + limit_;
    return result;
  }

  // A network that has learned, and knows nothing when it is evaluated.
  void warn_of_slow_averages(const BuiltGraph& graph) const {
    const double decay = slowest_average(graph);
    const int64_t needed = steps_of_average(decay);
    if (length_.steps == 0 || needed <= length_.steps) return;
    log_warning(fmt::format(
        "moving averages of batch norm have the decay {:.4g}, which needs some {} steps, but {} are planned: "
        "evaluated, this "
        "network will not be what it has learned; give it batch_norm_decay={:.4g}, or the run moving_average_ramp=true",
        decay, needed, length_.steps, decay_for(length_.steps)));
  }

  // A training that early stopping ended stays ended.
  void look_whether_stopped(const LoadedCheckpoint& checkpoint, const BuiltGraph& graph) {
    const auto found = checkpoint.values.find(kValidationState);
    if (!checkpoint.resumed || found == checkpoint.values.end()) return;
    ValidationJudge judge(judge_options(config_, monitored_metric(graph, config_)));
    const double* data = found->second.flat<double>().data();
    judge.restore({data, data + found->second.NumElements()});
    if (judge.stopped()) stopped_ = judge.text();
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
  TrainLength length_;
  std::string stopped_;  // what early stopping said of a training that goes on, "": it did not stop
  const LogObserver* standing_in_ = nullptr;
};

}  // namespace

std::unique_ptr<RunMode> make_train_mode(RunConfig& config, const std::vector<HookGroup>& hooks, ClusterRun* cluster) {
  return std::make_unique<TrainMode>(config, hooks, cluster);
}

}  // namespace mox
