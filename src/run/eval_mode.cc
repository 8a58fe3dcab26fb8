// EVAL and PREDICT: steps that train nothing.
#include <fmt/format.h>

#include "moxing/log.h"
#include "run/run_mode.h"

namespace mox {
namespace {

class ForwardMode : public RunMode {
 public:
  using RunMode::RunMode;

  void prepare(BuiltGraph* graph) override {
    if (graph->towers.size() > 1) detach_tower_inputs(graph);
  }

  std::optional<StepLoopOptions> loop_options(const LoadedCheckpoint&, const BuiltGraph& graph,
                                              int64_t global_step) override {
    StepLoopOptions options = common_options(config_.max_number_of_steps, global_step);
    options.inputs_one_by_one = graph.towers.size() > 1;
    options.resumed = cluster_ != nullptr;  // one that has nothing to do has the others' results
    return options;
  }

  void end(const LoadedCheckpoint& start, RunResult* result) override { result->checkpoint = start.prefix; }
};

class EvalMode : public ForwardMode {
 public:
  using ForwardMode::ForwardMode;

  StepObservers observers(const RunParts& parts) override {
    StepObservers all;
    FetchPlan::Options plan = fetch_plan();
    plan.log_always = true;  // for the means
    add_trace(&all);
    const MetricsObserver& metrics = add_metrics(&all, parts.graph, std::move(plan));
    if (config_.cluster.is_chief()) add_log(&all, metrics, parts.graph, config_.max_number_of_steps);
    add_outputs(&all, parts.graph);
    MeanMetrics::Sum sum;
    if (cluster_) sum = [this](std::vector<double>* values) { cluster_->sum(values); };
    all.push_back(std::make_unique<MeanMetrics>(metrics, std::move(sum)));
    add_hooks(&all, parts, std::nullopt);
    return all;
  }

  void end(const LoadedCheckpoint& start, RunResult* result) override {
    ForwardMode::end(start, result);
    std::string line = fmt::format("[Evaluation] steps: {}(global step: {})", result->steps, result->global_step);
    for (const auto& [name, value] : result->metrics) line += fmt::format("\t{}: {:.3f}", name, value);
    log_info(line);
  }
};

class PredictMode : public ForwardMode {
 public:
  using ForwardMode::ForwardMode;

  StepObservers observers(const RunParts& parts) override {
    StepObservers all;
    FetchPlan::Options plan = fetch_plan();
    plan.output_always = true;
    add_trace(&all);
    const MetricsObserver& metrics = add_metrics(&all, parts.graph, std::move(plan));
    if (config_.cluster.is_chief()) add_log(&all, metrics, parts.graph, config_.max_number_of_steps);
    add_outputs(&all, parts.graph);
    add_hooks(&all, parts, std::nullopt);
    return all;
  }
};

}  // namespace

std::unique_ptr<RunMode> make_eval_mode(RunConfig& config, const std::vector<HookGroup>& hooks, ClusterRun* cluster) {
  return std::make_unique<EvalMode>(config, hooks, cluster);
}

std::unique_ptr<RunMode> make_predict_mode(RunConfig& config, const std::vector<HookGroup>& hooks,
                                           ClusterRun* cluster) {
  return std::make_unique<PredictMode>(config, hooks, cluster);
}

}  // namespace mox
