#include "run/train_builder.h"

#include <algorithm>
#include <unordered_set>

#include "graph/graph_state.h"
#include "moxing/error.h"
#include "run/convolution_gradients.h"
#include "run/model_checks.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

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

NamedGradients named(const std::vector<GradientAndVariable>& gradients) {
  NamedGradients names;
  for (const GradientAndVariable& g : gradients) names.push_back({g.variable.name, tensor_name(g.gradient)});
  return names;
}

std::vector<std::string> names_of(const std::vector<tf::Operation>& operations) {
  std::vector<std::string> names;
  for (const tf::Operation& op : operations) names.push_back(op.node()->name());
  return names;
}

}  // namespace

TrainBuilder::TrainBuilder(const Scope& root, const RunConfig& config, GraphAssembly* assembly)
    : root_(root), config_(config), assembly_(assembly) {}

void TrainBuilder::add_tower(const Scope& scope, const std::vector<tf::Output>& losses) {
  tower_scopes_.push_back(scope);
  gradients_.resize(losses.size());
  for (size_t i = 0; i < losses.size(); ++i) gradients_[i].push_back(gradients(scope, losses[i], i));
}

// AddSymbolicGradients refuses variables that the loss does not reach.
std::vector<Variable> TrainBuilder::trained_variables(const tf::Output& loss, size_t number) const {
  const auto reachable = ancestors(loss);
  std::vector<Variable> candidates, trained;
  std::vector<std::string> names;
  for (const Variable& v : root_.state().variables) {
    if (!v.trainable || !reachable.count(v.handle.node())) continue;
    candidates.push_back(v);
    names.push_back(v.name);
  }
  for (const size_t i : assembly_->trained(number, names)) trained.push_back(candidates[i]);
  return trained;
}

TrainBuilder::Gradients TrainBuilder::gradients(const Scope& scope, const tf::Output& loss, size_t number) {
  const std::vector<Variable> variables = trained_variables(loss, number);
  std::vector<tf::Output> handles, results;
  for (const Variable& v : variables) handles.push_back(v.handle);
  const tf::Scope s = scope.NewSubScope("gradients");
  if (!handles.empty()) {
    const tf::Output start = scaled(s, loss);
    const int first = s.graph()->num_node_ids();
    throw_if_error(tf::AddSymbolicGradients(s, {start}, handles, &results),
                   "computing the gradients of the loss '" + loss.name() + "'");
    complete_convolution_gradients(s.graph(), first);
  }
  Gradients found;
  for (size_t i = 0; i < results.size(); ++i) {
    if (!results[i].node()) continue;
    // An Identity, where the engine takes the loss scale back out.
    const tf::Output raw = ops::Identity(s.NewSubScope("raw").WithOpName(variables[i].name), results[i]);
    found.push_back({raw, variables[i]});
  }
  assembly_->add_gradients(number, named(found));
  return found;
}

// By one Const for all losses: the engine may put a variable in its place.
tf::Output TrainBuilder::scaled(const tf::Scope& scope, const tf::Output& loss) {
  if (!config_.scales_loss()) return loss;
  if (!loss_scale_) loss_scale_ = ops::Const(root_.WithOpName("loss_scale"), static_cast<float>(config_.loss_scale));
  const bool is_float = loss.type() == tf::DT_FLOAT;
  return ops::Multiply(scope.WithOpName("scaled_loss"), loss,
                       is_float ? *loss_scale_ : tf::Output(ops::Cast(scope, *loss_scale_, loss.type())));
}

void TrainBuilder::build() {
  const Variable global_step = get_or_create_global_step(root_);
  const Optimizers optimizers = make_optimizers();
  // Of several losses, none moves a variable that another's gradient still reads.
  const Scope apply = gradients_.size() > 1 ? root_.with(root_.WithControlDependencies(operations())) : root_;
  const std::vector<Gradients> slots = make_slots(optimizers);
  std::vector<tf::Operation> updates;
  for (size_t i = 0; i < slots.size(); ++i)
    for (const tf::Operation& op : optimizers[std::min(i, optimizers.size() - 1)]->apply_gradients(apply, slots[i]))
      updates.push_back(op);
  // After the updates: everything in the step sees the step's own number.
  const tf::Scope after = root_.WithControlDependencies(updates).WithDevice(root_.state().variable_device);
  const ops::AssignAddVariableOp increment(after.WithOpName("increment_global_step"), global_step.handle,
                                           ops::Const(after, int64_t{1}));
  BuiltTraining training;
  training.global_step = global_step.name;
  training.updates = names_of(updates);
  training.increment = increment.operation.node()->name();
  for (const auto& optimizer : optimizers) training.learning_rates.push_back(tensor_name(optimizer->learning_rate()));
  for (const tf::Output& summary : root_.get_collection(collections::kSummaries))
    training.summaries.push_back(tensor_name(summary));
  if (loss_scale_) training.loss_scale = loss_scale_->node()->name();
  assembly_->add_training(training);
}

// One for all losses, or one a loss.
TrainBuilder::Optimizers TrainBuilder::make_optimizers() const {
  const std::vector<OptimizerFn>& functions = config_.optimizer_fn.all();
  check_optimizer_count(functions.size(), gradients_.size());
  Optimizers optimizers;
  for (const OptimizerFn& function : functions) {
    optimizers.push_back(function(root_));
    check(root_, "optimizer_fn");
    if (!optimizers.back()) reject_optimizer("an empty pointer", Language::kCpp);
  }
  return optimizers;
}

std::vector<TrainBuilder::Gradients> TrainBuilder::make_slots(const Optimizers& optimizers) {
  std::vector<Gradients> slots;
  for (size_t i = 0; i < gradients_.size(); ++i) {
    prepare_gradients(i, *optimizers[std::min(i, optimizers.size() - 1)]);
    slots.push_back(gradient_slots(i));
  }
  return slots;
}

// What the optimizer does on each device with that device's own gradients.
void TrainBuilder::prepare_gradients(size_t loss, Optimizer& optimizer) {
  for (size_t tower = 0; tower < gradients_[loss].size(); ++tower) {
    const Scope scope = tower_scopes_[tower].without_variable_scope();
    gradients_[loss][tower] = optimizer.prepare_gradients(scope, gradients_[loss][tower]);
    check(scope, "the optimizer's work on the gradients");
  }
}

// The Identities that the optimizer takes as gradients; the engine fills them.
TrainBuilder::Gradients TrainBuilder::gradient_slots(size_t loss) {
  const tf::Scope s = root_.NewSubScope("joined_gradients").WithDevice(root_.state().variable_device);
  Gradients slots;
  std::vector<std::string> names;
  for (const GradientAndVariable& first : gradients_[loss][0]) {
    slots.push_back({ops::Identity(s.WithOpName(first.variable.name), first.gradient), first.variable});
    names.push_back(slots.back().gradient.node()->name());
  }
  std::vector<NamedGradients> towers;
  for (const Gradients& tower : gradients_[loss]) towers.push_back(named(tower));
  assembly_->add_slots(loss, towers, names);
  return slots;
}

// Of all gradients.
std::vector<tf::Operation> TrainBuilder::operations() const {
  std::vector<tf::Operation> all;
  for (const auto& of_loss : gradients_)
    for (const Gradients& of_tower : of_loss)
      for (const GradientAndVariable& g : of_tower) all.push_back(g.gradient.op());
  return all;
}

}  // namespace mox
