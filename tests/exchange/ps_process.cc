// One process of parameter_server_test: ps_process ROLE INDEX PS_HOSTS WORKER_HOSTS CASE FOLDER
// ROLE: ps, worker, or single (one process with a device for each worker, to compare with). Writes the losses of its
// steps to FOLDER/ROLE_INDEX. CASE busy: worker 0 has a step that takes all its threads for three seconds, worker 1
// writes for each time that it asks the others in these whether worker 0 answered.
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <thread>

#include "exchange/parameter_server_exchange.h"
#include "moxing/layers.h"
#include "passes/passes.h"
#include "run/engine_session.h"
#include "run/graph_builder.h"
#include "run/tensorflow_server.h"
#include "run/toy_model.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/public/session.h"

namespace mox {
namespace {

using namespace mox::testing;
using namespace mox::layers;

constexpr int kSteps = 50;
constexpr int64_t kBatch = 8;  // a device's
constexpr int kSide = 8, kClasses = 4;

struct Case {
  std::string name;
  int devices = 1;  // of each worker
  bool sync = true;
  bool has(const char* what) const { return name.find(what) != std::string::npos; }
};

// Samples 0, 1, … of the joined batches, of which a worker sees its part.
std::vector<Output> input(const Scope& s, int worker, int workers, int devices) {
  const int64_t own = kBatch * devices, all = own * workers;
  const auto c = [&](int64_t v) { return ops::Const(s, v); };
  const Output i = counting_input(s, 0)[0];
  const Output n = ops::Add(s, ops::Mul(s, ops::FloorDiv(s, i, c(own)), c(all)),
                            ops::Add(s, ops::FloorMod(s, i, c(own)), c(worker * own)));
  const Output label = ops::FloorMod(s, n, c(kClasses));
  tensorflow::Tensor pattern(tensorflow::DT_FLOAT, {kSide, kSide, 1});
  for (int k = 0; k < kSide * kSide; ++k) pattern.flat<float>()(k) = 0.1f * static_cast<float>(k + 1);
  const Output ramp = ops::Const(s, pattern);
  const Output phase =
      ops::Cast(s, ops::Add(s, ops::Mul(s, label, c(3)), ops::FloorMod(s, n, c(7))), tensorflow::DT_FLOAT);
  return {ops::Sin(s, ops::Add(s, ops::Mul(s, ramp, phase), phase)), label, n};
}

ModelSpec model(const Scope& s, const std::vector<Output>& inputs, const Case& test) {
  Output x = conv2d(s, inputs[0], 6, 3, "conv1");
  if (test.has("batch_norm")) x = batch_norm(s, x, "bn", {.is_training = true});
  x = max_pool2d(s, x, 2, "pool");
  x = conv2d(s, x, 8, 3, "conv2");
  const Output logits = fully_connected(s, flatten(s, x), kClasses, "logits", {.activation = {}});
  const Output labels = ops::Cast(s, inputs[1], tensorflow::DT_INT32);
  const Output rows = ops::OneHot(s, labels, ops::Const(s, kClasses), 1.f, 0.f);
  Output loss = ops::Mean(s, ops::SoftmaxCrossEntropyWithLogits(s, logits, rows).loss, 0);
  if (test.has("overflow")) {  // the gradient of one sample, which one worker has in the second step
    const Output one = ops::Cast(s, ops::Equal(s, inputs[2], ops::Const(s, int64_t{3 * kBatch})), tensorflow::DT_FLOAT);
    const Output large = ops::Mul(s, ops::Mul(s, ops::Mean(s, logits, {0, 1}), 1e36f), ops::Sum(s, one, 0));
    loss = ops::Add(s, loss, ops::Sub(s, large, ops::StopGradient(s, large)));
  }
  ModelSpec spec;
  spec.loss = loss;
  if (test.has("two_losses")) {
    spec.loss = std::vector<Output>{loss, ops::Mul(s, ops::Mean(s, ops::Square(s, logits), {0, 1}), 0.01f)};
    spec.var_scopes = {{"conv1", "logits"}, {"conv2"}};
  }
  return spec;
}

OptimizerFn optimizer(const Case& test) {
  OptimizerFn fn =
      get_optimizer_fn(test.has("adam") ? "adam" : "momentum", test.has("adam") ? 0.002 : 0.01, {.momentum = 0.9f});
  if (test.has("batch_gradients"))
    fn = get_optimizer_wrapper_fn("batch_gradients", fn, {.num_batches = 2, .sync_on_apply = test.has("on_apply")});
  if (test.has("dgc")) fn = get_optimizer_wrapper_fn("dgc", fn, {});
  if (test.has("lars")) fn = get_optimizer_wrapper_fn("lars", fn, {});
  return fn;
}

struct Settings {
  std::string role;
  ServerCluster cluster;
  Case test;
  std::string folder;
};

RunConfig config_of(const Settings& settings) {
  const int workers = static_cast<int>(settings.cluster.worker_hosts.size());
  const Case& test = settings.test;
  const bool single = settings.role == "single";
  RunOptions options;
  const int worker = single ? 0 : settings.cluster.index, of = single ? 1 : workers;
  const int devices = test.devices * (single ? workers : 1);
  options.input_fn = [=](const Scope& s, ModeKeys) { return input(s, worker, of, devices); };
  options.model_fn = [test](const Scope& s, const std::vector<Output>& inputs, ModeKeys) {
    return model(s, inputs, test);
  };
  options.optimizer_fn = optimizer(test);
  options.batch_size = kBatch;
  options.random_seed = 5;
  RunConfig config{options};
  config.num_gpus = devices;
  config.devices = DevicePlan(devices, true);
  if (!single) config.devices = config.devices.in_cluster(worker, static_cast<int>(settings.cluster.ps_hosts.size()));
  config.dynamic_loss_scale = test.has("dynamic");
  config.use_fp16 = test.has("fp16");
  if (test.has("clip_norm")) config.gradient_clip = {0.05, "global_norm"};
  if (test.has("clip_each")) config.gradient_clip = {0.1, "norm"};
  return config;
}

void train(const Settings& settings) {
  const RunConfig config = config_of(settings);
  const int workers = static_cast<int>(settings.cluster.worker_hosts.size());
  const bool single = settings.role == "single";
  std::string target;
  if (!single) target = TensorflowServer::start(settings.cluster, config.devices, 1, 2).target();
  std::vector<InputTensor> batch;
  BuiltGraph graph = build_run_graph(config, &batch);
  ParameterServerOptions options;
  options.task = settings.cluster.index;
  options.workers = workers;
  options.devices = config.devices;
  options.sync = settings.test.sync;
  options.copies = settings.test.has("copies");
  options.tries_copies = settings.test.has("tries");
  if (settings.test.has("backup")) options.replicas_to_aggregate = workers - 1;
  const bool slow = settings.test.has("backup") && settings.cluster.index == workers - 1;
  LocalExchange local;
  ParameterServerExchange servers(options);
  Exchange& exchange = single ? static_cast<Exchange&>(local) : servers;
  connect_gradients(&graph, &exchange, {.dynamic_loss_scale = config.dynamic_loss_scale, .clip = config.gradient_clip});
  run_passes(&graph, {config.devices, config.use_fp16, true});
  exchange.place(&graph);
  set_generation(&graph.graph, "first");
  EngineSession session(graph, SessionFactory(config, target));
  // The others take what the chief has, before its first step changes that.
  const auto wait_for = [&](int worker) {
    while (access((settings.folder + "/ready_" + std::to_string(worker)).c_str(), F_OK) != 0) usleep(10000);
  };
  const int index = settings.cluster.index;
  if (!single && index > 0) wait_for(0);
  session.initialize({});
  session.start_input();
  for (const std::string& op : servers.starters()) session.run_operation(op, {});
  if (!single) std::ofstream(settings.folder + "/ready_" + std::to_string(index)) << "ready";
  for (int i = 1; !single && index == 0 && i < workers; ++i) wait_for(i);
  std::vector<std::string> fetches;
  for (const TowerInfo& tower : graph.towers) fetches.insert(fetches.end(), tower.losses.begin(), tower.losses.end());
  const size_t losses = fetches.size();
  fetches.push_back(session.step_count());
  for (const NamedTensor& info : graph.towers[0].log_info) fetches.push_back(info.tensor);
  std::vector<EngineSession::Prepared> ways;
  for (size_t variant = 0; variant < std::max<size_t>(1, graph.variants.size()); ++variant) {
    if (variant > 0) session.use_variant(variant);
    std::vector<std::string> targets = graph.train_ops;
    targets.insert(targets.end(), session.variant_targets().begin(), session.variant_targets().end());
    ways.push_back(session.prepare(fetches, targets));
  }
  std::ofstream out(settings.folder + "/" + settings.role + "_" + std::to_string(settings.cluster.index) + ".part");
  out.precision(9);
  for (int i = 0, done = 0; i < kSteps && done < kSteps; ++i) {
    // The others do five steps meanwhile, however long that takes: were they held up, this would not end.
    while (slow && session.global_step() < std::min(done + 5, kSteps)) usleep(1000);
    // Not in the same steps: a worker may have its copies while another has none.
    const size_t way = static_cast<size_t>(i / (3 + index)) % ways.size();
    if (!graph.variants.empty()) session.use_variant(way);
    const std::vector<tensorflow::Tensor> fetched = session.run(ways[way]);
    if (options.sync) done = static_cast<int>(fetched[losses].scalar<int64_t>()());
    double sum = 0;
    for (size_t k = 0; k < losses; ++k) sum += fetched[k].scalar<float>()();
    out << sum / static_cast<double>(graph.towers.size()) << ' ' << fetched[losses].scalar<int64_t>()();
    if (fetched.size() > losses + 1) out << ' ' << fetched[losses + 1].scalar<float>()();
    out << '\n';
  }
  if (index == 0) {
    double checksum = 0;
    for (const auto& [name, value] : session.read_variables())
      if (name.find("moving") != std::string::npos)
        for (int64_t i = 0; i < value.NumElements(); ++i) checksum += value.flat<float>()(i);
    out << checksum << " " << session.global_step() << "\n";
  }
  out.close();
  const std::string name = settings.folder + "/" + settings.role + "_" + std::to_string(settings.cluster.index);
  std::rename((name + ".part").c_str(), name.c_str());
}

// Three seconds of a thread.
REGISTER_OP("TestBusy").Output("done: bool").SetIsStateful();
class TestBusyOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(tensorflow::OpKernelContext* c) override {
    std::this_thread::sleep_for(std::chrono::seconds(3));
    tensorflow::Tensor* done = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, {}, &done));
    done->scalar<bool>()() = true;
  }
};
REGISTER_KERNEL_BUILDER(Name("TestBusy").Device(tensorflow::DEVICE_CPU), TestBusyOp);

void be_busy(const Settings& settings, TensorflowServer* server) {
  tensorflow::GraphDef graph;
  for (const char* name : {"one", "two"}) {
    tensorflow::NodeDef* node = graph.add_node();
    node->set_name(name);
    node->set_op("TestBusy");
    node->set_device(device_of_task(task_name("worker", 0)));
  }
  tensorflow::SessionOptions options;
  options.target = server->target();
  options.config.add_device_filters(task_name("worker", 0));
  const std::unique_ptr<tensorflow::Session> session(tensorflow::NewSession(options));
  absl::Status status = session->Create(graph);
  std::ofstream(settings.folder + "/ready") << "ready";
  if (status.ok()) status = session->Run({}, {}, {"one", "two"}, nullptr);
  std::ofstream(settings.folder + "/done") << "done";
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

void watch_the_busy(const Settings& settings, TensorflowServer* server) {
  const auto is_there = [&](const char* name) { return access((settings.folder + "/" + name).c_str(), F_OK) == 0; };
  while (!is_there("ready")) usleep(10000);
  std::ofstream out(settings.folder + "/worker_1");
  while (!is_there("done")) {
    const bool answers = server->ask(1)[settings.cluster.ps_hosts.size()].alive;
    if (!is_there("done")) out << (answers ? 1 : 0) << std::endl;
    usleep(100000);
  }
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

int main_of(char** argv) {
  Settings settings;
  settings.role = argv[1];
  settings.cluster = {settings.role == "ps" ? "ps" : "worker", atoi(argv[2]), split(argv[3]), split(argv[4])};
  settings.test.name = argv[5];
  settings.test.sync = !settings.test.has("async");
  settings.test.devices = settings.test.has("two_devices") ? 2 : 1;
  settings.folder = argv[6];
  if (settings.role == "ps") {
    TensorflowServer::start(settings.cluster, DevicePlan(), 1, 2);
    std::this_thread::sleep_for(std::chrono::hours(1));
  }
  if (settings.test.has("busy")) {
    TensorflowServer& server = TensorflowServer::start(settings.cluster, DevicePlan(), 1, 2);
    settings.cluster.index == 0 ? be_busy(settings, &server) : watch_the_busy(settings, &server);
    return 0;
  }
  train(settings);
  return 0;
}

}  // namespace
}  // namespace mox

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  int code = 1;
  try {
    code = mox::main_of(argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s %s: %s\n", argv[1], argv[2], e.what());
  }
  std::fflush(nullptr);
  _exit(code);
}
