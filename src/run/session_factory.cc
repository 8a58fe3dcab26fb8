#include "run/session_factory.h"

#include "base/environment.h"
#include "devices/step_threads.h"
#include "graph/graph_state.h"
#include "moxing/log.h"
#include "run/quiet_runtime.h"
#include "tensorflow/core/framework/device_attributes.pb.h"
#include "tensorflow/core/protobuf/config.pb.h"

namespace mox {

namespace tf = tensorflow;

namespace {

tf::SessionOptions session_options(const RunConfig& config) {
  tf::SessionOptions options;
  tf::ConfigProto& proto = options.config;
  config.devices.configure(&proto);
  proto.set_intra_op_parallelism_threads(config.num_intra_threads);
  proto.set_inter_op_parallelism_threads(config.num_inter_threads);
  // The graph never grows after this: the session need not keep a second copy of it.
  proto.mutable_experimental()->set_optimize_for_static_graph(true);
  // TensorFlow's graph optimizer: one round, without what a CPU never needs: swapping, recomputing, other layouts, and
  // shapes for the compiler. For resnet_v1_50 the second round took 0.19 s of 0.79 s before the first step and removed
  // 53 of 1,914 nodes, memory 0.09 s and none; for nasnet_large layout and shapes took 1.3 s of 7.3 s.
  tf::RewriterConfig* rewrite = proto.mutable_graph_options()->mutable_rewrite_options();
  rewrite->set_meta_optimizer_iterations(tf::RewriterConfig::ONE);
  rewrite->set_memory_optimization(tf::RewriterConfig::NO_MEM_OPT);
  if (!config.devices.on_gpus()) rewrite->set_layout_optimizer(tf::RewriterConfig::OFF);
  rewrite->set_disable_tfg_optimizer(true);
  // Constants in place of Fill, however large, would stay as long as the session: a second copy of all slots, which
  // begin as zeros, and a third when the first update has to leave the constant as it is.
  rewrite->set_experimental_disable_compressed_tensor_optimization(true);
  // What follows it in a session folds constants and joins what is alike once more, in as much time, and finds nothing.
  proto.mutable_graph_options()->mutable_optimizer_options()->set_opt_level(tf::OptimizerOptions::L0);
  for (const std::string& task : config.devices.tasks_of_session()) proto.add_device_filters(task);
  return options;
}

void check_devices(tf::Session* session, const DevicePlan& plan) {
  std::vector<tf::DeviceAttributes> devices;
  throw_if_error(session->ListDevices(&devices), "listing TensorFlow's devices");
  std::vector<std::string> names;
  for (const tf::DeviceAttributes& device : devices) names.push_back(device.name());
  plan.check_made(names);
  if (const std::string text = plan.description(); !text.empty()) plan.on_gpus() ? log_info(text) : log_warning(text);
}

}  // namespace

SessionFactory::SessionFactory(const RunConfig& config, const std::string& target,
                               std::shared_ptr<SessionBreaker> breaker)
    : options_(session_options(config)), devices_(config.devices), breaker_(std::move(breaker)) {
  bool_in_environment("MOX_HOST_MEMORY");  // throws what devices/host_memory.cc, too early, cannot
  options_.target = target;
  // A server's session has the server's threads; several devices of one process compute side by side.
  if (!target.empty() || devices_.on_gpus() || devices_.num_towers() > 1) return;
  step_threads_.intra_op_threadpool = StepThreads::of_process(config.operation_threads());
}

std::unique_ptr<tf::Session> SessionFactory::create(const tf::GraphDef& graph) const {
  quiet_runtime();
  tf::Session* made = nullptr;
  throw_if_error(tf::NewSession(options_, &made), "starting TensorFlow's runtime");
  std::unique_ptr<tf::Session> session(made);
  if (breaker_) session = make_breakable(std::move(session), breaker_);
  // A server's session lists devices once it has a graph.
  if (options_.target.empty()) check_devices(session.get(), devices_);
  throw_if_error(session->Create(graph), "loading the graph into TensorFlow's runtime");
  if (!options_.target.empty()) check_devices(session.get(), devices_);
  return session;
}

}  // namespace mox
