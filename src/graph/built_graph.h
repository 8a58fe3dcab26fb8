// What a front end (C++ scopes, or Python's tf.compat.v1) hands to the engine: a graph, and the names in it that
// matter.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/tensor_info.h"
#include "moxing/hooks.h"
#include "moxing/mode_keys.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

struct NamedTensor {
  std::string name;    // what the user calls it
  std::string tensor;  // "node:port"
};

struct VariableInfo {
  std::string name;         // in checkpoints
  std::string handle;       // node of the resource
  std::string initializer;  // op that assigns the initial value
  tensorflow::DataType dtype = tensorflow::DT_FLOAT;
  tensorflow::TensorShape shape;
  bool trainable = true;
  bool optional = false;  // a checkpoint may lack it: it gets its initial value
};

struct TowerInfo {
  std::vector<std::string> inputs;  // tensors: outputs of one op that takes the device's batch from the iterator
  std::vector<std::string> losses;  // tensors
  std::vector<NamedTensor> log_info, output_info;
  std::vector<std::shared_ptr<SessionRunHook>> hooks;  // their begin was called
};

// The graph of inter_mode, on the variables of the training graph and in the same GraphDef.
struct InterInfo {
  ModeKeys mode = ModeKeys::EVAL;
  std::vector<std::shared_ptr<SessionRunHook>> hooks;
  std::string restart_input;  // op that makes its iterator anew, with `feeds`
  Feeds feeds;
  std::vector<NamedTensor> log_info;
  std::string input;  // tensor: the first of its batch
};

struct ExportInfo {
  struct Signature {
    std::string name;
    std::vector<NamedTensor> inputs, outputs;
  };
  std::vector<Signature> signatures;  // the first is serving_default
  std::string version;
};

// The front end gives each variable an Identity, the slot, whose output the optimizer uses; the exchange of gradients
// rewires its input.
struct GradientSlot {
  std::string slot;  // node name of the Identity
  std::string variable;
  std::vector<std::string> tower_gradients;  // tensors, one a device that has a gradient for the variable
  int loss = 0;                              // which of the model's losses
  std::vector<std::string> joined;  // what the exchange gives: one tensor for all devices, or one a device, all alike
};

// One of several ways to do the same step, with the same numbers, which a run tries (run/step_trial.h). The graph has
// all of them; a step has one. See graph/step_variants.h.
struct StepVariant {
  std::string name;                             // for the log
  std::map<std::string, std::string> replaces;  // tensor of the first way -> what stands in its place
  std::map<std::string, std::string> nodes;     // node of the first way -> this one's; add_step_variants fills it
  std::vector<std::string> targets;             // operations that its steps also run
  std::vector<std::string> enter;               // operations that run before its first step
};

// What the loss scale works on.
struct ScaledGradients {
  std::string scale;                   // node name of the float scalar Const; "" when losses are not scaled
  std::vector<std::string> gradients;  // Identities of the raw gradients, on all devices
};

// A tower's input that is copied to its device ahead of the step, see passes/stage_input.h. Node names.
struct InputStage {
  std::string taken;    // runs when a step uses the batch
  std::string stage;    // stages the next batch, of the towers before this one too
  std::string advance;  // takes all of the batch and stages the next one, of the towers before this one too
};

struct BuiltGraph {
  ModeKeys mode = ModeKeys::TRAIN;
  tensorflow::GraphDef graph;
  std::vector<VariableInfo> variables;
  std::vector<TowerInfo> towers;
  std::vector<GradientSlot> gradients;
  ScaledGradients scaled_gradients;    // TRAIN
  std::vector<std::string> train_ops;  // ops of one step: updates of variables, moving averages, the global step
  std::map<std::string, std::string> fetchable;  // what to fetch in place of a tensor, see DynamicLossScale
  std::vector<StepVariant> variants;             // the first is the graph as it is; empty: there is one way
  std::vector<InputStage> stages;                // [tower]; empty: steps read the iterator
  std::string clear_stages;                      // operation that drops what is staged; "" without stages
  std::map<std::string, std::string> staged;     // a tensor of the iterator's -> what the step has in its place
  bool in_callers_thread = false;                // the step is so small that a pool of threads would cost more
  std::vector<std::string> model_updates;        // of the train ops those of model_fn: they move batch norm's averages
  std::string increment;                         // the train op that increments the global step, after the updates
  std::string global_step;                       // variable's name; "" when the graph has none
  std::vector<std::string> learning_rates;       // tensors, one an optimizer; empty when unknown
  std::vector<std::string> summaries;            // tensors of serialized Summary protos
  std::vector<std::string> initializers;         // run once with `feeds`: tables, iterators (after variables)
  std::string renew_copies;                      // operation: devices' copies become what the variables are; "": none
  Feeds feeds;
  std::vector<std::string> class_names;  // in label order, when the data set knows them
  int64_t samples_per_step = 0;          // over all devices of this process
  ExportInfo export_info;                // EXPORT
  std::optional<InterInfo> inter;        // only with inter_mode
  std::shared_ptr<void> hook_graph;      // keeps the tensors alive that C++ hooks hold
};

// Error when the graph has none.
const VariableInfo& global_step_variable(const BuiltGraph& graph);
// The operations that make the run's own iterators, not that of inter_mode.
std::vector<std::string> training_iterators(const BuiltGraph& graph);

}  // namespace mox
