#include "run/graph_assembly.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <unordered_set>

#include "graph/node_defs.h"
#include "moxing/error.h"
#include "run/model_checks.h"
#include "run/run_classes.h"
#include "run/trained_variables.h"

namespace mox {
namespace {

std::vector<NamedTensor> named_tensors(const std::vector<NamedReturned>& values) {
  std::vector<NamedTensor> named;
  for (const auto& [name, value] : values) named.push_back({name, value.tensor.name});
  return named;
}

// What is there already stays where it is.
void append_new(const std::vector<std::string>& names, std::vector<std::string>* all) {
  std::unordered_set<std::string> there(all->begin(), all->end());
  for (const std::string& name : names)
    if (there.insert(name).second) all->push_back(name);
}

template <typename T>
void append(std::vector<T> more, std::vector<T>* all) {
  all->insert(all->end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

void set_contents(GraphContents contents, BuiltGraph* built) {
  built->graph = std::move(contents.graph);
  built->variables = std::move(contents.variables);
  append(std::move(contents.initializers), &built->initializers);
  append(std::move(contents.feeds), &built->feeds);
}

}  // namespace

GraphAssembly::GraphAssembly(const RunConfig& config, Language language) : config_(config), language_(language) {
  built_.mode = config.run_mode;
}

LiftedInput GraphAssembly::add_input(ReturnedInput input, bool inter) {
  check_input(input.tensors, language_);
  const ModeKeys mode = inter ? *config_.inter_mode : config_.run_mode;
  if (inter)
    check_same_run_classes(built_.class_names, input.class_names, fmt::format("inter_mode {}", to_string(mode)));
  else
    built_.class_names = std::move(input.class_names);
  LiftOptions lift;
  lift.auto_batch = config_.auto_batch;
  lift.batch_size = batch_size_of(config_.batch_size, input.tensors[0].tensor);
  if (config_.auto_batch && !inter) warn_of_batches(input.tensors, lift.batch_size, language_);
  lift.drop_remainder = mode == ModeKeys::TRAIN && config_.auto_batch;
  lift.num_towers = inter ? 1 : config_.num_gpus;
  lift.parallelism = std::max(1u, std::thread::hardware_concurrency());
  if (inter) lift.name = "inter_input";
  if (!inter) built_.samples_per_step = lift.batch_size * lift.num_towers;
  InputGraph graph{std::move(input.graph), {}, std::move(input.feeds), std::move(input.initializers)};
  for (Returned& returned : input.tensors) graph.outputs.push_back(std::move(returned.tensor));
  LiftedInput lifted = lift_input(graph, lift);
  (inter ? inter_start_ : start_) = {lifted.initializers, lifted.feeds};
  if (inter) inter_input_ = lifted.tower_inputs[0][0];
  return lifted;
}

void GraphAssembly::place_input(const std::string& prefix, bool inter) {
  Start& start = inter ? inter_start_ : start_;
  for (std::string& op : start.initializers) op = prefix + op;
  for (auto& [placeholder, value] : start.feeds) placeholder = prefix + placeholder;
  if (inter) inter_input_ = prefix + inter_input_;
}

GraphPlace GraphAssembly::tower(int i) const {
  if (config_.num_gpus == 1) return {"", config_.devices.tower(i)};
  return {fmt::format("tower_{}", i), config_.devices.tower(i), i > 0};
}

GraphPlace GraphAssembly::inter() const { return {"inter", config_.devices.inter(), true}; }

std::string GraphAssembly::variable_device() const { return config_.devices.variables(); }

void GraphAssembly::add_tower(ReturnedSpec spec, BuiltTower tower) {
  check_spec(spec, config_.run_mode, "run_mode", language_);
  if (built_.towers.empty()) {
    append_new(tower.summaries, &built_.summaries);
    if (config_.run_mode == ModeKeys::TRAIN) append_new(tower.update_ops, &built_.train_ops);
    built_.model_updates = built_.train_ops;
  }
  TowerInfo info;
  info.inputs = std::move(tower.inputs);
  info.hooks = std::move(tower.hooks);
  for (const Returned& loss : spec.losses) info.losses.push_back(loss.tensor.name);
  info.log_info = named_tensors(spec.log_info);
  info.output_info = named_tensors(spec.output_info);
  built_.towers.push_back(std::move(info));
  spec_ = std::move(spec);
}

std::vector<size_t> GraphAssembly::trained(size_t loss, const std::vector<std::string>& variables) const {
  return trained_variables(variables, spec_.var_scopes.empty() ? std::vector<std::string>() : spec_.var_scopes[loss],
                           config_.freeze);
}

void GraphAssembly::add_gradients(size_t loss, const NamedGradients& gradients) {
  if (gradients.empty())
    throw InvalidArgumentError(
        fmt::format("the loss '{}' depends on no trainable variable: nothing can be trained (look at var_scopes, "
                    "freeze and trainable_*_patterns, and make variables with {})",
                    spec_.losses[loss].tensor.name, idioms_of(language_).get_variable));
  for (const NamedGradient& gradient : gradients) built_.scaled_gradients.gradients.push_back(node_of(gradient.tensor));
}

void GraphAssembly::add_slots(size_t loss, const std::vector<NamedGradients>& gradients,
                              const std::vector<std::string>& slots) {
  for (size_t i = 0; i < slots.size(); ++i) {
    GradientSlot slot{slots[i], gradients[0][i].variable, {}, static_cast<int>(loss), {}};
    for (const NamedGradients& tower : gradients)
      for (const NamedGradient& gradient : tower)
        if (gradient.variable == slot.variable) slot.tower_gradients.push_back(gradient.tensor);
    built_.gradients.push_back(std::move(slot));
  }
}

void GraphAssembly::add_training(const BuiltTraining& training) {
  built_.global_step = training.global_step;
  built_.increment = training.increment;
  built_.scaled_gradients.scale = training.loss_scale;
  append_new(training.learning_rates, &built_.learning_rates);
  append_new(training.summaries, &built_.summaries);
  append_new(training.updates, &built_.train_ops);
  append_new({training.increment}, &built_.train_ops);
}

void GraphAssembly::add_inter(const ReturnedSpec& spec, std::vector<std::shared_ptr<SessionRunHook>> hooks) {
  check_spec(spec, *config_.inter_mode, "inter_mode", language_);
  built_.inter = {*config_.inter_mode,          std::move(hooks), inter_start_.initializers.back(), inter_start_.feeds,
                  named_tensors(spec.log_info), inter_input_};
}

BuiltGraph GraphAssembly::finish(GraphContents contents) {
  for (Start* start : {&start_, &inter_start_}) {
    append(std::move(start->initializers), &built_.initializers);
    append(std::move(start->feeds), &built_.feeds);
  }
  set_contents(std::move(contents), &built_);
  if (config_.run_mode == ModeKeys::TRAIN) {
    std::vector<std::string> trainable;
    for (const VariableInfo& variable : built_.variables)
      if (variable.trainable) trainable.push_back(variable.name);
    tell_frozen(trainable, config_.freeze);
  }
  return std::move(built_);
}

std::vector<InputTensor> export_inputs(std::vector<InputTensor> batch, bool auto_batch) {
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i].name = fmt::format("input_{}", i);
    if (auto_batch && batch[i].shape.dims() > 0) batch[i].shape.set_dim(0, -1);
  }
  return batch;
}

BuiltGraph assemble_export(const ReturnedSpec& spec, GraphContents contents, Language language) {
  check_spec(spec, ModeKeys::EXPORT, "run_mode", language);
  BuiltGraph built;
  built.mode = ModeKeys::EXPORT;
  for (const ReturnedSpec::Signature& signature : spec.export_spec->signatures)
    built.export_info.signatures.push_back(
        {signature.name, named_tensors(signature.inputs), named_tensors(signature.outputs)});
  built.export_info.version = spec.export_spec->version;
  set_contents(std::move(contents), &built);
  return built;
}

}  // namespace mox
