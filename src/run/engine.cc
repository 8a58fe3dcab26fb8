#include "run/engine.h"

#include "cluster/socket.h"
#include "moxing/log.h"
#include "passes/passes.h"
#include "run/checkpoint_loader.h"
#include "run/cluster_run.h"
#include "run/engine_session.h"
#include "run/export_folder.h"
#include "run/exporter.h"
#include "run/input_continuation.h"
#include "run/model_ema.h"
#include "run/run_classes.h"
#include "run/run_mode.h"
#include "run/sample_count.h"
#include "run/signals.h"
#include "run/start_up_memory.h"
#include "run/step_loop.h"

namespace mox {
namespace {

void export_after_run(const BuiltGraph& graph, const RunConfig& config, EngineSession& session, RunResult* result) {
  if (result->interrupted) {
    log_warning("the run was interrupted: no model is exported");
    return;
  }
  NamedValues values = session.read_variables();
  if (config.run_mode == ModeKeys::TRAIN && config.use_ema) values = with_averages(std::move(values));
  result->export_dir = export_saved_model(graph, values, config.log_dir);
  log_info("exported the model to " + result->export_dir);
}

// From the restored variables to the last step.
RunResult run_steps(RunMode& mode, const RunConfig& config, const RunParts& parts) {
  std::optional<StepLoop> loop;
  if (std::optional<StepLoopOptions> options = mode.loop_options(parts.start, parts.graph, parts.global_step)) {
    options->peers = parts.cluster;
    loop.emplace(parts.graph, parts.session, parts.watch, *options, mode.observers(parts));
    loop->prepare_first();
  }
  release_start_up_memory();
  mode.begin(parts.graph);
  if (config.begin_fn && config.cluster.is_chief()) config.begin_fn();
  if (loop) return loop->run();
  RunResult result;
  result.global_step = parts.global_step;
  result.checkpoint = parts.start.prefix;
  return result;
}

// What has the state of a training: the chief loads it, the others get it from there.
LoadedCheckpoint load(BuiltGraph* graph, RunMode* mode, const FiniteWeights& weights, const RunConfig& config) {
  LoadedCheckpoint checkpoint;
  if (config.cluster.is_chief()) checkpoint = load_checkpoint(graph->variables, weights, config);
  mode->start_from(&checkpoint, graph);
  return checkpoint;
}

// What is there now, while the run goes on.
LoadedCheckpoint load_again(BuiltGraph* graph, const FiniteWeights& weights, const RunConfig& config) {
  LoadedCheckpoint checkpoint = load_checkpoint(graph->variables, weights, config);
  continue_input(graph, &checkpoint);
  return checkpoint;
}

// The session is made, variables get their values, the input begins. Returns the global step.
int64_t start(ClusterRun* cluster, const RunConfig& config, BuiltGraph* graph, EngineSession* session,
              const LoadedCheckpoint& checkpoint) {
  if (cluster) return cluster->start(session, checkpoint);
  session->reopen([&] { return SessionFactory(config); });
  session->initialize(checkpoint);
  session->start_input();
  graph->feeds.clear();  // the data sets hold what was fed
  return graph->global_step.empty() ? checkpoint.global_step : session->global_step();
}

RunResult run_with(ClusterRun* cluster, BuiltGraph graph, const std::optional<BuiltGraph>& export_graph,
                   RunConfig& config) {
  const std::vector<HookGroup> hooks = group_hooks(graph);
  const std::unique_ptr<RunMode> mode = make_run_mode(graph.mode, config, hooks, cluster);
  mode->check(graph);
  mode->prepare(&graph);
  add_step_samples(&graph);
  const bool threads_chosen = config.num_inter_threads != 0 || config.devices.is_in_cluster();
  run_passes(&graph, {config.devices, config.use_fp16, threads_chosen, cluster != nullptr, config.cluster.task_index,
                      config.num_inter_threads, config.operation_threads()});
  if (graph.in_callers_thread) config.num_inter_threads = kCallersThread;
  check_run_classes(graph, config);  // before a number of classes that does not fit is found
  const FiniteWeights weights(graph);
  mode->place(&graph);
  if (cluster) cluster->prepare(&graph, [&] { return load_again(&graph, weights, config); });
  LoadedCheckpoint checkpoint = load(&graph, mode.get(), weights, config);
  EngineSession session(graph, config.devices);
  const int64_t global_step = start(cluster, config, &graph, &session, checkpoint);
  checkpoint.values.clear();  // the variables hold them
  RunResult result;
  {
    StepWatch watch(graph, session, config.stall_report_secs.value_or(0), cluster);
    result = run_steps(*mode, config, {graph, session, watch, checkpoint, weights, global_step, cluster});
    if (cluster && !result.interrupted) cluster->finish(result.global_step);
  }
  mode->end(checkpoint, &result);
  if (export_graph && config.cluster.is_chief()) export_after_run(*export_graph, config, session, &result);
  return result;
}

}  // namespace

RunResult run_built_graph(BuiltGraph graph, std::optional<BuiltGraph> export_graph, RunConfig config) {
  if (export_graph && config.cluster.is_chief()) check_export_dir(config.log_dir, export_graph->export_info.version);
  const SignalGuard signals;
  const std::unique_ptr<ClusterRun> cluster = ClusterRun::of(config);
  try {
    return run_with(cluster.get(), std::move(graph), export_graph, config);
  } catch (const cluster::Interrupted& e) {  // before the first step, or between two
    cluster->leave(e.what());
    if (SignalGuard::received() == 0) throw;
    log_warning(e.what());
    RunResult result;
    result.interrupted = true;
    return result;
  } catch (const std::exception& e) {
    if (cluster) cluster->leave(e.what());
    throw;
  }
}

}  // namespace mox
