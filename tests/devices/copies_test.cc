// Several GPUs with a copy of the variables each: what each of them has in the graph, and that the numbers are those of
// CPU devices, which share one. The GPUs are pretended: all runs on the CPU by soft placement.
#include <filesystem>

#include "exchange/local_exchange.h"
#include "graph/node_defs.h"
#include "passes/passes.h"
#include "run/engine.h"
#include "run/engine_session.h"
#include "run/graph_builder.h"
#include "run/toy_model.h"

namespace mox::copies_test {
namespace {

using namespace mox::testing;
namespace tf = tensorflow;

constexpr char kHost[] = "/device:CPU:0";

DevicePlan gpus(int towers) { return DevicePlan(towers, false, Machine{.gpus = 4, .pretended = true}).with_copies(); }
DevicePlan cpus(int towers) { return {towers, true, Machine{}}; }
std::string gpu(int i) { return "/device:GPU:" + std::to_string(i); }

ModelSpec network(const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
  Output x = ops::Reshape(s, inputs[0], {-1, 2, 2, 1});
  x = layers::conv2d(s, x, 8, 3, "conv",
                     {.normalizer = layers::batch_normalizer({.is_training = mode == ModeKeys::TRAIN, .fused = true}),
                      .weight_decay = 1e-3f});
  const tf::Output logits = layers::fully_connected(s, layers::flatten(s, x), 3, "logits", {.activation = {}});
  const Output label = ops::FloorMod(s, ops::Cast(s, ops::Abs(s, inputs[1]), tf::DT_INT64), int64_t{3});
  Output loss = losses::sparse_softmax_cross_entropy(s, label, logits);
  scalar_summary(s, "loss", loss);
  return {.loss = loss, .output_info = {{"loss", loss}}};
}

RunConfig config_of(const DevicePlan& devices, const OptimizerFn& optimizer, const std::string& log_dir = "",
                    int64_t steps = 10) {
  RunConfig config{toy_options(log_dir, steps)};
  config.input_fn = shuffled_rows();
  config.model_fn = network;
  config.optimizer_fn = optimizer;
  config.random_seed = 7;
  config.devices = devices;
  config.num_gpus = devices.num_towers();
  config.batch_size = 8 / config.num_gpus;
  return config;
}

OptimizerFn momentum() { return get_optimizer_fn("momentum", 0.02, {.momentum = 0.9f}); }

// As the engine prepares it.
BuiltGraph prepared(const RunConfig& config) {
  std::vector<InputTensor> batch;
  BuiltGraph graph = build_run_graph(config, &batch);
  LocalExchange exchange(config.sums, config.devices);
  connect_gradients(&graph, &exchange, {.dynamic_loss_scale = config.dynamic_loss_scale, .clip = config.gradient_clip});
  run_passes(&graph, {.devices = config.devices});
  exchange.place(&graph);
  return graph;
}

// [device]: how many operations of this kind.
std::map<std::string, int> where(const BuiltGraph& graph, const std::string& op) {
  std::map<std::string, int> found;
  for (const tf::NodeDef& node : graph.graph.node())
    if (node.op() == op) ++found[node.device()];
  return found;
}

std::string name_of(const std::string& tensor) { return tensor.substr(0, tensor.find(':')); }

std::map<std::string, tf::NodeDef> by_name(const BuiltGraph& graph) {
  std::map<std::string, tf::NodeDef> nodes;
  for (const tf::NodeDef& node : graph.graph.node()) nodes[node.name()] = node;
  return nodes;
}

// The node that reads the variable whose value an input is; nullptr: it is none.
const tf::NodeDef* variable_read(const std::map<std::string, tf::NodeDef>& nodes, const std::string& input) {
  const tf::NodeDef* node = &nodes.at(name_of(input));
  while (node->op() == "Identity") node = &nodes.at(name_of(node->input(0)));
  return node->op() == "ReadVariableOp" ? node : nullptr;
}

using Counts = std::map<std::string, int>;

TEST(Copies, EachGpuUpdatesItsOwnAndComputesWithIt) {
  for (const int towers : {2, 4}) {
    const BuiltGraph graph = prepared(config_of(gpus(towers), momentum()));
    const Counts updates = where(graph, "ResourceApplyMomentum"), computing = where(graph, "Conv2D");
    const int trained = static_cast<int>(graph.gradients.size());
    ASSERT_EQ(static_cast<int>(updates.size()), towers);
    for (int i = 0; i < towers; ++i) {
      EXPECT_EQ(updates.at(gpu(i)), trained);
      EXPECT_EQ(computing.at(gpu(i)), 1);
    }
    EXPECT_EQ(where(graph, "MoxDeviceMean"), (Counts{{kHost, 1}})) << "the sum is the host's";
    // The model of one device takes its weights from that device alone.
    const std::map<std::string, tf::NodeDef> nodes = by_name(graph);
    for (const auto& [name, node] : nodes) {
      EXPECT_FALSE(node.device().empty()) << name << " is left to the runtime";
      if (node.op() != "Conv2D" && node.op() != "MatMul") continue;
      for (const std::string& input : node.input())
        if (const tf::NodeDef* read = variable_read(nodes, input)) {
          EXPECT_EQ(read->device(), node.device()) << name;
          EXPECT_EQ(nodes.at(name_of(read->input(0))).device(), node.device()) << name;
        }
    }
    // What checkpoints hold is there once; all wait for all updates.
    for (const VariableInfo& variable : graph.variables) EXPECT_EQ(variable.name.find("mox_copy"), std::string::npos);
    int waits = 0;
    for (const std::string& input : nodes.at(graph.increment).input()) waits += input.rfind("^mox_copy/", 0) == 0;
    EXPECT_EQ(waits, trained * (towers - 1));
  }
}

TEST(Copies, NcclSumsWhereTheDevicesShall) {
  RunConfig config = config_of(gpus(2), momentum());
  config.sums = Sums::kOnDevices;
  config.gradient_clip = {0.5, "global_norm"};
  const BuiltGraph graph = prepared(config);
  const int trained = static_cast<int>(graph.gradients.size());
  EXPECT_EQ(where(graph, "NcclAllReduce"), (Counts{{gpu(0), trained}, {gpu(1), trained}}));
  EXPECT_TRUE(where(graph, "MoxDeviceMean").empty());
  std::map<std::string, int> names;
  for (const tf::NodeDef& node : graph.graph.node())
    if (node.op() == "NcclAllReduce") {
      ++names[node.attr().at("shared_name").s()];
      EXPECT_EQ(node.attr().at("num_devices").i(), 2);
      EXPECT_EQ(node.attr().at("reduction").s(), "sum");
    }
  EXPECT_EQ(static_cast<int>(names.size()), trained);
  for (const auto& [name, count] : names) EXPECT_EQ(count, 2) << name;
  // No gradient leaves its device: each update's inputs come from there, through the clip.
  const std::map<std::string, tf::NodeDef> nodes = by_name(graph);
  for (const auto& [name, node] : nodes) {
    if (node.op() != "ResourceApplyMomentum") continue;
    std::vector<std::string> stack{node.input(3)};
    int sums = 0;
    for (std::set<std::string> seen; !stack.empty();) {
      const tf::NodeDef& at = nodes.at(name_of(stack.back()));
      stack.pop_back();
      if (!seen.insert(at.name()).second || at.op() == "Const") continue;
      EXPECT_EQ(at.device(), node.device()) << at.name() << " for " << name;
      if (at.op() == "NcclAllReduce") {
        ++sums;
        continue;
      }
      for (const std::string& input : at.input())
        if (input[0] != '^') stack.push_back(input);
    }
    EXPECT_EQ(sums, trained) << "the global norm is of all";
  }
}

// The mean loss over the devices, of every step.
std::vector<double> losses_of(RunConfig config) {
  std::filesystem::create_directories(config.log_dir);
  config.output_every_n_steps = 1;
  std::vector<double> losses;
  config.output_fn = [&](const std::vector<OutputDict>& outputs) {
    double sum = 0;
    for (const OutputDict& dict : outputs) sum += dict.at("loss").scalar<float>()();
    losses.push_back(sum / static_cast<double>(outputs.size()));
  };
  std::vector<InputTensor> batch;
  BuiltGraph graph = build_run_graph(config, &batch);
  run_built_graph(std::move(graph), std::nullopt, config);
  return losses;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& expected, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-5) << what << ", step " << i;
}

TEST(Copies, TheNumbersAreTheCpus) {
  OptimizerWrapperOptions two{.num_batches = 2};
  const std::map<std::string, OptimizerFn> optimizers = {
      {"momentum", momentum()},
      {"adam", get_optimizer_fn("adam", 0.01)},
      {"lars", get_optimizer_wrapper_fn("lars", momentum(), {})},
      {"batch_gradients", get_optimizer_wrapper_fn("batch_gradients", momentum(), two)},
      {"lamb", get_optimizer_fn("lamb", 0.01)},
  };
  for (const auto& [name, optimizer] : optimizers) {
    TempDir dir;
    RunConfig cpu = config_of(cpus(2), optimizer, dir.path("cpu")),
              gpu = config_of(gpus(2), optimizer, dir.path("gpu"));
    for (RunConfig* config : {&cpu, &gpu}) {
      if (name == "momentum") config->gradient_clip = {0.5, "global_norm"};
      if (name == "adam") config->dynamic_loss_scale = true;
    }
    const std::vector<double> expected = losses_of(cpu);
    expect_near(losses_of(gpu), expected, name);
    EXPECT_LT(expected.back(), expected.front()) << name;
  }
}

// A checkpoint has the variables once, and fills all copies.
TEST(Copies, AResumedRunGoesOnOnAnyDevices) {
  TempDir dir;
  const std::vector<double> straight = losses_of(config_of(cpus(2), momentum(), dir.path("straight")));
  std::vector<double> parts;
  int64_t steps = 0;
  for (const DevicePlan& devices : {gpus(2), cpus(2), gpus(2)}) {
    const std::vector<double> part =
        losses_of(config_of(devices, momentum(), dir.path("parts"), std::min<int64_t>(steps += 4, 10)));
    parts.insert(parts.end(), part.begin(), part.end());
  }
  expect_near(parts, straight, "in parts");
}

// After a re-join the input begins elsewhere: what was staged before is no batch of it.
TEST(Copies, WhatWasStagedGoesWithTheOldInput) {
  for (const int towers : {1, 2}) {
    RunConfig config = config_of(gpus(towers), momentum());
    config.input_fn = [](const Scope& s, ModeKeys) { return regression_input(s, 0); };
    config.model_fn = regression_model;
    BuiltGraph graph = prepared(config);
    EngineSession session(graph, SessionFactory(config));
    session.initialize({});
    session.start_input();
    std::vector<std::string> inputs;
    for (const TowerInfo& tower : graph.towers) inputs.push_back(tower.inputs[0]);
    const auto step = session.prepare(inputs, graph.train_ops);
    const auto first_of = [](const std::vector<tf::Tensor>& batches) {
      std::vector<float> first;
      for (const tf::Tensor& batch : batches) first.push_back(batch.matrix<float>()(0, 0));
      return first;
    };
    const std::vector<float> beginning = first_of(session.run(step));
    const std::vector<float> second = first_of(session.run(step));
    EXPECT_NE(beginning, second);
    session.restart_input();
    EXPECT_EQ(first_of(session.run(step)), beginning);
    EXPECT_EQ(first_of(session.run(step)), second);
  }
}

}  // namespace
}  // namespace mox::copies_test
