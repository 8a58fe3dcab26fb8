#include "run/graph_builder.h"

#include <optional>

#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "moxing/error.h"
#include "run/graph_assembly.h"
#include "run/hook_groups.h"
#include "run/model_checks.h"
#include "run/tensor_free_hook.h"
#include "run/train_builder.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/common_runtime/graph_constructor.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

Returned returned(const Scope& scope, const tf::Output& output) {
  const tf::Node* node = output.node();
  if (!node) return {{}, "an empty Output", false};
  const tf::Graph& graph = scope.state().graph;
  if (node->id() >= graph.num_node_ids() || graph.FindNodeId(node->id()) != node)
    return {{tensor_name(output), output.type(), {}}, "", true};
  return {tensor_info(scope.state().refiner, output), "", false};
}

std::vector<NamedReturned> returned(const Scope& scope, const NamedOutputs& outputs) {
  std::vector<NamedReturned> named;
  for (const auto& [name, output] : outputs) named.emplace_back(name, returned(scope, output));
  return named;
}

// What a mode other than EXPORT uses of it.
ReturnedSpec returned(const Scope& scope, const ModelSpec& spec) {
  ReturnedSpec result;
  for (const tf::Output& loss : spec.loss.all()) result.losses.push_back(returned(scope, loss));
  result.var_scopes = spec.var_scopes;
  result.log_info = returned(scope, spec.log_info);
  result.output_info = returned(scope, spec.output_info);
  return result;
}

ReturnedSpec::Export returned(const Scope& scope, const ExportSpec& spec) {
  ReturnedSpec::Export result{{}, spec.version};
  const auto add = [&](const std::string& name, const NamedOutputs& inputs, const NamedOutputs& outputs) {
    result.signatures.push_back({name, returned(scope, inputs), returned(scope, outputs)});
  };
  add(kDefaultSignature, spec.inputs_dict, spec.outputs_dict);
  for (const auto& [name, signature] : spec.signatures) add(name, signature.inputs_dict, signature.outputs_dict);
  return result;
}

// Calls input_fn on a graph of its own.
ReturnedInput call_input_fn(const RunOptions& options, ModeKeys mode) {
  Scope scope = Scope::new_root();
  GraphState& state = scope.state();
  state.seed = options.random_seed;
  const std::vector<tf::Output> outputs = options.input_fn(scope, mode);
  check(scope, "input_fn");
  ReturnedInput input;
  for (const tf::Output& output : outputs) input.tensors.push_back(returned(scope, output));
  input.graph = state.to_graph_def();
  input.feeds = state.iterator_feeds;
  input.initializers = state.iterator_initializers;
  if (auto found = state.text_collections.find("class_names"); found != state.text_collections.end())
    input.class_names = found->second;
  return input;
}

// Copies the lifted pipeline into the graph; returns [tower][input].
std::vector<std::vector<tf::Output>> import_input(const Scope& scope, const LiftedInput& lifted,
                                                  const std::string& prefix) {
  GraphState& state = scope.state();
  tf::ImportGraphDefOptions options;
  options.prefix = prefix;
  for (const auto& tower : lifted.tower_inputs)
    for (const std::string& name : tower) {
      const TensorRef ref = parse_tensor(name);
      options.return_tensors.emplace_back(ref.node, ref.port);
    }
  tf::ImportGraphDefResults results;
  throw_if_error(tf::ImportGraphDef(options, lifted.graph, &state.graph, &state.refiner, &results),
                 "joining input_fn's graph");
  std::vector<std::vector<tf::Output>> inputs;
  size_t next = 0;
  for (const auto& tower : lifted.tower_inputs) {
    auto& outputs = inputs.emplace_back();
    for (size_t i = 0; i < tower.size(); ++i, ++next)
      outputs.emplace_back(results.return_tensors[next].first, results.return_tensors[next].second);
  }
  return inputs;
}

GraphContents contents_of(const Scope& root) {
  check(root, "building the graph");
  GraphState& state = root.state();
  GraphContents contents;
  for (const Variable& v : state.variables)
    contents.variables.push_back(
        {v.name, v.handle.node()->name(), v.initializer.node()->name(), v.dtype, v.shape, v.trainable});
  contents.graph = state.to_graph_def();
  contents.initializers = state.iterator_initializers;
  contents.feeds = state.iterator_feeds;
  return contents;
}

class RunGraphBuilder {
 public:
  explicit RunGraphBuilder(const RunConfig& config)
      : config_(config),
        root_(Scope::new_root()),
        assembly_(config, Language::kCpp),
        training_(root_, config, &assembly_) {
    root_.state().seed = config.random_seed;
    root_.state().variable_device = assembly_.variable_device();
  }

  BuiltGraph build(std::vector<InputTensor>* batch) {
    const auto inputs = build_input(config_.run_mode, false, batch);
    for (int tower = 0; tower < config_.num_gpus; ++tower) build_tower(tower, inputs[tower]);
    if (config_.run_mode == ModeKeys::TRAIN) training_.build();
    if (config_.inter_mode) build_inter(*config_.inter_mode);
    const bool has_hooks = begin_hooks();
    BuiltGraph built = assembly_.finish(contents_of(root_));
    if (has_hooks) built.hook_graph = std::make_shared<Scope>(root_);
    return built;
  }

 private:
  std::vector<std::vector<tf::Output>> build_input(ModeKeys mode, bool inter, std::vector<InputTensor>* batch) {
    const LiftedInput lifted = assembly_.add_input(call_input_fn(config_, mode), inter);
    if (batch) *batch = lifted.batch;
    const std::string scope = GraphAssembly::input_scope(inter);
    assembly_.place_input(scope.empty() ? "" : scope + "/", inter);
    return import_input(root_, lifted, scope);
  }

  Scope scope_at(const GraphPlace& place) const {
    const Scope scope = root_.tower(place.name_scope, place.device);
    return place.reuses_variables ? scope.reuse_variables() : scope;
  }

  void build_tower(int number, const std::vector<tf::Output>& inputs) {
    const Scope scope = scope_at(assembly_.tower(number));
    const ModelSpec spec = config_.model_fn(scope, inputs, config_.run_mode);
    check(scope, "model_fn");
    BuiltTower tower;
    tower.hooks = spec.hooks;
    for (const tf::Output& input : inputs) tower.inputs.push_back(tensor_name(input));
    for (const tf::Output& summary : scope.get_collection(collections::kSummaries))
      tower.summaries.push_back(tensor_name(summary));
    for (const tf::Output& update : scope.get_collection(collections::kUpdateOps))
      tower.update_ops.push_back(update.node()->name());
    assembly_.add_tower(returned(scope, spec), std::move(tower));
    scopes_.push_back(scope);
    if (config_.run_mode == ModeKeys::TRAIN) training_.add_tower(scope, spec.loss.all());
  }

  // The graph of inter_mode: its own input, under a prefix, and model_fn once more on the variables that there are.
  void build_inter(ModeKeys mode) {
    const auto inputs = build_input(mode, true, nullptr);
    inter_scope_ = scope_at(assembly_.inter());
    const ModelSpec spec = config_.model_fn(*inter_scope_, inputs[0], mode);
    check(*inter_scope_, std::string("model_fn in inter_mode ") + to_string(mode));
    assembly_.add_inter(returned(*inter_scope_, spec), spec.hooks);
  }

  // Whether there are any that may hold tensors.
  bool begin_hooks() {
    bool any = false;
    auto begin = [&](const auto& hooks, const Scope& scope, bool inter) {
      for (const auto& hook : hooks) {
        if (!hook) reject_hook("an empty pointer", Language::kCpp);
        any = any || !dynamic_cast<const TensorFreeHook*>(hook.get());
        if (hook_runs(*hook, inter)) hook->begin(scope);
      }
    };
    const BuiltGraph& built = assembly_.built();
    for (size_t i = 0; i < built.towers.size(); ++i) begin(built.towers[i].hooks, scopes_[i], false);
    if (built.inter) begin(built.inter->hooks, *inter_scope_, true);
    check(root_, "begin of a hook");
    return any;
  }

  const RunConfig& config_;
  const Scope root_;
  GraphAssembly assembly_;
  TrainBuilder training_;
  std::vector<Scope> scopes_;  // of the devices
  std::optional<Scope> inter_scope_;
};

}  // namespace

BuiltGraph build_run_graph(const RunConfig& config, std::vector<InputTensor>* batch) {
  return RunGraphBuilder(config).build(batch);
}

BuiltGraph build_export_graph(const ModelFn& model_fn, const std::vector<InputTensor>& inputs) {
  Scope root = Scope::new_root();
  std::vector<tf::Output> placeholders;
  for (const InputTensor& input : inputs)
    placeholders.push_back(
        ops::Placeholder(root.WithOpName(input.name), input.dtype, ops::Placeholder::Shape(input.shape)));
  const ModelSpec spec = model_fn(root, placeholders, ModeKeys::EXPORT);
  check(root, "model_fn in EXPORT mode");
  ReturnedSpec result;
  for (const tf::Output& loss : spec.loss.all()) result.losses.push_back(returned(root, loss));
  result.var_scopes = spec.var_scopes;
  if (spec.export_spec) result.export_spec = returned(root, *spec.export_spec);
  return assemble_export(result, contents_of(root), Language::kCpp);
}

}  // namespace mox
