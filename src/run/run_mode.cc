#include "run/run_mode.h"

#include "moxing/error.h"
#include "run/hook_runner.h"
#include "run/hook_state.h"
#include "run/observers/output_observer.h"
#include "run/observers/trace_observer.h"

namespace mox {

RunMode::~RunMode() = default;

std::unique_ptr<RunMode> make_run_mode(ModeKeys mode, RunConfig& config, const std::vector<HookGroup>& hooks,
                                       ClusterRun* cluster) {
  switch (mode) {
    case ModeKeys::TRAIN:
      return make_train_mode(config, hooks, cluster);
    case ModeKeys::EVAL:
      return make_eval_mode(config, hooks, cluster);
    case ModeKeys::PREDICT:
      return make_predict_mode(config, hooks, cluster);
    case ModeKeys::EXPORT:
      break;
  }
  throw InvalidArgumentError("a run has no mode EXPORT");
}

void RunMode::start_from(LoadedCheckpoint* checkpoint, BuiltGraph*) {
  if (!checkpoint->resumed) forget_hook_state(checkpoint);
}

StepLoopOptions RunMode::common_options(int64_t limit, int64_t global_step) const {
  StepLoopOptions options;
  options.limit = limit;
  options.global_step = global_step;
  options.batch_size = config_.batch_size;
  return options;
}

FetchPlan::Options RunMode::fetch_plan() const {
  FetchPlan::Options plan;
  plan.log_every = config_.log_every_n_steps;
  plan.can_output = config_.output_fn != nullptr;
  plan.output_always = config_.output_every_n_steps > 0;
  plan.strategy = config_.fetch_strategy_fn;
  return plan;
}

void RunMode::add_trace(StepObservers* all) const {
  if (config_.trace_step >= 0 && config_.cluster.is_chief())
    all->push_back(std::make_unique<TraceObserver>(config_.trace_step, config_.log_dir));
}

MetricsObserver& RunMode::add_metrics(StepObservers* all, const BuiltGraph& graph, FetchPlan::Options plan) {
  plan_.emplace(std::move(plan));
  const bool mean = config_.log_mean && graph.mode == ModeKeys::TRAIN;
  auto metrics = std::make_unique<MetricsObserver>(graph, *plan_, config_.log_first_clone, mean);
  MetricsObserver& added = *metrics;
  all->push_back(std::move(metrics));
  return added;
}

std::unique_ptr<LogObserver> RunMode::make_log(const MetricsObserver& metrics, const BuiltGraph& graph, int64_t limit) {
  LogObserver::Options options;
  options.samples_per_step = graph.samples_per_step;
  options.workers = [this]() -> int64_t { return cluster_ ? cluster_->taking_part() : 1; };
  const bool is_short = config_.log_format == "short" && graph.mode == ModeKeys::TRAIN;
  if (is_short && !graph.learning_rates.empty()) options.learning_rate = graph.learning_rates[0];
  const EpochClock clock = graph.mode == ModeKeys::TRAIN ? EpochClock(config_, graph) : EpochClock(0, 0);
  const auto workers = static_cast<int64_t>(std::max<size_t>(1, config_.cluster.worker_hosts.size()));
  options.logger = {config_.log_dir, limit, is_short, clock, graph.samples_per_step * workers};
  if (graph.mode != ModeKeys::TRAIN) {
    const EpochClock epochs(config_, graph);
    if (limit == 0 && epochs.knows()) options.logger.total_steps = epochs.steps(1);
  }
  return std::make_unique<LogObserver>(metrics, *plan_, options);
}

LogObserver& RunMode::add_log(StepObservers* all, const MetricsObserver& metrics, const BuiltGraph& graph,
                              int64_t limit) {
  auto log = make_log(metrics, graph, limit);
  LogObserver& added = *log;
  all->push_back(std::move(log));
  return added;
}

void RunMode::add_outputs(StepObservers* all, const BuiltGraph& graph) {
  if (!config_.output_fn) return;
  OutputObserver::Gather gather;
  const bool joined = cluster_ && graph.mode != ModeKeys::TRAIN;
  if (joined) gather = [this](const std::string& mine) { return cluster_->gather(mine); };
  all->push_back(std::make_unique<OutputObserver>(graph, *plan_,
                                                  joined && !cluster_->is_chief() ? OutputFn() : config_.output_fn,
                                                  config_.output_every_n_steps, std::move(gather)));
}

void RunMode::add_hooks(StepObservers* all, const RunParts& parts, std::optional<HookState> state) const {
  if (!hooks_.empty())
    all->push_back(std::make_unique<HookRunner>(parts.graph, hooks_, parts.session, parts.watch, std::move(state)));
}

}  // namespace mox
