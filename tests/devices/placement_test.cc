// Graphs for GPUs that are pretended: every operation is where it belongs, and they run by soft placement, with the
// numbers of the CPU.
#include <cmath>
#include <filesystem>

#include "graph/node_defs.h"
#include "passes/passes.h"
#include "run/engine.h"
#include "run/graph_builder.h"
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;
namespace tf = tensorflow;

DevicePlan on_gpus(int towers, int gpus) { return {towers, false, Machine{.gpus = gpus, .pretended = true}}; }

// Convolutions, batch norm with moving averages, labels made by one_hot, a weight decay, a summary, noise.
ModelSpec network(const Scope& s, const std::vector<Output>& inputs, ModeKeys mode, const std::string& format) {
  Output x = ops::Reshape(s, inputs[0], {-1, 2, 2, 1});
  if (format == "NCHW") x = layers::nhwc_to_nchw(s, x);
  x = layers::conv2d(s, x, 8, 3, "conv",
                     {.normalizer = layers::batch_normalizer(
                          {.is_training = mode == ModeKeys::TRAIN, .fused = true, .data_format = format}),
                      .weight_decay = 1e-3f,
                      .data_format = format});
  const tf::Output logits =
      layers::fully_connected(s, layers::flatten(s, x, "flat", format), 3, "logits", {.activation = {}});
  const Output label = ops::FloorMod(s, ops::Cast(s, ops::Abs(s, inputs[1]), tf::DT_INT64), int64_t{3});
  const Output rows = ops::OneHot(s, label, 3, 1.f, 0.f);
  const Output loss = losses::softmax_cross_entropy(s, rows, logits);
  scalar_summary(s, "loss", loss);
  return {.loss = loss, .log_info = {{"loss", loss}}, .output_info = {{"loss", loss}}};
}

struct Case {
  DevicePlan devices;
  std::string format = "NHWC";
  std::string log_dir;
  ModeKeys mode = ModeKeys::TRAIN;
  int64_t steps = 8;
};

RunOptions options_of(const Case& c) {
  RunOptions options = toy_options(c.log_dir, c.steps);
  options.run_mode = c.mode;
  options.input_fn = shuffled_rows();
  options.model_fn = [format = c.format](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    return network(s, inputs, mode, format);
  };
  options.optimizer_fn = get_optimizer_fn("momentum", 0.02, {.momentum = 0.9f});
  options.random_seed = 7;
  return options;
}

// A step takes 8 samples, on however many devices.
RunConfig config_on(const DevicePlan& devices, const RunOptions& options) {
  RunConfig config{options};
  config.devices = devices;
  config.num_gpus = devices.num_towers();
  config.batch_size = 8 / config.num_gpus;
  return config;
}

RunConfig config_of(const Case& c) { return config_on(c.devices, options_of(c)); }

BuiltGraph built(const Case& c, bool with_passes = true) {
  std::vector<InputTensor> batch;
  BuiltGraph graph = build_run_graph(config_of(c), &batch);
  if (with_passes) run_passes(&graph, {.devices = c.devices});
  return graph;
}

std::map<std::string, tf::NodeDef> nodes_of(const BuiltGraph& graph) {
  std::map<std::string, tf::NodeDef> nodes;
  for (const tf::NodeDef& node : graph.graph.node()) nodes[node.name()] = node;
  return nodes;
}

int count(const BuiltGraph& graph, const std::string& op) {
  return std::count_if(graph.graph.node().begin(), graph.graph.node().end(),
                       [&](const tf::NodeDef& node) { return node.op() == op; });
}

// The mean loss over the devices, of every step.
std::vector<double> losses_of(const Case& c) {
  std::filesystem::create_directories(c.log_dir);
  RunConfig config = config_of(c);
  config.output_every_n_steps = 1;
  std::vector<double> losses;
  config.output_fn = [&](const std::vector<OutputDict>& outputs) {
    double sum = 0;
    for (const OutputDict& dict : outputs) sum += dict.at("loss").scalar<float>()();
    losses.push_back(sum / outputs.size());
  };
  run_built_graph(built(c, false), std::nullopt, config);
  return losses;
}

const char kHost[] = "/device:CPU:0";

class OnGpus : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Towers, OnGpus, ::testing::Values(1, 2, 4));

TEST_P(OnGpus, EveryOperationIsWhereItBelongs) {
  const int towers = GetParam();
  const BuiltGraph graph = built({on_gpus(towers, 4)});
  const std::map<std::string, tf::NodeDef> nodes = nodes_of(graph);
  const std::string variables = towers == 1 ? "/device:GPU:0" : kHost;
  for (const auto& [name, node] : nodes) EXPECT_FALSE(node.device().empty()) << name << " is left to the runtime";
  std::map<std::string, int> computing, staged;  // device -> convolutions, buffers of images
  std::map<std::string, std::string> handles;
  for (const VariableInfo& variable : graph.variables)
    handles[variable.handle] = variable.name == graph.global_step ? kHost : variables;
  for (const auto& [name, node] : nodes) {
    if (node.op().find("Conv2D") == 0) ++computing[node.device()];
    if (handles.count(name)) EXPECT_EQ(node.device(), handles.at(name)) << name;
    for (const std::string& input : node.input())
      if (const auto handle = handles.find(input.substr(0, input.find(':')));
          handle != handles.end() && input[0] != '^')
        EXPECT_EQ(node.device(), handle->second) << name << " uses " << input;
    if (node.op() == "Stage" && node.attr().at("dtypes").list().type(0) == tf::DT_FLOAT) ++staged[node.device()];
    if (node.op() == "IteratorV2" || node.op().find("IteratorGetNext") == 0 || node.op() == "MakeIterator" ||
        node.op().find("Dataset") != std::string::npos || node.op().find("Summary") != std::string::npos ||
        node.op() == "MoxCheckClasses")
      EXPECT_EQ(node.device(), kHost) << name;
  }
  ASSERT_EQ(static_cast<int>(computing.size()), towers);
  for (const auto& [device, convolutions] : computing) {
    EXPECT_TRUE(is_gpu(device)) << device;
    EXPECT_EQ(convolutions, 3) << device << ": a convolution and its two gradients";
    EXPECT_EQ(staged[device], 1) << device;
  }
  EXPECT_EQ(count(graph, "MoxCheckClasses"), towers);
  EXPECT_EQ(nodes.at(graph.increment).device(), kHost);
  for (const std::string& rate : graph.learning_rates) {
    const tf::NodeDef& node = nodes.at(rate.substr(0, rate.find(':')));
    EXPECT_EQ(node.device(), node.op() == "Const" ? variables : kHost) << "a constant is where it is read";
  }
}

TEST_P(OnGpus, TheNumbersAreTheCpus) {
  TempDir dir;
  const int towers = GetParam();
  const std::vector<double> expected = losses_of({.devices = {towers, true, Machine{}}, .log_dir = dir.path("cpu")});
  const std::vector<double> got = losses_of({.devices = on_gpus(towers, 4), .log_dir = dir.path("gpu")});
  ASSERT_EQ(got.size(), 8u);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-5) << "step " << i;
  EXPECT_LT(got.back(), got.front());
}

// A hook that fetches the input with the step, and runs the graph once by the way, which takes a batch.
class Looker : public SessionRunHook {
 public:
  Looker(Output x, std::vector<float>* seen) : x_(x), seen_(seen) {}
  SessionRunArgs before_run(SessionRunContext&) override { return {{x_}, {}}; }
  void after_run(SessionRunContext& context, const SessionRunValues& values) override {
    seen_->push_back(values.results[0].matrix<float>()(0, 0));
    if (context.local_step() == 1) seen_->push_back(context.session().run({x_})[0].matrix<float>()(0, 0));
  }

 private:
  const Output x_;
  std::vector<float>* seen_;
};

// What the first device's hook sees of the input, in a training on data that ends.
std::vector<float> seen_by_hook(const DevicePlan& devices, int64_t samples, int64_t* steps) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 0, samples);
  std::vector<float> seen[4];
  int tower = 0;
  options.model_fn = [&](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    spec.hooks = {std::make_shared<Looker>(inputs[0], &seen[tower++])};
    return spec;
  };
  const RunConfig config = config_on(devices, options);
  std::vector<InputTensor> batch;
  *steps = run_built_graph(build_run_graph(config, &batch), std::nullopt, config).steps;
  return seen[0];
}

TEST(Gpus, TheStagedInputIsTheInput) {
  for (const int64_t samples : {8 * 6, 8 * 6 + 5}) {
    int64_t cpu_steps = 0, gpu_steps = 0;
    const std::vector<float> expected = seen_by_hook({1, true, Machine{}}, samples, &cpu_steps);
    EXPECT_EQ(seen_by_hook(on_gpus(1, 4), samples, &gpu_steps), expected);
    EXPECT_EQ(gpu_steps, cpu_steps) << "the last batch is trained on, too";
    EXPECT_EQ(cpu_steps, 5);
  }
}

TEST_P(OnGpus, AResumedRunReadsAgainWhatWasStaged) {
  TempDir dir;
  const DevicePlan devices = on_gpus(GetParam(), 4);
  const std::vector<double> straight = losses_of({.devices = devices, .log_dir = dir.path("straight")});
  std::vector<double> parts = losses_of({.devices = devices, .log_dir = dir.path("parts"), .steps = 3});
  const std::vector<double> rest = losses_of({.devices = devices, .log_dir = dir.path("parts")});
  parts.insert(parts.end(), rest.begin(), rest.end());
  ASSERT_EQ(parts.size(), straight.size());
  for (size_t i = 0; i < parts.size(); ++i) EXPECT_NEAR(parts[i], straight[i], 1e-6) << "step " << i;
}

TEST_P(OnGpus, ATrainingEndsWithItsData) {
  const int towers = GetParam();
  for (const int64_t samples : {8 * 3, 8 * 3 + 5}) {
    TempDir dir;
    const RunConfig config = config_on(on_gpus(towers, 4), toy_options(dir.path(), 0, samples));
    std::vector<InputTensor> batch;
    BuiltGraph graph = build_run_graph(config, &batch);
    EXPECT_EQ(run_built_graph(std::move(graph), std::nullopt, config).steps, 3) << samples << " samples";
  }
}

TEST(Gpus, WhatOnlyCpusHaveStaysAway) {
  const BuiltGraph cpu = built({DevicePlan()}), gpu = built({on_gpus(1, 1)});
  EXPECT_EQ(count(cpu, "MoxNormalize"), 1);
  EXPECT_EQ(count(gpu, "MoxNormalize"), 0);
  EXPECT_EQ(count(gpu, "FusedBatchNormV3"), 1);
  EXPECT_EQ(count(gpu, "IteratorGetNextSync"), 0) << "a small step in the caller's thread";
  EXPECT_FALSE(gpu.in_callers_thread);
}

TEST(Gpus, NchwStaysAndIsTransposedOnTheCpu) {
  const auto formats = [](const BuiltGraph& graph) {
    std::set<std::string> found;
    for (const tf::NodeDef& node : graph.graph.node())
      if (node.op() == "Conv2D" || node.op().find("FusedBatchNorm") == 0)
        found.insert(node.attr().at("data_format").s());
    return found;
  };
  EXPECT_EQ(formats(built({on_gpus(2, 2), "NCHW"})), std::set<std::string>{"NCHW"});
  EXPECT_EQ(formats(built({DevicePlan(), "NCHW"})), std::set<std::string>{"NHWC"});
}

TEST(Gpus, AnEvaluationToo) {
  TempDir dir;
  losses_of({.devices = DevicePlan(), .log_dir = dir.path()});
  const auto metric = [&](const DevicePlan& devices) {
    Case c{.devices = devices, .log_dir = dir.path(), .mode = ModeKeys::EVAL, .steps = 2};
    const BuiltGraph graph = built(c);
    for (const tf::NodeDef& node : graph.graph.node())
      if (node.op() == "Conv2D") EXPECT_EQ(is_gpu(node.device()), devices.on_gpus()) << node.name();
    return run_built_graph(built(c, false), std::nullopt, config_of(c)).metrics.at(0).second;
  };
  EXPECT_NEAR(metric(on_gpus(1, 1)), metric(DevicePlan()), 1e-6);
  EXPECT_NEAR(metric(on_gpus(2, 2)), metric({2, true, Machine{}}), 1e-6);
}

}  // namespace
}  // namespace mox
