// The gradients of one process's devices, joined in each of the ways that there are.
#include <cmath>

#include "exchange/local_exchange.h"
#include "graph/node_defs.h"
#include "graph/step_variants.h"
#include "passes/passes.h"
#include "run/engine_session.h"
#include "run/graph_builder.h"
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;
namespace tf = tensorflow;

constexpr int64_t kSize = 100'003;  // more than a block, and no multiple of one

tf::Tensor part(int device, int tensor, tf::DataType dtype) {
  tf::Tensor values(tf::DT_FLOAT, {tensor == 0 ? kSize : 3});
  for (int64_t i = 0; i < values.NumElements(); ++i)
    values.flat<float>()(i) = std::sin(static_cast<float>(i * 7 + device * 13 + tensor));
  tf::Tensor cast(dtype, values.shape());
  if (dtype == tf::DT_FLOAT) return values;
  if (dtype == tf::DT_DOUBLE) cast.flat<double>() = values.flat<float>().cast<double>();
  if (dtype == tf::DT_HALF) cast.flat<Eigen::half>() = values.flat<float>().cast<Eigen::half>();
  if (dtype == tf::DT_BFLOAT16) cast.flat<tf::bfloat16>() = values.flat<float>().cast<tf::bfloat16>();
  return cast;
}

double value(const tf::Tensor& t, int64_t i) {
  if (t.dtype() == tf::DT_DOUBLE) return t.flat<double>()(i);
  if (t.dtype() == tf::DT_HALF) return static_cast<float>(t.flat<Eigen::half>()(i));
  if (t.dtype() == tf::DT_BFLOAT16) return static_cast<float>(t.flat<tf::bfloat16>()(i));
  return t.flat<float>()(i);
}

TEST(DeviceMean, IsTheMeanOfAllDevicesInEachType) {
  const std::pair<tf::DataType, double> types[] = {
      {tf::DT_FLOAT, 1e-6}, {tf::DT_DOUBLE, 1e-12}, {tf::DT_HALF, 1e-3}, {tf::DT_BFLOAT16, 1e-2}};
  for (const auto& [dtype, tolerance] : types)
    for (const int devices : {2, 3, 5}) {
      tf::GraphDef graph;
      NodeMaker mean(&graph, "mean", "MoxDeviceMean");
      for (int device = 0; device < devices; ++device)
        for (int tensor = 0; tensor < 2; ++tensor) {
          const std::string name = "in_" + std::to_string(device) + "_" + std::to_string(tensor);
          NodeMaker(&graph, name, "Const").attr("dtype", dtype).attr("value", part(device, tensor, dtype));
          mean.input(name);
        }
      mean.attr("N", int64_t{2}).attr("total", int64_t{2 * devices}).attr("T", dtype);
      std::unique_ptr<tf::Session> session(tf::NewSession({}));
      TF_CHECK_OK(session->Create(graph));
      std::vector<tf::Tensor> means;
      TF_CHECK_OK(session->Run({}, {"mean:0", "mean:1"}, {}, &means));
      for (int tensor = 0; tensor < 2; ++tensor)
        for (const int64_t i :
             {int64_t{0}, int64_t{2}, means[tensor].NumElements() / 2, means[tensor].NumElements() - 1}) {
          double sum = 0;
          for (int device = 0; device < devices; ++device) sum += value(part(device, tensor, dtype), i);
          EXPECT_NEAR(value(means[tensor], i), sum / devices, tolerance)
              << tf::DataTypeString(dtype) << ", " << devices << " devices, element " << i;
        }
    }
}

std::string name_of(const std::string& tensor) { return tensor.substr(0, tensor.find(':')); }

std::map<std::string, tf::NodeDef> by_name(const BuiltGraph& graph) {
  std::map<std::string, tf::NodeDef> nodes;
  for (const tf::NodeDef& node : graph.graph.node()) nodes[node.name()] = node;
  return nodes;
}

RunConfig config_on(int devices) {
  RunConfig config{toy_options("", 1)};
  config.num_gpus = devices;
  config.devices = DevicePlan(devices, true);
  return config;
}

BuiltGraph joined(int devices, Sums sums) {
  std::vector<InputTensor> batch;
  BuiltGraph graph = build_run_graph(config_on(devices), &batch);
  LocalExchange exchange(sums, DevicePlan(devices, true));
  connect_gradients(&graph, &exchange, {.clip = {0.5, "global_norm"}});
  return graph;
}

int count(const BuiltGraph& graph, const std::string& op) {
  return static_cast<int>(std::count_if(graph.graph.node().begin(), graph.graph.node().end(),
                                        [&](const tf::NodeDef& node) { return node.op() == op; }));
}

// The variables after `steps` steps of the graph's variant.
std::map<std::string, tf::Tensor> trained(BuiltGraph graph, int devices, size_t variant, int steps) {
  EngineSession session(graph, SessionFactory(config_on(devices)));
  session.initialize({});
  session.start_input();
  session.use_variant(variant);
  const auto step = session.prepare({session.step_count()}, graph.train_ops);
  for (int i = 0; i < steps; ++i) EXPECT_EQ(session.run(step)[0].scalar<int64_t>()(), i + 1);
  std::map<std::string, tf::Tensor> values;
  for (auto& [name, tensor] : session.read_variables()) values[name] = tensor;
  return values;
}

void expect_same(const std::map<std::string, tf::Tensor>& got, const std::map<std::string, tf::Tensor>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (const auto& [name, tensor] : expected) EXPECT_EQ(got.at(name).tensor_data(), tensor.tensor_data()) << name;
}

TEST(LocalExchange, BothWaysGiveTheSameNumbersBitForBit) {
  for (const int devices : {2, 4}) {
    const BuiltGraph host = joined(devices, Sums::kOnHost), on_devices = joined(devices, Sums::kOnDevices);
    EXPECT_EQ(count(host, "MoxDeviceMean"), 1) << "both variables in one operation";
    EXPECT_EQ(count(on_devices, "MoxDeviceMean"), 0);
    EXPECT_TRUE(host.variants.empty());
    expect_same(trained(host, devices, 0, 5), trained(on_devices, devices, 0, 5));
  }
  EXPECT_EQ(count(joined(1, Sums::kOnHost), "MoxDeviceMean"), 0);
}

// One graph with both: a step runs one of them, and all that depends on it.
TEST(LocalExchange, AGraphMayHaveBothWays) {
  const BuiltGraph both = joined(2, Sums::kTried);
  ASSERT_EQ(both.variants.size(), 2u);
  EXPECT_EQ(both.variants[0].name, "replicated_host");
  EXPECT_EQ(both.variants[1].name, "replicated");
  const auto expected = trained(joined(2, Sums::kOnHost), 2, 0, 5);
  expect_same(trained(both, 2, 0, 5), expected);
  expect_same(trained(both, 2, 1, 5), expected);
  BuiltGraph graph = both;
  const int updates = count(graph, "ResourceApplyGradientDescent"), convolutions = count(graph, "MatMul");
  ASSERT_GT(updates, 0);
  add_step_variants(&graph);
  EXPECT_EQ(count(graph, "ResourceApplyGradientDescent"), 2 * updates);
  EXPECT_EQ(count(graph, "MatMul"), convolutions) << "the model is there once";
  EXPECT_EQ(in_variant(graph.variants[0], graph.increment), graph.increment);
  EXPECT_NE(in_variant(graph.variants[1], graph.increment), graph.increment);
  const std::string loss = graph.towers[0].losses[0];
  EXPECT_EQ(in_variant(graph.variants[1], loss), loss);
}

// Large weights and few samples: the devices' rows are joined, and multiplied once.
TEST(LocalExchange, ProductsOfWeightsThatOutweighTheirRowsAreOne) {
  const auto graph_with = [](int devices, Sums sums, RunConfig* config) {
    *config = config_on(devices);
    config->random_seed = 3;
    config->model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys) {
      const Output image = ops::Reshape(s, layers::fully_connected(s, inputs[0], 64, "first", {}), {-1, 2, 2, 16});
      const Output maps = layers::conv2d(s, image, 64, 3, "conv", {.weight_decay = 0.01f});
      const Output y = layers::fully_connected(s, layers::flatten(s, maps), 64, "second", {.weight_decay = 0.02f});
      std::vector<Output> losses{ops::Mean(s, ops::Square(s, ops::Sub(s, ops::Mean(s, y, 1), inputs[1])), 0)};
      for (const Output& term : s.get_collection(collections::kRegularizationLosses)) losses.push_back(term);
      return ModelSpec{.loss = Output(ops::AddN(s, losses))};
    };
    std::vector<InputTensor> batch;
    BuiltGraph graph = build_run_graph(*config, &batch);
    LocalExchange(sums, config->devices).join(&graph);
    return graph;
  };
  const auto weights = [&](int devices, Sums sums, bool passes) {
    RunConfig config;
    BuiltGraph graph = graph_with(devices, sums, &config);
    if (passes) run_passes(&graph, {.devices = config.devices});
    EngineSession session(graph, SessionFactory(config));
    session.initialize({});
    session.start_input();
    const auto step = session.prepare({}, graph.train_ops);
    for (int i = 0; i < 3; ++i) session.run(step);
    return session.read_variables();
  };
  RunConfig config;
  const BuiltGraph graph = graph_with(2, Sums::kOnHost, &config);
  std::set<std::string> products;
  for (const tf::NodeDef& node : graph.graph.node())
    if (node.name().ends_with("/product")) products.insert(node.op());
  EXPECT_EQ(products, (std::set<std::string>{"Conv2DBackpropFilter", "MatMul"}));
  const std::map<std::string, tf::NodeDef> nodes = by_name(graph);
  for (const GradientSlot& slot : graph.gradients) {
    const std::string from = name_of(nodes.at(slot.slot).input(0));
    const bool is_large = slot.variable == "conv/weights" || slot.variable == "second/weights";
    EXPECT_EQ(from, is_large ? slot.slot + "/terms" : "mox_devices/mean_0") << slot.variable;
  }
  for (const bool passes : {false, true}) {
    const NamedValues host = weights(2, Sums::kOnHost, passes), apart = weights(2, Sums::kOnDevices, passes);
    ASSERT_EQ(host.size(), apart.size());
    for (size_t i = 0; i < host.size(); ++i)
      if (host[i].second.dtype() == tf::DT_FLOAT)
        for (int64_t k = 0; k < host[i].second.NumElements(); ++k)
          ASSERT_NEAR(host[i].second.flat<float>()(k), apart[i].second.flat<float>()(k), 2e-6)
              << host[i].first << ", element " << k;
  }
}

// Each device's loss has the weights' own terms; devices read the same weights, and the terms are computed once.
TEST(LocalExchange, TermsOfTheWeightsAreComputedOnce) {
  RunConfig config = config_on(3);
  config.random_seed = 3;
  config.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys) {
    const Output x = layers::fully_connected(s, inputs[0], 8, "first", {.weight_decay = 0.01f});
    const Output y = layers::fully_connected(s, x, 1, "second", {.weight_decay = 0.02f});
    std::vector<Output> losses{ops::L2Loss(s, ops::Sub(s, ops::Mean(s, y, 1), inputs[1]))};
    for (const Output& term : s.get_collection(collections::kRegularizationLosses)) losses.push_back(term);
    return ModelSpec{.loss = Output(ops::AddN(s, losses))};
  };
  std::vector<InputTensor> batch;
  BuiltGraph graph = build_run_graph(config, &batch);
  const auto losses = [&](BuiltGraph of) {
    EngineSession session(of, SessionFactory(config));
    session.initialize({});
    session.start_input();
    std::vector<std::string> fetches;
    for (const TowerInfo& tower : of.towers) fetches.push_back(tower.losses[0]);
    std::vector<float> values;
    for (const tf::Tensor& loss : session.run(session.prepare(fetches, {}))) values.push_back(loss.scalar<float>()());
    return values;
  };
  const std::vector<float> before = losses(graph);
  EXPECT_EQ(count(graph, "L2Loss"), 9);
  LocalExchange().join(&graph);
  std::set<std::string> taken;
  const std::map<std::string, tf::NodeDef> nodes = by_name(graph);
  for (const auto& [name, node] : nodes)
    for (const std::string& input : node.input())
      if (const auto from = nodes.find(name_of(input)); from != nodes.end() && from->second.op() == "L2Loss")
        taken.insert(from->first);
  EXPECT_EQ(taken.size(), 5u) << "two of the weights, and one of each device's samples";
  EXPECT_EQ(losses(graph), before);
}

// Of two losses, one whose gradients are dead in some steps must not take the other's along.
TEST(LocalExchange, LossesHaveBucketsOfTheirOwn) {
  RunConfig config = config_on(2);
  config.model_fn = two_losses;
  std::vector<InputTensor> batch;
  BuiltGraph graph = build_run_graph(config, &batch);
  LocalExchange().join(&graph);
  EXPECT_EQ(count(graph, "MoxDeviceMean"), 2);
}

}  // namespace
}  // namespace mox
