// What both front ends do alike. A front end calls the user's functions, names the tensors that it gets and computes
// the gradients; the assembly checks what was returned, says where things go, and gathers the BuiltGraph.
//
// In this order: add_input, place_input; add_tower, and in TRAIN trained and add_gradients for each loss, for each
// device; add_slots for each loss and add_training in TRAIN; add_inter with an inter_mode; finish.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "graph/built_graph.h"
#include "input/lift_input.h"
#include "moxing/export.h"
#include "run/language.h"
#include "run/returned.h"
#include "run/run_config.h"

namespace mox {

// Where what a function of the user builds goes.
struct GraphPlace {
  std::string name_scope;         // "": none
  std::string device;             // "": where TensorFlow wants
  bool reuses_variables = false;  // those of the first device
};

// What model_fn built for one device, beside its ModelSpec.
struct BuiltTower {
  std::vector<std::string> inputs;  // tensors, in input_fn's order
  std::vector<std::shared_ptr<SessionRunHook>> hooks;
  std::vector<std::string> summaries;   // tensors that this device added to the collection
  std::vector<std::string> update_ops;  // operations: moving averages
};

// A gradient for a variable on one device.
struct NamedGradient {
  std::string variable, tensor;
};
using NamedGradients = std::vector<NamedGradient>;

// What is built once for all devices in TRAIN, after the slots.
struct BuiltTraining {
  std::string global_step;                  // the variable's name
  std::vector<std::string> updates;         // operations of the optimizers
  std::string increment;                    // operation: the global step's, after the updates
  std::vector<std::string> learning_rates;  // tensors, as far as they are known
  std::vector<std::string> summaries;       // tensors that the optimizers added
  std::string loss_scale;                   // node of the Const, "" for none
};

// The whole graph.
struct GraphContents {
  tensorflow::GraphDef graph;
  std::vector<VariableInfo> variables;
  std::vector<std::string> initializers;  // operations: what the model needs beside its variables
  Feeds feeds;                            // for them
};

class MOX_EXPORT GraphAssembly {
 public:
  GraphAssembly(const RunConfig& config, Language language);

  // Checks and lifts what input_fn returned; `inter`: for the graph of inter_mode.
  LiftedInput add_input(ReturnedInput input, bool inter);
  // The name scope for the lifted graph, and the prefix that its nodes then got ("", or with a "/" at its end).
  static std::string input_scope(bool inter) { return inter ? "inter_mode" : ""; }
  void place_input(const std::string& prefix, bool inter);

  GraphPlace tower(int i) const;
  GraphPlace inter() const;
  std::string variable_device() const;

  // Checks the ModelSpec of the next device. Moving averages and summaries follow the first, as in TF-slim's
  // deployment.
  void add_tower(ReturnedSpec spec, BuiltTower tower);
  // Which of these trainable variables loss number `loss` of the device that was added last trains: indices.
  std::vector<size_t> trained(size_t loss, const std::vector<std::string>& variables) const;
  // That device's gradients of the loss: outputs of Identities, where the engine takes the loss scale back out.
  // InvalidArgumentError when there are none.
  void add_gradients(size_t loss, const NamedGradients& gradients);

  // What is to be joined of a loss's gradients, [device]; slots[i]: the node of the Identity that the optimizer takes
  // for the i-th of the first device, and that the engine fills.
  void add_slots(size_t loss, const std::vector<NamedGradients>& gradients, const std::vector<std::string>& slots);
  void add_training(const BuiltTraining& training);
  // The model once more, on the variables that there are, for the hooks that evaluate.
  void add_inter(const ReturnedSpec& spec, std::vector<std::shared_ptr<SessionRunHook>> hooks);

  // What was gathered so far.
  const BuiltGraph& built() const { return built_; }
  // Leaves the assembly empty.
  BuiltGraph finish(GraphContents contents);

 private:
  // What the lifted pipeline needs before the first element.
  struct Start {
    std::vector<std::string> initializers;
    Feeds feeds;
  };

  const RunConfig config_;
  const Language language_;
  BuiltGraph built_;
  ReturnedSpec spec_;  // of the device that was added last
  Start start_, inter_start_;
  std::string inter_input_;  // the first tensor
};

// Placeholders for model_fn in EXPORT mode, like one device's inputs `batch`: names, and with auto_batch an open batch
// size, which a server chooses.
MOX_EXPORT std::vector<InputTensor> export_inputs(std::vector<InputTensor> batch, bool auto_batch);
// Checks the ModelSpec of EXPORT mode.
MOX_EXPORT BuiltGraph assemble_export(const ReturnedSpec& spec, GraphContents contents, Language language);

}  // namespace mox
