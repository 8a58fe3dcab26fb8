#include "run/engine_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <unordered_map>

#include "graph/graph_state.h"
#include "graph/graph_walk.h"
#include "graph/node_defs.h"
#include "graph/step_variants.h"
#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kStepCount[] = "mox_step/global_step";

std::string restore_name(size_t i) { return "mox_restore/" + std::to_string(i); }
std::string save_name(size_t i) { return "mox_save/" + std::to_string(i); }

constexpr char kInitializing[] = "initialising the variables";

}  // namespace

EngineSession::EngineSession(BuiltGraph& graph, const SessionFactory& factory)
    : EngineSession(graph, factory.devices()) {
  open(factory);
}

void EngineSession::open(const SessionFactory& factory) {
  session_ = factory.create(graph_.graph);
  direct_ = DirectAccess::to(*session_);
  step_threads_ = factory.step_threads();
}

EngineSession::EngineSession(BuiltGraph& graph, const DevicePlan& devices) : graph_(graph) {
  find_own_inputs();
  add_variable_ops(devices);
  add_step_count();
  add_step_variants(&graph_);
}

EngineSession::~EngineSession() {
  if (initializing_.valid()) initializing_.wait();
  if (!session_) return;
  if (!aborted_) {
    session_->Close().IgnoreError();
    return;
  }
  // What stalled the step (a Python generator that sleeps) may not end for long: nobody waits for it.
  std::thread([session = std::move(session_)]() mutable { session.reset(); }).detach();
}

void EngineSession::find_own_inputs() {
  for (const TowerInfo& tower : graph_.towers)
    if (!tower.inputs.empty()) own_inputs_.insert(node_of(tower.inputs.front()));
  if (!graph_.inter) return;
  const NodeIndex index = index_nodes(graph_.graph);
  const tf::NodeDef& make = require_node(index, graph_.inter->restart_input, "the input of inter_mode");
  const std::string iterator = node_of(make.input(1));
  for (const tf::NodeDef& node : graph_.graph.node())
    if (node.op().rfind("IteratorGetNext", 0) == 0 && node_of(node.input(0)) == iterator)  // also …Sync
      own_inputs_.insert(node.name());
}

// Values of variables on parameter servers are fed and fetched in this process: they travel as the tensors of a step
// do, not inside the messages that ask for it, which are ten times as slow and may not have 2 GB.
void EngineSession::add_variable_ops(const DevicePlan& plan) {
  pieces_ = pieces_of(graph_.variables);
  const NodeIndex index = index_nodes(graph_.graph);
  std::vector<std::string> devices;
  for (const VariableInfo& variable : graph_.variables) {
    handles_.push_back(require_node(index, variable.handle, "variable " + variable.name));
    devices.push_back(handles_.back().device());
  }
  for (size_t i = 0; i < graph_.variables.size(); ++i) {
    const VariableInfo& variable = graph_.variables[i];
    if (pieces_[i].number > 0) continue;
    // No shape: TensorFlow's optimizer would make a tensor of it. The loader has compared the shapes.
    NodeMaker(&graph_.graph, restore_name(i), "Placeholder")
        .attr("dtype", variable.dtype)
        .attr("shape", tf::PartialTensorShape())
        .device(plan.is_in_cluster() ? plan.here("") : "");
    NodeMaker(&graph_.graph, restore_name(i) + "/assign", "AssignVariableOp")
        .input(variable.handle)
        .input(restore_name(i))
        .attr("dtype", variable.dtype)
        .device(devices[i]);
    const std::string read = save_name(i) + (plan.is_in_cluster() ? "/read" : "");
    NodeMaker(&graph_.graph, read, "ReadVariableOp")
        .input(variable.handle)
        .attr("dtype", variable.dtype)
        .device(devices[i]);
    if (plan.is_in_cluster())
      NodeMaker(&graph_.graph, save_name(i), "Identity").input(read).attr("T", variable.dtype).device(plan.here(""));
  }
}

// After the increment of its own step: several processes may count in one variable.
void EngineSession::add_step_count() {
  if (graph_.increment.empty()) return;
  const size_t i = index_of(graph_.global_step);
  if (i == graph_.variables.size()) return;
  const NodeIndex index = index_nodes(graph_.graph);
  const VariableInfo& variable = graph_.variables[i];
  const std::string device = require_node(index, variable.handle, "the global step").device();
  NodeMaker(&graph_.graph, kStepCount, "ReadVariableOp")
      .input(variable.handle)
      .control(graph_.increment)
      .attr("dtype", variable.dtype)
      .device(device);
  step_count_ = fmt::format("{}:0", kStepCount);
}

void EngineSession::initialize(const LoadedCheckpoint& checkpoint) {
  std::set<size_t> lacking;  // where a piece is, the whole gets its initial value first
  for (size_t i = 0; i < graph_.variables.size(); ++i)
    if (!checkpoint.values.count(graph_.variables[i].name)) lacking.insert(pieces_[i].first);
  std::vector<std::string> initializers;
  for (const size_t i : lacking) initializers.push_back(graph_.variables[i].initializer);
  NamedValues wholes, parts;
  for (size_t i = 0; i < graph_.variables.size(); ++i)
    if (const auto found = checkpoint.values.find(graph_.variables[i].name); found != checkpoint.values.end())
      (lacking.count(pieces_[i].first) ? parts : wholes).emplace_back(found->first, found->second);
  set_values(wholes, "restoring " + checkpoint.prefix);
  if (!initializers.empty()) run_initializers(initializers);
  set_values(parts, "restoring " + checkpoint.prefix);
  renew_copies();
}

void EngineSession::set_values(const NamedValues& values, const std::string& purpose) {
  if (values.empty()) return;
  std::unordered_map<std::string, size_t> numbers;
  for (size_t i = 0; i < graph_.variables.size(); ++i) numbers[graph_.variables[i].name] = i;
  std::map<size_t, std::vector<std::pair<size_t, const tf::Tensor*>>> given;
  for (const auto& [name, value] : values) {
    const auto found = numbers.find(name);
    if (found == numbers.end()) throw RunError(purpose + ": the graph has no variable " + name);
    given[pieces_[found->second].first].emplace_back(found->second, &value);
  }
  Feeds feeds;
  std::vector<std::string> assigns;
  for (const auto& [first, parts] : given) {
    const VariableInfo& variable = graph_.variables[first];
    const int count = pieces_[first].count;
    tf::Tensor whole = *parts[0].second;
    if (count > 1) {
      whole = tf::Tensor(variable.dtype, whole_shape(variable, count));
      if (static_cast<int>(parts.size()) < count)
        for (size_t i = first; i < pieces_.size(); ++i)
          if (pieces_[i].first == first) set_value(pieces_[i], read(graph_.variables[i].name), &whole);
      for (const auto& [i, value] : parts) set_value(pieces_[i], *value, &whole);
    }
    feeds.emplace_back(restore_name(first), std::move(whole));
    assigns.push_back(restore_name(first) + "/assign");
  }
  throw_if_error(session().Run(feeds, {}, assigns, nullptr), purpose);
}

void EngineSession::run_initializers(std::vector<std::string> initializers) {
  const auto run = [this](const std::vector<std::string>& operations) {
    throw_if_error(session().Run({}, {}, operations, nullptr), kInitializing);
  };
  if (!direct_) return run(initializers);
  // Asked for at once, and one number.
  const size_t step = index_of(graph_.global_step);
  if (step < graph_.variables.size() && std::erase(initializers, graph_.variables[step].initializer) > 0) {
    const std::vector<std::string> first = {graph_.variables[step].initializer};
    std::optional<tf::GraphDef> part = DirectAccess::cut_out(graph_.graph, first);
    if (!part) return run(first), run(initializers);
    throw_if_error(direct_->run(*std::move(part)), kInitializing);
  }
  std::optional<tf::GraphDef> part = DirectAccess::cut_out(graph_.graph, initializers);
  if (!part) return run(initializers);
  initializing_ = std::async(std::launch::async, [direct = *direct_, part = *std::move(part)]() mutable {
                    return direct.run(std::move(part));
                  }).share();
}

void EngineSession::settle() const {
  if (initializing_.valid()) throw_if_error(initializing_.get(), kInitializing);
}

bool EngineSession::reads_variables(const std::string& operation) const {
  const NodeIndex index = index_nodes(graph_.graph);
  const Names needed = ancestors(index, {operation});
  return std::any_of(needed.begin(), needed.end(),
                     [&](const std::string& name) { return index.at(name)->op() == "VarHandleOp"; });
}

void EngineSession::renew_copies() {
  if (!graph_.renew_copies.empty()) run_operation(graph_.renew_copies, {});
}

void EngineSession::start_input() {
  for (const std::string& op : graph_.initializers) {
    tf::Session& session = reads_variables(op) ? this->session() : unsettled();
    throw_if_error(session.Run(graph_.feeds, {}, {op}, nullptr), "initialising the input (" + op + ")");
  }
}

void EngineSession::restart_input() {
  if (!graph_.clear_stages.empty()) run_operation(graph_.clear_stages, {});
  for (const std::string& op : training_iterators(graph_))
    throw_if_error(session().Run(graph_.feeds, {}, {op}, nullptr), "beginning the input anew (" + op + ")");
  if (graph_.stages.empty()) return;
  run_operation(graph_.stages.back().stage, {});
  staging_ = absl::OkStatus();
}

tf::Session& EngineSession::session() const {
  settle();
  return unsettled();
}

tf::Session& EngineSession::unsettled() const {
  if (!session_) throw RunError("the processes of this run have not come together again: there is no session");
  return *session_;
}

void EngineSession::reopen(const std::function<SessionFactory()>& connect) {
  if (initializing_.valid()) initializing_.wait();
  if (session_)
    std::thread([session = std::shared_ptr<tf::Session>(std::move(session_))] {
      session->Close().IgnoreError();
    }).detach();
  initializing_ = {};
  direct_.reset();
  open(connect());
  ++sessions_;
}

void EngineSession::run_operation(const std::string& name, const Feeds& feeds) {
  throw_if_error(session().Run(feeds, {}, {name}, nullptr), "running " + name);
}

std::optional<tf::Tensor> EngineSession::read_directly(size_t variable) const {
  if (!direct_) return std::nullopt;
  settle();
  const std::optional<tf::Tensor> whole = direct_->read(handles_[variable]);
  if (!whole) return std::nullopt;
  return value_of(pieces_[variable], graph_.variables[variable], *whole);
}

NamedValues EngineSession::read_variables() {
  NamedValues read;
  for (size_t i = 0; i < graph_.variables.size(); ++i)
    if (std::optional<tf::Tensor> value = read_directly(i))
      read.emplace_back(graph_.variables[i].name, *std::move(value));
  if (read.size() == graph_.variables.size()) return read;
  if (!read_prepared_) {
    std::vector<std::string> fetches;
    for (const Piece& piece : pieces_) fetches.push_back(save_name(piece.first));
    read_all_ = prepare(fetches, {});
    read_prepared_ = true;
  }
  std::vector<tf::Tensor> tensors = run(read_all_);
  NamedValues values;
  for (size_t i = 0; i < tensors.size(); ++i)
    values.emplace_back(graph_.variables[i].name, value_of(pieces_[i], graph_.variables[i], tensors[i]));
  return values;
}

size_t EngineSession::index_of(const std::string& variable) const {
  size_t i = 0;
  while (i < graph_.variables.size() && graph_.variables[i].name != variable) ++i;
  return i;
}

int64_t EngineSession::global_step() {
  const size_t i = index_of(graph_.global_step);
  if (i == graph_.variables.size()) return 0;
  // It has its value before the others have theirs.
  const std::optional<tf::Tensor> value = direct_ ? direct_->read(handles_[i]) : std::nullopt;
  return (value ? *value : read(graph_.global_step)).scalar<int64_t>()();
}

tf::Tensor EngineSession::read(const std::string& variable) {
  const size_t i = index_of(variable);
  if (i == graph_.variables.size()) throw RunError("the graph has no variable " + variable);
  if (std::optional<tf::Tensor> value = read_directly(i)) return *std::move(value);
  std::vector<tf::Tensor> fetched;
  throw_if_error(session().Run({}, {save_name(pieces_[i].first)}, {}, &fetched), "reading " + variable);
  return value_of(pieces_[i], graph_.variables[i], fetched[0]);
}

void EngineSession::assign(const std::string& variable, const tf::Tensor& value) {
  set_values({{variable, value}}, "assigning " + variable);
  renew_copies();
}

void EngineSession::assign(const NamedValues& values) {
  set_values(values, "assigning variables");
  renew_copies();
}

void EngineSession::abort() {
  aborted_ = true;
  session_->Close().IgnoreError();
}

}  // namespace mox
