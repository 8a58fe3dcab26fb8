#include "run/engine_session.h"

#include <thread>
#include <unordered_map>

#include "absl/log/globals.h"
#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "moxing/error.h"
#include "tensorflow/core/protobuf/config.pb.h"

namespace mox {

namespace tf = tensorflow;

namespace {

std::string restore_name(size_t i) { return "mox_restore/" + std::to_string(i); }
std::string save_name(size_t i) { return "mox_save/" + std::to_string(i); }

// TensorFlow's notes are not for MoXing's users, errors come as exceptions; TF_CPP_MIN_LOG_LEVEL brings them back.
void quiet_runtime() {
  if (!std::getenv("TF_CPP_MIN_LOG_LEVEL")) absl::SetMinLogLevel(absl::LogSeverityAtLeast::kError);
}

tf::SessionOptions session_options(const RunConfig& config) {
  tf::SessionOptions options;
  tf::ConfigProto& proto = options.config;
  proto.set_allow_soft_placement(true);
  proto.set_intra_op_parallelism_threads(config.num_intra_threads);
  proto.set_inter_op_parallelism_threads(config.num_inter_threads);
  (*proto.mutable_device_count())["CPU"] = config.num_gpus;
  // The graph never grows after this: the session need not keep a second copy of it.
  proto.mutable_experimental()->set_optimize_for_static_graph(true);
  return options;
}

}  // namespace

EngineSession::EngineSession(BuiltGraph& graph, const RunConfig& config) : graph_(graph) {
  add_variable_ops();
  create(config);
}

EngineSession::~EngineSession() {
  if (!session_) return;
  if (!aborted_) {
    session_->Close().IgnoreError();
    return;
  }
  // What stalled the step (a Python generator that sleeps) may not end for long: nobody waits for it.
  std::thread([session = std::move(session_)]() mutable { session.reset(); }).detach();
}

void EngineSession::add_variable_ops() {
  const NodeIndex index = index_nodes(graph_.graph);
  std::vector<std::string> devices;
  for (const VariableInfo& variable : graph_.variables)
    devices.push_back(require_node(index, variable.handle, "variable " + variable.name).device());
  for (size_t i = 0; i < graph_.variables.size(); ++i) {
    const VariableInfo& variable = graph_.variables[i];
    // No shape: TensorFlow's optimizer would make a tensor of it. The loader has compared the shapes.
    NodeMaker(&graph_.graph, restore_name(i), "Placeholder")
        .attr("dtype", variable.dtype)
        .attr("shape", tf::PartialTensorShape());
    NodeMaker(&graph_.graph, restore_name(i) + "/assign", "AssignVariableOp")
        .input(variable.handle)
        .input(restore_name(i))
        .attr("dtype", variable.dtype)
        .device(devices[i]);
    NodeMaker(&graph_.graph, save_name(i), "ReadVariableOp")
        .input(variable.handle)
        .attr("dtype", variable.dtype)
        .device(devices[i]);
  }
}

void EngineSession::create(const RunConfig& config) {
  quiet_runtime();
  tf::Session* session = nullptr;
  throw_if_error(tf::NewSession(session_options(config), &session), "starting TensorFlow's runtime");
  session_.reset(session);
  throw_if_error(session_->Create(graph_.graph), "loading the graph into TensorFlow's runtime");
}

void EngineSession::initialize(const LoadedCheckpoint& checkpoint) {
  std::vector<std::string> initializers, assigns;
  std::vector<std::pair<std::string, tf::Tensor>> values;
  for (size_t i = 0; i < graph_.variables.size(); ++i) {
    const VariableInfo& variable = graph_.variables[i];
    auto found = checkpoint.values.find(variable.name);
    if (found == checkpoint.values.end()) {
      initializers.push_back(variable.initializer);
    } else {
      values.emplace_back(restore_name(i), found->second);
      assigns.push_back(restore_name(i) + "/assign");
    }
  }
  if (!assigns.empty()) throw_if_error(session_->Run(values, {}, assigns, nullptr), "restoring " + checkpoint.prefix);
  if (!initializers.empty()) throw_if_error(session_->Run({}, {}, initializers, nullptr), "initialising the variables");
  for (const std::string& op : graph_.initializers)
    throw_if_error(session_->Run(graph_.feeds, {}, {op}, nullptr), "initialising the input (" + op + ")");
}

EngineSession::Callable EngineSession::prepare(const std::vector<std::string>& fetches,
                                               const std::vector<std::string>& targets) {
  tf::CallableOptions options;
  for (const std::string& fetch : fetches) options.add_fetch(fetch);
  for (const std::string& target : targets) options.add_target(target);
  Callable handle = 0;
  throw_if_error(session_->MakeCallable(options, &handle), "preparing the step");
  return handle;
}

std::vector<tf::Tensor> EngineSession::run(Callable callable) {
  std::vector<tf::Tensor> fetched;
  const absl::Status status = session_->RunCallable(callable, {}, &fetched, nullptr);
  if (status.ok()) return fetched;
  if (absl::IsOutOfRange(status)) throw EndOfInput();
  throw RunError(std::string(status.message()));
}

std::vector<tf::Tensor> EngineSession::run_traced(const std::vector<std::string>& fetches,
                                                  const std::vector<std::string>& targets, tf::StepStats* stats) {
  tf::RunOptions options;
  options.set_trace_level(tf::RunOptions::FULL_TRACE);
  tf::RunMetadata metadata;
  std::vector<tf::Tensor> fetched;
  const absl::Status status = session_->Run(options, {}, fetches, targets, &fetched, &metadata);
  if (absl::IsOutOfRange(status)) throw EndOfInput();
  if (!status.ok()) throw RunError(std::string(status.message()));
  *stats = metadata.step_stats();
  return fetched;
}

NamedValues EngineSession::read_variables() {
  if (!read_prepared_) {
    std::vector<std::string> fetches;
    for (size_t i = 0; i < graph_.variables.size(); ++i) fetches.push_back(save_name(i));
    read_all_ = prepare(fetches, {});
    read_prepared_ = true;
  }
  std::vector<tf::Tensor> tensors = run(read_all_);
  NamedValues values;
  for (size_t i = 0; i < tensors.size(); ++i) values.emplace_back(graph_.variables[i].name, std::move(tensors[i]));
  return values;
}

int64_t EngineSession::global_step() {
  for (size_t i = 0; i < graph_.variables.size(); ++i) {
    if (graph_.variables[i].name != graph_.global_step) continue;
    std::vector<tf::Tensor> fetched;
    throw_if_error(session_->Run({}, {save_name(i)}, {}, &fetched), "reading the global step");
    return fetched[0].scalar<int64_t>()();
  }
  return 0;
}

void EngineSession::abort() {
  aborted_ = true;
  session_->Close().IgnoreError();
}

}  // namespace mox
