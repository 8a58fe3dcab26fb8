// Folded batch norm against the separate operations, in graphs of our layers and as it is exported.
#include "passes/fold_batch_norm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "graph/graph_session.h"
#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "moxing/layers.h"
#include "moxing/nets.h"
#include "passes/constant_filters.h"
#include "passes/fold_into_variables.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox::folding {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tensorflow::Output;
using Values = std::vector<std::pair<std::string, tf::Tensor>>;
using Network = std::function<Output(const Scope&, const Output&)>;

// "images" to "output"; variables have numbers in which nothing cancels.
struct Model {
  BuiltGraph built;
  Values values;
  tf::TensorShape images;
};

// In layers that follow each other the images keep about their size.
tf::Tensor value_of(const Variable& variable, int seed) {
  if (variable.name.ends_with("moving_variance")) return random_tensor(variable.shape, seed, 0.5f, 1.5f);
  if (variable.name.ends_with("gamma")) return random_tensor(variable.shape, seed, 0.5f, 1);
  if (variable.shape.dims() < 2) return random_tensor(variable.shape, seed, -0.3f, 0.3f);
  const bool depthwise = variable.name.ends_with("depthwise_weights");
  double inputs = 1;
  for (int i = 0; i < variable.shape.dims() - (depthwise ? 2 : 1); ++i) inputs *= variable.shape.dim_size(i);
  const auto limit = static_cast<float>(std::sqrt(6 / inputs));
  return random_tensor(variable.shape, seed, -limit, limit);
}

Model build(const Network& network, const std::vector<int64_t>& shape, ModeKeys mode = ModeKeys::PREDICT,
            tf::DataType type = tf::DT_FLOAT) {
  const Scope s = Scope::new_root();
  const Output images =
      ops::Placeholder(s.WithOpName("images"), tf::DT_FLOAT, ops::Placeholder::Shape(tf::PartialTensorShape(shape)));
  const Scope inner = type == tf::DT_FLOAT ? s : s.var_scope(tf::DT_FLOAT);
  const Output narrow = type == tf::DT_FLOAT ? images : Output(ops::Cast(s, images, type));
  const Output y = network(inner, narrow);
  ops::Cast(s.WithOpName("output"), y, tf::DT_FLOAT);
  check(s, "test");
  Model model;
  model.built.mode = mode;
  model.images = tf::TensorShape(shape);
  s.graph()->ToGraphDef(&model.built.graph);
  int seed = 1;
  for (const Variable& v : s.state().variables) {
    model.built.variables.push_back({v.name, v.handle.node()->name(), v.initializer.node()->name(), v.dtype, v.shape});
    model.values.emplace_back(v.name, value_of(v, seed++));
  }
  if (mode == ModeKeys::EXPORT)
    model.built.export_info.signatures = {{"serving_default", {{"images", "images:0"}}, {{"output", "output:0"}}}};
  return model;
}

std::vector<tf::Tensor> run(const Model& model, const tf::Tensor& images,
                            const std::vector<std::string>& fetches = {"output"}) {
  tf::GraphDef graph = model.built.graph;
  std::vector<std::string> assigns;
  std::vector<std::pair<std::string, tf::Tensor>> feeds;
  for (size_t i = 0; i < model.values.size(); ++i) {
    const std::string name = "test_value_" + std::to_string(i);
    NodeMaker(&graph, name, "Placeholder").attr("dtype", tf::DT_FLOAT).attr("shape", tf::PartialTensorShape());
    NodeMaker(&graph, name + "/assign", "AssignVariableOp")
        .input(model.built.variables[i].handle)
        .input(name)
        .attr("dtype", tf::DT_FLOAT);
    feeds.emplace_back(name, model.values[i].second);
    assigns.push_back(name + "/assign");
  }
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  TF_CHECK_OK(session->Run(feeds, {}, assigns, nullptr));
  std::vector<tf::Tensor> outputs;
  for (int step = 0; step < 2; ++step) TF_CHECK_OK(session->Run({{"images", images}}, fetches, {}, &outputs));
  return outputs;
}

int count_of(const tf::GraphDef& graph, const std::string& op) {
  return static_cast<int>(std::count_if(graph.node().begin(), graph.node().end(),
                                        [&](const tf::NodeDef& node) { return node.op() == op; }));
}

layers::BatchNormOptions norm_options(bool fused, bool scale = true, bool center = true) {
  return {.center = center, .scale = scale, .is_training = false, .fused = fused};
}

Network convolution(const layers::BatchNormOptions& norm, bool depthwise = false) {
  return [=](const Scope& s, const Output& x) {
    if (depthwise)
      return layers::depthwise_conv2d(s, x, 3, "conv",
                                      {.depth_multiplier = 2, .normalizer = layers::batch_normalizer(norm)});
    return layers::conv2d(s, x, 12, 3, "conv", {.normalizer = layers::batch_normalizer(norm)});
  };
}

// A convolution with a bias of its own, whose batch norm follows.
Output biased(const Scope& s, const Output& x, bool fused) {
  const Output y = layers::conv2d(s, x, 12, 3, "conv", {.activation = nullptr});
  return layers::batch_norm(s, y, "BatchNorm", norm_options(fused));
}

const std::vector<int64_t> kShape = {2, 9, 7, 5};

struct Case {
  const char* name;
  Network network;
};

std::vector<Case> cases() {
  return {{"fused", convolution(norm_options(true))},
          {"without scale", convolution(norm_options(true, false))},
          {"without offset", convolution(norm_options(true, true, false))},
          {"plain", convolution(norm_options(false))},
          {"plain without scale", convolution(norm_options(false, false))},
          {"plain without offset", convolution(norm_options(false, true, false))},
          {"plain without either", convolution(norm_options(false, false, false))},
          {"depthwise", convolution(norm_options(true), true)},
          {"depthwise, plain", convolution(norm_options(false), true)},
          {"with a bias", [](const Scope& s, const Output& x) { return biased(s, x, true); }},
          {"with a bias, plain", [](const Scope& s, const Output& x) { return biased(s, x, false); }},
          {"twice", [](const Scope& s, const Output& x) {
             const Network one = convolution(norm_options(true));
             const Output first = one(s, x);
             return Output(ops::AddV2(s, first, one(s.reuse_variables(), ops::Negate(s, x))));
           }}};
}

TEST(FoldBatchNorm, GivesTheSameNumbers) {
  const tf::Tensor images = random_tensor(tf::TensorShape(kShape), 100);
  for (const Case& c : cases()) {
    Model model = build(c.network, kShape);
    const tf::Tensor before = run(model, images)[0];
    EXPECT_GE(fold_batch_norm(&model.built), 1) << c.name;
    EXPECT_EQ(count_of(model.built.graph, "FusedBatchNormV3"), 0) << c.name;
    mark_constant_filters(&model.built);
    EXPECT_LE(relative_difference(run(model, images)[0], before), 1e-5) << c.name;
  }
}

TEST(FoldBatchNorm, TakesChannelsFirst) {
  const Network network = [](const Scope& s, const Output& x) {
    layers::BatchNormOptions norm = norm_options(true);
    norm.data_format = "NCHW";
    return layers::conv2d(s, x, 12, 3, "conv", {.normalizer = layers::batch_normalizer(norm), .data_format = "NCHW"});
  };
  Model model = build(network, {2, 5, 9, 7});
  const tf::Tensor images = random_tensor(tf::TensorShape({2, 5, 9, 7}), 100), before = run(model, images)[0];
  fold_batch_norm(&model.built);
  EXPECT_LE(relative_difference(run(model, images)[0], before), 1e-5);
}

TEST(FoldBatchNorm, RoundsBfloat16OnceLess) {
  const tf::Tensor images = random_tensor(tf::TensorShape(kShape), 100);
  Model wide = build(convolution(norm_options(true)), kShape);
  Model model = build(convolution(norm_options(true)), kShape, ModeKeys::PREDICT, tf::DT_BFLOAT16);
  const tf::Tensor exact = run(wide, images)[0], before = run(model, images)[0];
  ASSERT_EQ(fold_batch_norm(&model.built), 1);
  EXPECT_LE(relative_difference(run(model, images)[0], exact), std::max(0.01, relative_difference(before, exact)));
}

// What is assigned between two steps counts in the next.
TEST(FoldBatchNorm, FollowsTheVariables) {
  const tf::Tensor images = random_tensor(tf::TensorShape(kShape), 100);
  Model model = build(convolution(norm_options(true)), kShape);
  fold_batch_norm(&model.built);
  tf::GraphDef& graph = model.built.graph;
  const std::string gamma = "conv/BatchNorm/gamma", weights = "conv/weights";
  for (const std::string& name : {gamma, weights}) {
    NodeMaker(&graph, name + "/ones", "OnesLike").input(name + "/read").attr("T", tf::DT_FLOAT);
    NodeMaker(&graph, name + "/add", "AssignAddVariableOp")
        .input(name)
        .input(name + "/ones")
        .attr("dtype", tf::DT_FLOAT);
  }
  mark_constant_filters(&model.built);  // sees who writes
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  for (const VariableInfo& v : model.built.variables) TF_CHECK_OK(session->Run({}, {}, {v.initializer}, nullptr));
  std::vector<tf::Tensor> last, now;
  TF_CHECK_OK(session->Run({{"images", images}}, {"output"}, {}, &last));
  for (const std::string& name : {gamma, weights}) {
    TF_CHECK_OK(session->Run({}, {}, {name + "/add"}, nullptr));
    TF_CHECK_OK(session->Run({{"images", images}}, {"output"}, {}, &now));
    EXPECT_GT(relative_difference(now[0], last[0]), 0.1) << name;
    last = now;
  }
}

// A filter that is fed is none that stays.
TEST(FoldBatchNorm, FedWeightsCount) {
  const tf::Tensor images = random_tensor(tf::TensorShape(kShape), 100);
  Model model = build(convolution(norm_options(true)), kShape);
  fold_batch_norm(&model.built);
  mark_constant_filters(&model.built);
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(model.built.graph));
  for (const VariableInfo& v : model.built.variables) TF_CHECK_OK(session->Run({}, {}, {v.initializer}, nullptr));
  std::vector<tf::Tensor> outputs[2];
  for (const int seed : {0, 1})
    TF_CHECK_OK(session->Run({{"images", images}, {"conv/weights/read", random_tensor({3, 3, 5, 12}, seed)}},
                             {"output"}, {}, &outputs[seed]));
  EXPECT_GT(relative_difference(outputs[0][0], outputs[1][0]), 0.1);
}

TEST(FoldBatchNorm, LeavesAloneWhatOthersRead) {
  const Network twice_read = [](const Scope& s, const Output& x) {
    const Output y = layers::conv2d(s, x, 12, 3, "conv", {.activation = nullptr, .use_bias = false});
    return Output(ops::AddV2(s, y, layers::batch_norm(s, y, "BatchNorm", norm_options(true))));
  };
  Model model = build(twice_read, kShape);
  EXPECT_EQ(fold_batch_norm(&model.built), 0);
  Model training = build(
      [](const Scope& s, const Output& x) {
        layers::BatchNormOptions norm = norm_options(true);
        norm.is_training = true;
        return layers::conv2d(s, x, 12, 3, "conv", {.normalizer = layers::batch_normalizer(norm)});
      },
      kShape);
  EXPECT_EQ(fold_batch_norm(&training.built), 0);
  Model named = build(convolution(norm_options(true)), kShape);
  named.built.towers.resize(1);
  named.built.towers[0].output_info = {{"features", "conv/Conv2D:0"}};
  EXPECT_EQ(fold_batch_norm(&named.built), 0);
}

tf::Tensor* value(Model* model, const std::string& name) {
  for (auto& [variable, tensor] : model->values)
    if (variable == name) return &tensor;
  return nullptr;
}

// The exported model, and the network that is not folded with its values, compute what the network did before.
TEST(FoldIntoVariables, GivesTheSameNumbersBothWays) {
  const tf::Tensor images = random_tensor(tf::TensorShape(kShape), 100);
  for (const Case& c : cases()) {
    Model model = build(c.network, kShape, ModeKeys::EXPORT);
    if (tf::Tensor* gamma = value(&model, "conv/BatchNorm/gamma")) {
      gamma->flat<float>()(0) = -0.5f;  // also a factor that is none, or turns the sign
      gamma->flat<float>()(1) = 0;
      gamma->flat<float>()(2) = 1e-3f;
    }
    const tf::Tensor before = run(model, images)[0];
    Model unfolded = model;
    ASSERT_GE(fold_into_variables(&model.built, &model.values), 1) << c.name;
    EXPECT_EQ(count_of(model.built.graph, "FusedBatchNormV3"), 0) << c.name;
    EXPECT_EQ(count_of(model.built.graph, "MoxFoldBatchNorm"), 0) << c.name;
    EXPECT_LE(relative_difference(run(model, images)[0], before), 1e-5) << c.name;
    unfolded.values = model.values;
    EXPECT_LE(relative_difference(run(unfolded, images)[0], before), 1e-5) << c.name;
  }
}

TEST(FoldIntoVariables, LeavesSharedVariablesAlone) {
  // The same weights with another norm: their values cannot be those of both.
  const Network domains = [](const Scope& s, const Output& x) {
    const auto branch = [&](const Scope& scope, const char* name) {
      const Output y = layers::conv2d(scope, x, 12, 3, "conv", {.activation = nullptr, .use_bias = false});
      return layers::batch_norm(s, y, name, norm_options(true));
    };
    const Output one = branch(s, "one");
    const Output w = s.reuse_variables().get_variable("conv/weights", {3, 3, 5, 12});
    const Output other = layers::batch_norm(
        s, ops::Conv2D(s.WithOpName("again"), ops::Negate(s, x), w, {1, 1, 1, 1}, "SAME"), "other", norm_options(true));
    return Output(ops::AddV2(s, one, other));
  };
  Model model = build(domains, kShape, ModeKeys::EXPORT);
  EXPECT_EQ(fold_into_variables(&model.built, &model.values), 0);
  // An output that is made of the weights themselves.
  const Network weights_too = [](const Scope& s, const Output& x) {
    const Output y = convolution(norm_options(true))(s, x);
    const Output w = s.reuse_variables().get_variable("conv/weights", {3, 3, 5, 12});
    return Output(ops::AddV2(s, y, ops::Sum(s, ops::Square(s, w), {0, 1, 2, 3})));
  };
  Model norm_of_weights = build(weights_too, kShape, ModeKeys::EXPORT);
  EXPECT_EQ(fold_into_variables(&norm_of_weights.built, &norm_of_weights.values), 0);
}

// What a step runs.
tf::GraphDef graph_of_step(tf::Session* session, const Values& feeds) {
  tf::RunOptions options;
  options.set_output_partition_graphs(true);
  tf::RunMetadata metadata;
  std::vector<tf::Tensor> outputs;
  TF_CHECK_OK(session->Run(options, feeds, {"output"}, {}, &outputs, &metadata));
  CHECK_EQ(metadata.partition_graphs_size(), 1);
  return metadata.partition_graphs(0);
}

// Filters that oneDNN's convolutions of a step keep.
int kept_filters(tf::Session* session, const Values& feeds) {
  const tf::GraphDef graph = graph_of_step(session, feeds);
  int kept = 0;
  for (const tf::NodeDef& node : graph.node())
    kept += node.attr().count("is_filter_const") && node.attr().at("is_filter_const").b();
  return kept;
}

std::unique_ptr<tf::Session> initialized_session(const Model& model) {
  std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(model.built.graph));
  for (const VariableInfo& v : model.built.variables) TF_CHECK_OK(session->Run({}, {}, {v.initializer}, nullptr));
  return session;
}

// Not where a step feeds one, or where something writes one.
TEST(FoldedVariables, AreFoundByOneOperation) {
  const Values images = {{"images", random_tensor(tf::TensorShape(kShape), 100)}};
  Values with_gamma = images;
  with_gamma.emplace_back("conv/BatchNorm/gamma/read", random_tensor({12}, 1));
  for (const bool gamma_is_written : {false, true}) {
    Model model = build(convolution(norm_options(true)), kShape);
    ASSERT_EQ(fold_batch_norm(&model.built), 1);
    if (gamma_is_written)
      NodeMaker(&model.built.graph, "write", "AssignAddVariableOp")
          .input("conv/BatchNorm/gamma")
          .input("conv/BatchNorm/gamma/read")
          .attr("dtype", tf::DT_FLOAT);
    mark_constant_filters(&model.built);
    const std::unique_ptr<tf::Session> session = initialized_session(model);
    for (const bool is_fed : {false, true}) {
      const tf::GraphDef graph = graph_of_step(session.get(), is_fed ? with_gamma : images);
      const bool is_one = !gamma_is_written && !is_fed;
      EXPECT_EQ(count_of(graph, "MoxFoldBatchNormOfVariables"), is_one);
      EXPECT_EQ(count_of(graph, "MoxFoldBatchNorm"), !is_one);
      EXPECT_EQ(count_of(graph, "ReadVariableOp"), is_one ? 0 : is_fed ? 4 : 5);
      EXPECT_EQ(count_of(graph, "VarHandleOp"), is_one ? 0 : is_fed ? 4 : 5);
    }
  }
}

// What a step reads besides, it still reads.
TEST(FoldedVariables, AreReadByOthers) {
  Model model = build(convolution(norm_options(true)), kShape);
  fold_batch_norm(&model.built);
  mark_constant_filters(&model.built);
  const std::unique_ptr<tf::Session> session = initialized_session(model);
  std::vector<tf::Tensor> outputs;
  TF_CHECK_OK(session->Run({{"images", random_tensor(tf::TensorShape(kShape), 100)}},
                           {"output", "conv/BatchNorm/gamma/read"}, {}, &outputs));
  EXPECT_EQ(outputs[1].shape(), tf::TensorShape({12}));
}

// Restored anew between two steps, which no part of the graph says.
TEST(FoldedVariables, AreFollowed) {
  Model model = build(convolution(norm_options(true)), kShape);
  fold_batch_norm(&model.built);
  std::string fold;
  for (const tf::NodeDef& node : model.built.graph.node())
    if (node.op() == "MoxFoldBatchNorm") fold = node.name();
  mark_constant_filters(&model.built);
  const std::unique_ptr<tf::Session> session = initialized_session(model);
  std::vector<tf::Tensor> last, same, now;
  TF_CHECK_OK(session->Run({}, {fold}, {}, &last));
  TF_CHECK_OK(session->Run({}, {fold}, {}, &same));
  EXPECT_EQ(same[0].data(), last[0].data());
  for (const VariableInfo& v : model.built.variables)
    if (v.name == "conv/weights") TF_CHECK_OK(session->Run({}, {}, {v.initializer}, nullptr));
  TF_CHECK_OK(session->Run({}, {fold}, {}, &now));
  EXPECT_GT(relative_difference(now[0], last[0]), 0.1);
}

TEST(FoldedVariables, NeedValues) {
  Model model = build(convolution(norm_options(true)), kShape);
  fold_batch_norm(&model.built);
  mark_constant_filters(&model.built);
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(model.built.graph));
  std::vector<tf::Tensor> outputs;
  const absl::Status status =
      session->Run({{"images", random_tensor(tf::TensorShape(kShape), 100)}}, {"output"}, {}, &outputs);
  EXPECT_NE(status.message().find("conv/weights"), std::string::npos) << status;
}

TEST(ConstantFilters, AreThoseOfVariablesThatNothingWrites) {
  const Network two = [](const Scope& s, const Output& x) {
    return layers::conv2d(s, convolution(norm_options(true))(s, x), 7, 3, "head");
  };
  const std::pair<std::string, tf::Tensor> images = {"images", random_tensor(tf::TensorShape(kShape), 100)};
  for (const bool head_is_written : {false, true}) {
    Model model = build(two, kShape);
    fold_batch_norm(&model.built);
    if (head_is_written)
      NodeMaker(&model.built.graph, "write", "AssignAddVariableOp")
          .input("head/weights")
          .input("head/weights/read")
          .attr("dtype", tf::DT_FLOAT);
    mark_constant_filters(&model.built);
    const std::unique_ptr<tf::Session> session(tf::NewSession({}));
    TF_CHECK_OK(session->Create(model.built.graph));
    for (const VariableInfo& v : model.built.variables) TF_CHECK_OK(session->Run({}, {}, {v.initializer}, nullptr));
    EXPECT_EQ(kept_filters(session.get(), {images}), head_is_written ? 1 : 2);
    EXPECT_EQ(kept_filters(session.get(), {images, {"conv/BatchNorm/gamma/read", random_tensor({12}, 1)}}),
              head_is_written ? 0 : 1);
  }
}

Model network(const std::string& name, ModeKeys mode, int size) {
  const ModelMeta meta = get_model_meta(name);
  if (size == 0) size = meta.default_image_size;
  return build(
      [&name, mode](const Scope& s, const Output& x) {
        return get_model_fn(name, mode, 10, {.batch_norm_fused = true})(s, x).logits;
      },
      {1, size, size, meta.default_channels}, mode);
}

TEST(FoldBatchNorm, FoldsAllOfMostNetworks) {
  for (const auto& [name, count] : std::vector<std::pair<std::string, int>>{
           {"resnet_v1_50", 53}, {"mobilenet_v1", 27}, {"inception_v3", 96}, {"mobilenet_v2", 52}}) {
    Model model = network(name, ModeKeys::PREDICT, 139);
    EXPECT_EQ(fold_batch_norm(&model.built), count) << name;
    EXPECT_EQ(count_of(model.built.graph, "FusedBatchNormV3"), 0) << name;
  }
}

// MOX_EVERY_NETWORK=1: all, in the size that is theirs.
TEST(FoldBatchNorm, NetworksGiveTheSameNumbers) {
  const bool every = std::getenv("MOX_EVERY_NETWORK") != nullptr;
  const std::vector<std::string> names = every ? network_names() : std::vector<std::string>{"mobilenet_v1_025"};
  for (const std::string& name : names) {
    Model predict = network(name, ModeKeys::PREDICT, every ? 0 : 64);
    const tf::Tensor images = random_tensor(predict.images, 100), before = run(predict, images)[0];
    const int folded = fold_batch_norm(&predict.built);
    mark_constant_filters(&predict.built);
    const double in_run = relative_difference(run(predict, images)[0], before);
    Model exported = network(name, ModeKeys::EXPORT, every ? 0 : 64);
    const int in_export = fold_into_variables(&exported.built, &exported.values);
    const double of_export = relative_difference(run(exported, images)[0], before);
    EXPECT_LE(in_run, 1e-5) << name;
    EXPECT_LE(of_export, 1e-5) << name;
    EXPECT_EQ(folded, in_export) << name;
    if (every)
      std::printf("%-24s folded %3d, left %3d, differs %.1e, exported %.1e\n", name.c_str(), folded,
                  count_of(predict.built.graph, "FusedBatchNormV3"), in_run, of_export);
  }
}

}  // namespace
}  // namespace mox::folding
