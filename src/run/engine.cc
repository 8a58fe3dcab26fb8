#include "run/engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "input/input_options.h"
#include "input/stateless_input.h"
#include "moxing/class_names.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "passes/check_labels.h"
#include "passes/depthwise_precision.h"
#include "passes/fuse_batch_norm.h"
#include "passes/half_precision.h"
#include "passes/late_weight_decay.h"
#include "passes/matmul_layout.h"
#include "passes/stateless_random.h"
#include "run/best_checkpoint.h"
#include "run/checkpoint_loader.h"
#include "run/checkpoint_state.h"
#include "run/engine_session.h"
#include "run/export_folder.h"
#include "run/exporter.h"
#include "run/hook_state.h"
#include "run/input_continuation.h"
#include "run/learning_rate_factor.h"
#include "run/log_dir_lock.h"
#include "run/run_classes.h"
#include "run/signals.h"
#include "run/start_up_memory.h"
#include "run/step_loop.h"
#include "run/tower_inputs.h"

namespace mox {
namespace {

// The limit counts over restarts: a run that was done stays done.
bool already_done(const RunConfig& config, int64_t global_step, bool resumed) {
  if (config.run_mode != ModeKeys::TRAIN || config.max_number_of_steps <= 0 || global_step < config.max_number_of_steps)
    return false;
  log_info(fmt::format(
      "nothing to train: the restored global step {} has reached max_number_of_steps {}; raise it, or use "
      "{}",
      global_step, config.max_number_of_steps,
      resumed ? "another log_dir to start anew" : "--checkpoint_exclude_patterns=global_step to count from 0"));
  return true;
}

// A step of a few small operations: threads that hand them to each other cost more than they bring.
bool is_small_step(const BuiltGraph& graph) {
  constexpr int64_t kSmall = 1 << 24;  // products of a weight and a sample: below a millisecond of one core
  int64_t weights = 0;
  for (const VariableInfo& variable : graph.variables)
    weights += variable.trainable ? variable.shape.num_elements() : 0;
  if (weights * graph.samples_per_step > kSmall || graph.towers.size() > 1) return false;
  const auto& nodes = graph.graph.node();  // a convolution uses a weight many times a sample
  return std::none_of(nodes.begin(), nodes.end(),
                      [](const tensorflow::NodeDef& n) { return n.op().find("Conv") != std::string::npos; });
}

std::string handle_of(const BuiltGraph& graph, const std::string& name) {
  for (const VariableInfo& variable : graph.variables)
    if (variable.name == name) return variable.handle;
  throw Error("the graph has no variable '" + name + "'");
}

// What changes the cost of a step in time or memory, not what it computes.
void speed_up(BuiltGraph* graph, RunConfig* config) {
  std::map<std::string, tensorflow::TensorShape> shapes;
  for (const VariableInfo& variable : graph->variables) shapes[variable.handle] = variable.shape;
  rewrite_transposed_matmuls(&graph->graph, shapes, graph->samples_per_step / graph->towers.size());
  if (!config->use_fp16) fuse_batch_norm(&graph->graph);
  widen_depthwise_gradients(&graph->graph);
  delay_weight_decay(&graph->graph);
  if (config->num_inter_threads == 0 && is_small_step(*graph) && give_input_own_threads(&graph->graph))
    config->num_inter_threads = kCallersThread;
}

bool wants_learning_rate_factor(const std::vector<HookGroup>& hooks) {
  return std::any_of(hooks.begin(), hooks.end(), [](const HookGroup& group) {
    return dynamic_cast<const PlateauLREarlyStoppingHook*>(group[0].get()) != nullptr;
  });
}

StatelessRandomOptions random_options(const BuiltGraph& graph) {
  StatelessRandomOptions options{handle_of(graph, graph.global_step), graph.increment, {}};
  for (const VariableInfo& variable : graph.variables) options.initializers.push_back(variable.initializer);
  return options;
}

// The training's own iterators.
std::vector<std::string> training_iterators(const BuiltGraph& graph) {
  std::vector<std::string> found;
  for (const tensorflow::NodeDef& node : graph.graph.node())
    if (node.op() == "MakeIterator" && (!graph.inter || node.name() != graph.inter->restart_input))
      found.push_back(node.name());
  return found;
}

// From each device's raw gradients to what the optimizer applies.
void connect_gradients(BuiltGraph* graph, const RunConfig& config) {
  if (config.dynamic_loss_scale) {
    const DynamicLossScaleOptions options{.growth_steps = config.loss_scale_growth_steps,
                                          .global_step = handle_of(*graph, graph->global_step),
                                          .increment = graph->increment};
    DynamicLossScale added =
        make_loss_scale_dynamic(&graph->graph, graph->scaled_gradients, options, &graph->train_ops);
    graph->fetchable = std::move(added.fetchable);
    for (const AddedVariable& v : added.variables)
      graph->variables.push_back({v.name, v.name, v.initializer, v.dtype, {}, false, true});
  } else if (config.loss_scale != 1) {
    unscale_gradients(&graph->graph, graph->scaled_gradients, config.loss_scale);
  }
  join_gradients(&graph->graph, graph->gradients, {.num_towers = static_cast<int>(graph->towers.size())});
  clip_gradients(&graph->graph, graph->gradients, config.gradient_clip);
}

void print_evaluation(const RunResult& result) {
  std::string line = fmt::format("[Evaluation] steps: {}(global step: {})", result.steps, result.global_step);
  for (const auto& [name, value] : result.metrics) line += fmt::format("\t{}: {:.3f}", name, value);
  log_info(line);
}

void export_after_run(const BuiltGraph& graph, const std::string& log_dir, EngineSession& session, RunResult* result) {
  if (result->interrupted) {
    log_warning("the run was interrupted: no model is exported");
    return;
  }
  result->export_dir = export_saved_model(graph, session.read_variables(), log_dir);
  log_info("exported the model to " + result->export_dir);
}

}  // namespace

RunResult run_built_graph(BuiltGraph graph, std::optional<BuiltGraph> export_graph, RunConfig config) {
  if (export_graph) check_export_dir(config.log_dir, export_graph->export_info.version);
  const std::vector<HookGroup> hooks = group_hooks(graph);
  std::optional<LogDirLock> lock;
  if (config.run_mode == ModeKeys::TRAIN && !config.log_dir.empty()) lock.emplace(config.log_dir);
  check_keep_best(graph, config);
  SignalGuard signals;
  if (config.run_mode == ModeKeys::TRAIN || config.run_mode == ModeKeys::EVAL) check_labels(&graph.graph);
  end_only_with_the_data(&graph.graph);
  if (config.run_mode == ModeKeys::TRAIN) {
    connect_gradients(&graph, config);
    add_input_order(&graph);
    make_input_stateless(&graph.graph, training_iterators(graph));
    make_random_ops_stateless(&graph.graph, random_options(graph));
    speed_up(&graph, &config);
  }
  if (config.use_fp16) compute_in_half_precision(&graph.graph);
  if (takes_inputs_one_by_one(graph)) detach_tower_inputs(&graph);
  if (wants_learning_rate_factor(hooks)) add_learning_rate_factor(&graph);
  if (config.run_mode == ModeKeys::TRAIN) add_hook_state(&graph, hooks);
  check_run_classes(graph, config);  // before a number of classes that does not fit is found
  const FiniteWeights weights(graph);
  LoadedCheckpoint checkpoint = load_checkpoint(graph.variables, weights, config);
  if (lock) remove_leftovers(config.log_dir);
  if (config.run_mode == ModeKeys::TRAIN) continue_input(&graph, &checkpoint);
  if (!checkpoint.resumed) forget_hook_state(&checkpoint);
  EngineSession session(graph, config);
  session.initialize(checkpoint);
  checkpoint.values.clear();  // the variables hold them
  graph.feeds.clear();        // the data sets hold what was fed
  const int64_t first_global_step = graph.global_step.empty() ? checkpoint.global_step : session.global_step();
  std::optional<StepLoop> loop;
  if (!already_done(config, first_global_step, checkpoint.resumed)) {
    loop.emplace(graph, config, hooks, session, checkpoint, weights, first_global_step);
    loop->prepare_first();
  }
  release_start_up_memory();
  RunResult result;
  result.global_step = first_global_step;
  result.checkpoint = checkpoint.prefix;
  if (config.run_mode == ModeKeys::TRAIN && !graph.class_names.empty() && !config.log_dir.empty())
    write_class_names(config.log_dir, graph.class_names);
  if (config.begin_fn) config.begin_fn();
  if (loop) {
    result = loop->run();
    if (config.run_mode != ModeKeys::TRAIN) result.checkpoint = checkpoint.prefix;
    loop.reset();  // closes its files
  }
  if (config.run_mode == ModeKeys::EVAL) print_evaluation(result);
  if (export_graph) export_after_run(*export_graph, config.log_dir, session, &result);
  return result;
}

}  // namespace mox
