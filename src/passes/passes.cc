#include "passes/passes.h"

#include "graph/variable_pieces.h"
#include "input/input_options.h"
#include "input/share_input.h"
#include "input/stateless_input.h"
#include "passes/callers_thread.h"
#include "passes/check_labels.h"
#include "passes/constant_filters.h"
#include "passes/decayed_updates.h"
#include "passes/dense_convolutions.h"
#include "passes/depthwise_precision.h"
#include "passes/early_gradients.h"
#include "passes/explicit_padding.h"
#include "passes/fast_convolutions.h"
#include "passes/fast_pools.h"
#include "passes/fold_batch_norm.h"
#include "passes/fuse_augment.h"
#include "passes/fuse_batch_norm.h"
#include "passes/grouped_convolutions.h"
#include "passes/half_precision.h"
#include "passes/join_pieces.h"
#include "passes/late_weight_decay.h"
#include "passes/matmul_layout.h"
#include "passes/narrow_convolutions.h"
#include "passes/norm_in_convolutions.h"
#include "passes/norm_of_input.h"
#include "passes/place_on_devices.h"
#include "passes/product_updates.h"
#include "passes/relu_gradients.h"
#include "passes/stage_input.h"
#include "passes/stateless_random.h"
#include "passes/update_in_place.h"
#include "tensorflow/core/platform/cpu_info.h"

namespace mox {
namespace {

void share_input(BuiltGraph* graph) {
  const ShareOptions options{training_iterators(*graph),
                             graph->samples_per_step / static_cast<int64_t>(graph->towers.size()),
                             graph->mode != ModeKeys::TRAIN};
  for (auto& feed : share_input(&graph->graph, options)) graph->feeds.push_back(std::move(feed));
}

StatelessRandomOptions random_options(const BuiltGraph& graph, int64_t worker) {
  StatelessRandomOptions options{"", graph.increment, {}, worker, graph.scaled_gradients.gradients};
  for (const TowerInfo& tower : graph.towers)
    options.of_worker.insert(options.of_worker.end(), tower.losses.begin(), tower.losses.end());
  for (const VariableInfo& variable : graph.variables) {
    if (variable.name == graph.global_step) options.global_step = variable.handle;
    options.initializers.push_back(variable.initializer);
  }
  return options;
}

void rewrite_matmuls(BuiltGraph* graph) {
  std::map<std::string, tensorflow::TensorShape> shapes;
  const std::vector<Piece> pieces = pieces_of(graph->variables);
  for (size_t v = 0; v < pieces.size(); ++v)
    shapes[graph->variables[v].handle] = whole_shape(graph->variables[v], pieces[v].count);
  rewrite_transposed_matmuls(&graph->graph, shapes, graph->samples_per_step / graph->towers.size());
}

// Devices of one process compute side by side, whoever is first.
void order_gradients(BuiltGraph* graph, int64_t threads) {
  if (graph->towers.size() != 1) return;
  std::vector<std::string> gradients;
  for (const GradientSlot& slot : graph->gradients) gradients.push_back(slot.tower_gradients[0]);
  if (threads == 0) threads = tensorflow::port::MaxParallelism();
  finish_gradients_early(&graph->graph, gradients, graph->in_callers_thread ? 1 : threads);
}

bool runs_in(ModeKeys mode, In in) {
  if (mode == ModeKeys::TRAIN) return in != In::kEvalAndPredict;
  return in == In::kAnyMode || in == In::kEvalAndPredict || (in == In::kTrainAndEval && mode == ModeKeys::EVAL);
}

}  // namespace

const std::vector<Pass>& passes() {
  using G = BuiltGraph;
  using C = PassContext;
  static const std::vector<Pass>* list = new std::vector<Pass>{
      // Before all that looks for variables, and all that takes long in large graphs. Exchanges know each gradient by its
      // variable.
      {"join_pieces", In::kTrain, Fits::kCpu,
       [](G* g, const C& c) {
         if (!c.several_workers && g->towers.size() == 1) join_pieces(g);
       }},
      // What must be right, before nodes change their kinds: these look for cross entropies, maps and random
      // operations.
      {"check_labels", In::kTrainAndEval, Fits::kAnyDevice, [](G* g, const C&) { check_labels(&g->graph); }},
      {"end_only_with_the_data", In::kAnyMode, Fits::kAnyDevice,
       [](G* g, const C&) { end_only_with_the_data(&g->graph); }},
      // Before random operations change their kinds.
      {"fuse_augmentation", In::kAnyMode, Fits::kAnyDevice, [](G* g, const C&) { fuse_augmentation(&g->graph); }},
      {"stateless_input", In::kTrain, Fits::kAnyDevice,
       [](G* g, const C&) { make_input_stateless(&g->graph, training_iterators(*g)); }},
      {"stateless_random", In::kTrain, Fits::kAnyDevice,
       [](G* g, const C& c) { make_random_ops_stateless(&g->graph, random_options(*g, c.worker)); }},
      // After stateless_input: a share that is dealt out of a user's data set is no place in it.
      {"share_input", In::kAnyMode, Fits::kAnyDevice,
       [](G* g, const C& c) {
         if (c.several_workers) share_input(g);
       }},
      // What changes the cost of a step, not what it computes. Those for CPUs are about oneDNN's and our own kernels.
      // In half precision casts are between the pieces.
      {"grouped_convolutions", In::kAnyMode, Fits::kCpu,
       [](G* g, const C& c) {
         if (!c.half_precision) join_grouped_convolutions(&g->graph);
       }},
      // Before matmul_layout, which looks for products.
      {"dense_convolutions", In::kAnyMode, Fits::kCpu,
       [](G* g, const C&) { make_dense_convolutions_products(&g->graph); }},
      {"fold_batch_norm", In::kEvalAndPredict, Fits::kCpu, [](G* g, const C&) { fold_batch_norm(g); }},
      // Other processes may assign to what is read here.
      {"constant_filters", In::kEvalAndPredict, Fits::kCpu,
       [](G* g, const C& c) {
         if (!c.several_workers) mark_constant_filters(g);
       }},
      {"matmul_layout", In::kTrain, Fits::kCpu, [](G* g, const C&) { rewrite_matmuls(g); }},
      {"fuse_batch_norm", In::kTrain, Fits::kCpu,
       [](G* g, const C& c) {
         if (c.half_precision) return;
         fuse_batch_norm(&g->graph);
         take_lone_batch_norms(&g->graph);
       }},
      // After fuse_batch_norm, which looks for gradients as they were made.
      {"relu_gradients", In::kTrain, Fits::kAnyDevice,
       [](G* g, const C&) { take_relu_gradients_of_outputs(&g->graph); }},
      {"depthwise_precision", In::kTrain, Fits::kCpu, [](G* g, const C&) { widen_depthwise_gradients(&g->graph); }},
      {"narrow_convolutions", In::kTrain, Fits::kCpu,
       [](G* g, const C&) {
         if (!tensorflow::port::TestCPUFeature(tensorflow::port::AMX_BF16)) widen_narrow_convolutions(&g->graph);
       }},
      {"late_weight_decay", In::kTrain, Fits::kAnyDevice, [](G* g, const C&) { delay_weight_decay(&g->graph); }},
      {"decayed_updates", In::kTrain, Fits::kCpu, [](G* g, const C&) {
         std::set<std::string> initializers;
         for (const VariableInfo& variable : g->variables) initializers.insert(node_of(variable.initializer));
         join_weight_decay(&g->graph, initializers);
       }},
      // After all that looks for products, or for decayed updates.
      {"product_updates", In::kTrain, Fits::kCpu, [](G* g, const C&) { join_products_with_updates(&g->graph); }},
      // A GPU's step waits for the GPU, not for threads.
      {"training_step", In::kTrain, Fits::kCpu,
       [](G* g, const C& c) {
         // Other workers' gradients come and go beside what a large step computes.
         if (!c.threads_chosen) run_training_step_in_callers_thread(g, c.several_workers ? 1 : c.operation_threads);
       }},
      {"forward_step", In::kEvalAndPredict, Fits::kCpu,
       [](G* g, const C& c) {
         if (!c.threads_chosen && !c.several_workers) run_forward_step_in_callers_thread(g);
       }},
      // After what looks for convolutions and products of float32.
      {"half_precision", In::kAnyMode, Fits::kAnyDevice,
       [](G* g, const C& c) {
         if (c.half_precision) compute_in_half_precision(&g->graph);
       }},
      // Before fast_convolutions, which computes what it makes; after what chooses types, as that.
      {"explicit_padding", In::kTrain, Fits::kCpu, [](G* g, const C&) { pad_in_convolutions(&g->graph); }},
      // After what looks for convolutions, their biases or ReLUs, and after what chooses their types.
      {"fast_convolutions", In::kAnyMode, Fits::kCpu, [](G* g, const C&) { make_convolutions_fast(&g->graph); }},
      // After what puts in our batch norms and convolutions.
      {"norm_in_convolutions", In::kTrain, Fits::kCpu,
       [](G* g, const C&) {
         compute_norms_in_convolutions(&g->graph);
         normalize_where_read(&g->graph);
       }},
      // After what looks for poolings and for gradients of ReLUs.
      {"fast_pools", In::kTrain, Fits::kCpu, [](G* g, const C&) { make_pools_fast(&g->graph); }},
      // After what makes new readers of variables, or takes some away: an update that waits for an operation whose work
      // another one does has it run beside that.
      {"update_in_place", In::kTrain, Fits::kCpu, [](G* g, const C&) { update_variables_in_place(g); }},
      // After all that adds to gradients.
      {"early_gradients", In::kTrain, Fits::kCpu,
       [](G* g, const C& c) {
         if (c.several_workers) order_gradients(g, c.threads);
       }},
      // After all that reads the input and what says of it how many samples it has.
      {"stage_input", In::kAnyMode, Fits::kGpu,
       [](G* g, const C& c) {
         // An evaluation on several devices feeds their batches, see run/tower_inputs.h.
         if (g->mode == ModeKeys::TRAIN || g->towers.size() == 1) stage_input(g, c.devices);
       }},
      // After all that adds nodes.
      {"place_on_devices", In::kAnyMode, Fits::kGpu, [](G* g, const C& c) { place_on_devices(g, c.devices); }},
  };
  return *list;
}

void run_passes(BuiltGraph* graph, const PassContext& context) {
  for (const Pass& pass : passes())
    if (runs_in(graph->mode, pass.in) &&
        (pass.fits == Fits::kAnyDevice || (pass.fits == Fits::kGpu) == context.devices.on_gpus()))
      pass.run(graph, context);
}

}  // namespace mox
