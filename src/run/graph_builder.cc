#include "run/graph_builder.h"

#include <fmt/format.h>

#include <optional>
#include <thread>
#include <unordered_set>

#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/flags.h"
#include "run/checkpoint_loader.h"
#include "run/hook_groups.h"
#include "run/run_classes.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/common_runtime/graph_constructor.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

std::string tensor_name(const tf::Output& output) {
  return output.node()->name() + ":" + std::to_string(output.index());
}

std::vector<NamedTensor> named_tensors(const NamedOutputs& outputs, const std::string& field, ModeKeys mode) {
  std::vector<NamedTensor> named;
  for (const auto& [name, output] : outputs) {
    if (!output.node())
      throw InvalidArgumentError(fmt::format("{}['{}'] of model_fn is no tensor ({})", field, name, to_string(mode)));
    named.push_back({name, tensor_name(output)});
  }
  return named;
}

tf::PartialTensorShape shape_of(const Scope& scope, const tf::Output& tensor) {
  auto* context = scope.state().refiner.GetContext(tensor.node());
  tf::TensorShapeProto proto;
  context->ShapeHandleToProto(context->output(tensor.index()), &proto);
  return tf::PartialTensorShape(proto);
}

// Calls input_fn on a graph of its own.
InputGraph call_input_fn(const RunOptions& options, ModeKeys mode, std::vector<std::string>* class_names) {
  Scope scope = Scope::new_root();
  scope.state().seed = options.random_seed;
  const std::vector<tf::Output> outputs = options.input_fn(scope, mode);
  check(scope, "input_fn");
  if (outputs.empty()) throw InvalidArgumentError("input_fn returned no tensor; return at least one");
  InputGraph input;
  for (const tf::Output& output : outputs) {
    if (!output.node()) throw InvalidArgumentError("input_fn returned something that is no tensor of its scope");
    input.outputs.push_back({tensor_name(output), output.type(), shape_of(scope, output)});
  }
  GraphState& state = scope.state();
  input.graph = state.to_graph_def();
  input.feeds = state.iterator_feeds;
  input.initializers = state.iterator_initializers;
  if (auto found = state.text_collections.find("class_names"); found != state.text_collections.end())
    *class_names = found->second;
  return input;
}

int64_t batch_size_of(const RunConfig& config, bool auto_batch, const InputGraph& input) {
  if (config.batch_size > 0) return config.batch_size;
  const tf::PartialTensorShape& shape = input.outputs[0].shape;
  if (!auto_batch && shape.dims() > 0 && shape.dim_size(0) > 0) return shape.dim_size(0);
  throw InvalidArgumentError(auto_batch ? "batch_size is needed with auto_batch: how many samples make a batch"
                                        : "batch_size is needed: the first input " + input.outputs[0].name +
                                              " has shape " + shape.DebugString() + ", which does not tell it");
}

// Copies the lifted pipeline into the graph; returns [tower][input].
std::vector<std::vector<tf::Output>> import_input(const Scope& scope, const LiftedInput& lifted,
                                                  const std::string& prefix) {
  GraphState& state = scope.state();
  tf::ImportGraphDefOptions options;
  options.prefix = prefix;
  for (const auto& tower : lifted.tower_inputs)
    for (const std::string& name : tower) {
      const size_t colon = name.rfind(':');
      options.return_tensors.emplace_back(name.substr(0, colon), std::stoi(name.substr(colon + 1)));
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

void check_loss(const Scope& scope, const tf::Output& loss, size_t i) {
  if (!loss.node()) throw InvalidArgumentError(fmt::format("ModelSpec.loss[{}] of model_fn is no tensor", i));
  const tf::PartialTensorShape shape = shape_of(scope, loss);
  if (shape.dims() > 0)
    throw InvalidArgumentError(
        fmt::format("ModelSpec.loss must be a scalar, '{}' has shape {}; take its mean (ops::Mean)", loss.name(),
                    shape.DebugString()));
}

// What each mode needs of a ModelSpec.
void check_spec(const Scope& scope, const ModelSpec& spec, const RunConfig& config, ModeKeys mode) {
  auto need = [&](bool given, const char* field) {
    if (!given)
      throw InvalidArgumentError(
          fmt::format("model_fn's ModelSpec lacks {}, which run_mode {} needs", field, to_string(mode)));
  };
  if (mode == ModeKeys::TRAIN) need(!spec.loss.empty(), "loss");
  if (mode == ModeKeys::EVAL) need(!spec.log_info.empty(), "log_info");
  if (mode == ModeKeys::PREDICT) need(!spec.output_info.empty(), "output_info");
  if (mode == ModeKeys::EXPORT) need(spec.export_spec.has_value(), "export_spec");
  for (size_t i = 0; i < spec.loss.all().size(); ++i) check_loss(scope, spec.loss.all()[i], i);
  if (!spec.var_scopes.empty() && spec.var_scopes.size() != spec.loss.all().size())
    throw InvalidArgumentError(fmt::format("ModelSpec has {} var_scopes for {} losses; give one list of scopes a loss",
                                           spec.var_scopes.size(), spec.loss.all().size()));
}

bool in_scopes(const std::string& name, const std::vector<std::string>& scopes) {
  for (const std::string& scope : scopes)
    if (name.rfind(scope.back() == '/' ? scope : scope + "/", 0) == 0 || name == scope) return true;
  return scopes.empty();
}

// The nodes that `output` is computed from.
std::unordered_set<const tf::Node*> ancestors(const tf::Output& output) {
  std::unordered_set<const tf::Node*> seen{output.node()};
  std::vector<const tf::Node*> stack{output.node()};
  while (!stack.empty()) {
    const tf::Node* node = stack.back();
    stack.pop_back();
    for (const tf::Edge* edge : node->in_edges())
      if (!edge->IsControlEdge() && seen.insert(edge->src()).second) stack.push_back(edge->src());
  }
  return seen;
}

// One loss's gradients on one device, by variable.
using Gradients = std::vector<GradientAndVariable>;

class RunGraphBuilder {
 public:
  RunGraphBuilder(const RunOptions& options, const RunConfig& config)
      : options_(options), config_(config), root_(Scope::new_root()) {
    GraphState& state = root_.state();
    state.seed = options.random_seed;
    if (config.num_gpus > 1) state.variable_device = "/device:CPU:0";
    built_.mode = config.run_mode;
  }

  BuiltGraph build(std::vector<InputTensor>* batch) {
    const auto inputs = build_input(batch);
    for (int tower = 0; tower < config_.num_gpus; ++tower) build_tower(tower, inputs[tower]);
    if (config_.run_mode == ModeKeys::TRAIN) build_training();
    if (options_.inter_mode) build_inter(*options_.inter_mode);
    begin_hooks();
    finish(root_, &built_);
    return std::move(built_);
  }

  static void finish(const Scope& root, BuiltGraph* built) {
    check(root, "building the graph");
    GraphState& state = root.state();
    for (const Variable& v : state.variables)
      built->variables.push_back(
          {v.name, v.handle.node()->name(), v.initializer.node()->name(), v.dtype, v.shape, v.trainable});
    built->graph = state.to_graph_def();
  }

 private:
  std::vector<std::vector<tf::Output>> build_input(std::vector<InputTensor>* batch) {
    const InputGraph input = call_input_fn(options_, config_.run_mode, &built_.class_names);
    const LiftOptions lift = lift_options(input, config_.run_mode, config_.num_gpus);
    const LiftedInput lifted = lift_input(input, lift);
    built_.initializers = lifted.initializers;
    built_.feeds = lifted.feeds;
    built_.samples_per_step = lift.batch_size * config_.num_gpus;
    *batch = lifted.batch;
    return import_input(root_, lifted, "");
  }

  LiftOptions lift_options(const InputGraph& input, ModeKeys mode, int num_towers) const {
    LiftOptions lift;
    lift.auto_batch = options_.auto_batch;
    lift.batch_size = batch_size_of(config_, options_.auto_batch, input);
    lift.drop_remainder = mode == ModeKeys::TRAIN && options_.auto_batch;
    lift.num_towers = num_towers;
    lift.parallelism = std::max(1u, std::thread::hardware_concurrency());
    return lift;
  }

  // The graph of inter_mode: its own input, under a prefix, and model_fn once more on the variables that there are.
  void build_inter(ModeKeys mode) {
    const std::string prefix = "inter_mode";
    std::vector<std::string> class_names;
    const InputGraph input = call_input_fn(options_, mode, &class_names);
    check_same_run_classes(built_.class_names, class_names, std::string("inter_mode ") + to_string(mode));
    LiftOptions lift = lift_options(input, mode, 1);
    lift.name = "inter_input";
    const LiftedInput lifted = lift_input(input, lift);
    InterInfo inter;
    inter.mode = mode;
    for (const std::string& op : lifted.initializers) built_.initializers.push_back(prefix + "/" + op);
    for (const auto& [name, value] : lifted.feeds) inter.feeds.emplace_back(prefix + "/" + name, value);
    built_.feeds.insert(built_.feeds.end(), inter.feeds.begin(), inter.feeds.end());
    inter.restart_input = built_.initializers.back();
    inter_scope_ = root_.tower("inter", config_.num_gpus > 1 ? "/device:CPU:0" : "").reuse_variables();
    const ModelSpec spec = options_.model_fn(*inter_scope_, import_input(root_, lifted, prefix)[0], mode);
    check(*inter_scope_, std::string("model_fn in inter_mode ") + to_string(mode));
    inter.hooks = spec.hooks;
    built_.inter = std::move(inter);
  }

  void begin_hooks() {
    bool any = false;
    auto begin = [&](const auto& hooks, const Scope& scope, bool inter) {
      for (const auto& hook : hooks) {
        if (!hook) throw InvalidArgumentError("ModelSpec.hooks of model_fn has an empty pointer");
        any = true;
        if (hook_runs(*hook, inter)) hook->begin(scope);
      }
    };
    for (size_t i = 0; i < built_.towers.size(); ++i) begin(built_.towers[i].hooks, tower_scopes_[i], false);
    if (built_.inter) begin(built_.inter->hooks, *inter_scope_, true);
    check(root_, "begin of a hook");
    if (any) built_.hook_graph = std::make_shared<Scope>(root_);
  }

  void build_tower(int tower, const std::vector<tf::Output>& inputs) {
    const bool several = config_.num_gpus > 1;
    Scope scope = root_.tower(several ? "tower_" + std::to_string(tower) : "",
                              several ? "/device:CPU:" + std::to_string(tower) : "");
    if (tower > 0) scope = scope.reuse_variables();
    const ModelSpec spec = options_.model_fn(scope, inputs, config_.run_mode);
    check(scope, "model_fn");
    check_spec(scope, spec, config_, config_.run_mode);
    tower_scopes_.push_back(scope);
    TowerInfo info;
    info.hooks = spec.hooks;
    for (const tf::Output& input : inputs) info.inputs.push_back(tensor_name(input));
    for (const tf::Output& loss : spec.loss.all()) info.losses.push_back(tensor_name(loss));
    info.log_info = named_tensors(spec.log_info, "log_info", config_.run_mode);
    info.output_info = named_tensors(spec.output_info, "output_info", config_.run_mode);
    built_.towers.push_back(info);
    if (tower == 0) {
      for (const tf::Output& summary : scope.get_collection(collections::kSummaries))
        built_.summaries.push_back(tensor_name(summary));
      // The moving averages follow the first device, as TF-slim's deployment does.
      if (config_.run_mode == ModeKeys::TRAIN)
        for (const tf::Output& update : scope.get_collection(collections::kUpdateOps))
          built_.train_ops.push_back(update.node()->name());
    }
    if (config_.run_mode != ModeKeys::TRAIN) return;
    for (size_t i = 0; i < spec.loss.all().size(); ++i) {
      if (gradients_.size() <= i) gradients_.emplace_back();
      const std::vector<std::string> scopes = spec.var_scopes.empty() ? std::vector<std::string>() : spec.var_scopes[i];
      gradients_[i].push_back(gradients(scope, spec.loss.all()[i], scopes));
    }
  }

  Gradients gradients(const Scope& scope, const tf::Output& loss, const std::vector<std::string>& scopes) {
    const auto reachable = ancestors(loss);
    const auto include = split_patterns(get_flag<std::string>("trainable_include_patterns"));
    const auto exclude = split_patterns(get_flag<std::string>("trainable_exclude_patterns"));
    std::vector<Variable> trained;
    std::vector<tf::Output> handles, results;
    for (const Variable& v : root_.state().variables) {
      if (!v.trainable || !in_scopes(v.name, scopes) || !reachable.count(v.handle.node())) continue;
      if (!matches_patterns(v.name, include, exclude)) continue;
      trained.push_back(v);
      handles.push_back(v.handle);
    }
    if (trained.empty())
      throw InvalidArgumentError("the loss '" + loss.name() +
                                 "' depends on no trainable variable: nothing can be trained (look at var_scopes and "
                                 "trainable_*_patterns, and make variables with get_variable)");
    const tf::Scope s = scope.NewSubScope("gradients");
    tf::Output scaled = loss;
    if (config_.scales_loss()) {
      const tf::Output scale = loss_scale();
      scaled = ops::Multiply(s.WithOpName("scaled_loss"), loss,
                             loss.type() == tf::DT_FLOAT ? scale : tf::Output(ops::Cast(s, scale, loss.type())));
    }
    throw_if_error(tf::AddSymbolicGradients(s, {scaled}, handles, &results),
                   "computing the gradients of the loss '" + loss.name() + "'");
    Gradients found;
    for (size_t i = 0; i < trained.size(); ++i)
      if (results[i].node()) found.push_back({raw_gradient(s, results[i], trained[i]), trained[i]});
    return found;
  }

  // One Const for all losses: the engine may put a variable in its place.
  tf::Output loss_scale() {
    if (!loss_scale_) {
      loss_scale_ = ops::Const(root_.WithOpName("loss_scale"), static_cast<float>(config_.loss_scale));
      built_.scaled_gradients.scale = loss_scale_->node()->name();
    }
    return *loss_scale_;
  }

  // An Identity, where the engine takes the loss scale back out.
  tf::Output raw_gradient(const tf::Scope& s, const tf::Output& gradient, const Variable& variable) {
    const tf::Output identity = ops::Identity(s.NewSubScope("raw").WithOpName(variable.name), gradient);
    built_.scaled_gradients.gradients.push_back(identity.node()->name());
    return identity;
  }

  void build_training() {
    const Variable global_step = get_or_create_global_step(root_);
    built_.global_step = global_step.name;
    const std::vector<std::unique_ptr<Optimizer>> optimizers = make_optimizers();
    // Of several losses, none moves a variable that another's gradient still reads.
    std::vector<tf::Operation> all;
    for (const auto& of_loss : gradients_)
      for (const Gradients& of_tower : of_loss)
        for (const GradientAndVariable& g : of_tower) all.push_back(g.gradient.op());
    std::vector<std::vector<GradientAndVariable>> slots;
    for (size_t i = 0; i < gradients_.size(); ++i) {
      prepare_gradients(i, *optimizers[std::min(i, optimizers.size() - 1)]);
      slots.push_back(gradient_slots(i));
    }
    const Scope apply = slots.size() > 1 ? root_.with(root_.WithControlDependencies(all)) : root_;
    std::vector<tf::Operation> updates;
    for (size_t i = 0; i < slots.size(); ++i)
      for (const tf::Operation& op : optimizers[std::min(i, optimizers.size() - 1)]->apply_gradients(apply, slots[i]))
        updates.push_back(op);
    for (const auto& optimizer : optimizers) built_.learning_rates.push_back(tensor_name(optimizer->learning_rate()));
    for (const tf::Operation& op : updates) built_.train_ops.push_back(op.node()->name());
    // After the updates: everything in the step sees the step's own number.
    const tf::Scope after = root_.WithControlDependencies(updates).WithDevice(root_.state().variable_device);
    ops::AssignAddVariableOp increment(after.WithOpName("increment_global_step"), global_step.handle,
                                       ops::Const(after, int64_t{1}));
    built_.increment = increment.operation.node()->name();
    built_.train_ops.push_back(built_.increment);
    // Those that optimizer_fn made.
    for (const tf::Output& summary : root_.get_collection(collections::kSummaries)) {
      const std::string name = tensor_name(summary);
      if (std::find(built_.summaries.begin(), built_.summaries.end(), name) == built_.summaries.end())
        built_.summaries.push_back(name);
    }
  }

  // What the optimizer does on each device with that device's own gradients.
  void prepare_gradients(size_t loss, Optimizer& optimizer) {
    for (size_t tower = 0; tower < gradients_[loss].size(); ++tower) {
      const Scope scope = tower_scopes_[tower].without_variable_scope();
      gradients_[loss][tower] = optimizer.prepare_gradients(scope, gradients_[loss][tower]);
      check(scope, "the optimizer's work on the gradients");
    }
  }

  // One for all losses, or one a loss.
  std::vector<std::unique_ptr<Optimizer>> make_optimizers() {
    const std::vector<OptimizerFn>& functions = options_.optimizer_fn.all();
    if (functions.size() > 1 && functions.size() != gradients_.size())
      throw InvalidArgumentError(fmt::format("optimizer_fn has {} optimizers for {} losses; give one, or one a loss",
                                             functions.size(), gradients_.size()));
    std::vector<std::unique_ptr<Optimizer>> optimizers;
    for (const OptimizerFn& function : functions) {
      optimizers.push_back(function ? function(root_) : nullptr);
      check(root_, "optimizer_fn");
      if (!optimizers.back()) throw InvalidArgumentError("optimizer_fn returned no optimizer");
    }
    return optimizers;
  }

  // The Identities that the optimizer takes as gradients; join_gradients fills them.
  std::vector<GradientAndVariable> gradient_slots(size_t loss) {
    const std::string device = root_.state().variable_device;
    const tf::Scope s = root_.NewSubScope("joined_gradients").WithDevice(device);
    std::vector<GradientAndVariable> slots;
    for (const GradientAndVariable& first : gradients_[loss][0]) {
      GradientSlot slot;
      slot.loss = static_cast<int>(loss);
      slot.variable = first.variable.name;
      for (const Gradients& tower : gradients_[loss])
        for (const GradientAndVariable& g : tower)
          if (g.variable.name == slot.variable) slot.tower_gradients.push_back(tensor_name(g.gradient));
      tf::Output identity = ops::Identity(s.WithOpName(slot.variable), first.gradient);
      slot.slot = identity.node()->name();
      built_.gradients.push_back(slot);
      slots.push_back({identity, first.variable});
    }
    return slots;
  }

  const RunOptions& options_;
  const RunConfig& config_;
  Scope root_;
  BuiltGraph built_;
  std::vector<std::vector<Gradients>> gradients_;  // [loss][tower]
  std::vector<Scope> tower_scopes_;
  std::optional<Scope> inter_scope_;
  std::optional<tf::Output> loss_scale_;
};

}  // namespace

BuiltGraph build_run_graph(const RunOptions& options, const RunConfig& config, std::vector<InputTensor>* batch) {
  return RunGraphBuilder(options, config).build(batch);
}

BuiltGraph build_export_graph(const ModelFn& model_fn, const RunConfig& config, const std::vector<InputTensor>& batch) {
  Scope root = Scope::new_root();
  std::vector<tf::Output> inputs;
  for (size_t i = 0; i < batch.size(); ++i)
    inputs.push_back(ops::Placeholder(root.WithOpName("input_" + std::to_string(i)), batch[i].dtype,
                                      ops::Placeholder::Shape(batch[i].shape)));
  const ModelSpec spec = model_fn(root, inputs, ModeKeys::EXPORT);
  check(root, "model_fn in EXPORT mode");
  check_spec(root, spec, config, ModeKeys::EXPORT);
  BuiltGraph built;
  built.mode = ModeKeys::EXPORT;
  built.export_info.inputs = named_tensors(spec.export_spec->inputs_dict, "export_spec.inputs_dict", ModeKeys::EXPORT);
  built.export_info.outputs =
      named_tensors(spec.export_spec->outputs_dict, "export_spec.outputs_dict", ModeKeys::EXPORT);
  built.export_info.version = spec.export_spec->version;
  RunGraphBuilder::finish(root, &built);
  return built;
}

}  // namespace mox
