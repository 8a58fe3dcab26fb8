// Folded batch norm against the separate operations, in graphs of our layers and as it is exported.
#include "passes/fold_batch_norm.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "moxing/nets.h"
#include "passes/constant_filters.h"
#include "passes/fold_into_variables.h"
#include "passes/fold_networks.h"

namespace mox::folding {
namespace {

// A convolution with a bias of its own, whose batch norm follows.
Output biased(const Scope& s, const Output& x, bool fused) {
  const Output y = layers::conv2d(s, x, 12, 3, "conv", {.activation = nullptr});
  return layers::batch_norm(s, y, "BatchNorm", norm_options(fused));
}

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
