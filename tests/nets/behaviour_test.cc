// What holds for networks whatever their architecture: formats, modes, dtypes, options.
#include <gtest/gtest.h>

#include <cmath>
#include <ctime>
#include <set>

#include "graph/graph_session.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/losses.h"
#include "moxing/nets.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tf::Output;

Output images(const Scope& s, int batch, int size, int channels = 3, int seed = 1) {
  return ops::Const(s, tf::Input::Initializer(random_tensor({batch, size, size, channels}, seed)));
}

size_t updates(const Scope& s) { return get_collection(s, collections::kUpdateOps).size(); }

// One of each family, on images as small as it takes.
struct FormatCase {
  const char* name;
  int size;
};
class Formats : public testing::TestWithParam<FormatCase> {};

TEST_P(Formats, NchwGivesTheLogitsOfNhwc) {
  const auto& [name, size] = GetParam();
  Scope s = Scope::new_root();
  const Output x = images(s, 1, size, get_model_meta(name).default_channels);
  const NetworkOutput a = get_model_fn(name, ModeKeys::EVAL, 10)(s, x);
  const size_t variables = global_variables(s).size();
  const NetworkOutput b = get_model_fn(name, ModeKeys::EVAL, 10, {.data_format = "NCHW"})(s.reuse_variables(), x);
  EXPECT_EQ(global_variables(s).size(), variables);
  ASSERT_EQ(a.end_points.size(), b.end_points.size());
  const auto results = GraphSession(s, true, false).run({a.logits, b.logits});
  EXPECT_GT(max_abs(results[0]), 0);
  EXPECT_LT(relative_difference(results[1], results[0]), 1e-4);
  for (size_t i = 0; i < a.end_points.size(); ++i) {
    std::vector<int64_t> there = static_shape(s, b.end_points[i].second);
    if (there.size() == 4) there = {there[0], there[2], there[3], there[1]};
    EXPECT_EQ(static_shape(s, a.end_points[i].second), there) << a.end_points[i].first;
  }
}

INSTANTIATE_TEST_SUITE_P(
    OneOfEachFamily, Formats,
    testing::Values(FormatCase{"lenet", 28}, FormatCase{"cifarnet", 32}, FormatCase{"alexnet_v2", 224},
                    FormatCase{"overfeat", 231}, FormatCase{"vgg_a_bn", 224}, FormatCase{"inception_v1", 64},
                    FormatCase{"inception_v2", 64}, FormatCase{"inception_v3", 139}, FormatCase{"inception_v4", 139},
                    FormatCase{"inception_resnet_v2", 139}, FormatCase{"resnet_v1_20", 32},
                    FormatCase{"resnet_v1_18", 64}, FormatCase{"resnet_v15_18", 64},
                    FormatCase{"resnet_v2_keras_50", 64}, FormatCase{"resnet_v1_50_8k", 64},
                    FormatCase{"resnet_v2_50", 64}, FormatCase{"resnext_c_50", 64}, FormatCase{"resnext_b_50", 64},
                    FormatCase{"pvanet", 96}, FormatCase{"mobilenet_v1_025", 96}, FormatCase{"mobilenet_v2_035", 96},
                    FormatCase{"nasnet_cifar", 32}, FormatCase{"nasnet_mobile", 96}, FormatCase{"pnasnet_mobile", 96}),
    [](const auto& p) { return std::string(p.param.name); });

struct Training {
  Output loss;
  std::vector<Output> gradients;
};

Training training(const Scope& s, const std::string& name, const Output& x, const ModelFnOptions& options) {
  const NetworkOutput net = get_model_fn(name, ModeKeys::TRAIN, 10, options)(s, x);
  const int batch = static_cast<int>(static_shape(s, x)[0]);
  const Output labels = ops::Fill(s, {batch}, 3);
  Output loss = losses::sparse_softmax_cross_entropy(s, labels, net.logits);
  if (net.has("AuxLogits"))
    loss = ops::AddV2(s, loss, losses::sparse_softmax_cross_entropy(s, labels, net["AuxLogits"], {.weight = 0.4f}));
  loss = losses::add_regularization(s, loss);
  std::vector<Output> handles;
  for (const Variable& v : global_variables(s))
    if (v.trainable) handles.push_back(v.handle);
  Training t{loss, {}};
  const auto status = tf::AddSymbolicGradients(s, {loss}, handles, &t.gradients);
  EXPECT_TRUE(status.ok()) << status.message();
  return t;
}

// The loss and the gradient of the first layer, which all others feed.
TEST(Modes, FormatsAndKernelsTrainAlike) {
  for (const char* name : {"resnet_v1_20", "mobilenet_v1_025", "pvanet"}) {
    SCOPED_TRACE(name);
    Scope s = Scope::new_root();
    s.state().seed = 1;  // how many ReLUs flip depends on the weights
    const Output x = images(s, 8, 64);
    auto options = [](const std::string& format, bool fused) {
      return ModelFnOptions{
          .weight_decay = 1e-4f, .data_format = format, .batch_norm_fused = fused, .dropout_keep_prob = 1};
    };
    const Training a = training(s, name, x, options("NHWC", false));
    const Training b = training(s.tower("b", "").reuse_variables(), name, x, options("NCHW", false));
    const Training c = training(s.tower("c", "").reuse_variables(), name, x, options("NHWC", true));
    const auto r = GraphSession(s).run({a.loss, b.loss, c.loss, a.gradients[0], b.gradients[0], c.gradients[0]});
    ASSERT_EQ(r.size(), 6u);
    EXPECT_NEAR(r[1].scalar<float>()(), r[0].scalar<float>()(), 1e-3);
    EXPECT_NEAR(r[2].scalar<float>()(), r[0].scalar<float>()(), 1e-3);
    // Rounding flips a few ReLUs.
    EXPECT_LT(relative_difference(r[4], r[3]), 5e-2);
    EXPECT_LT(relative_difference(r[5], r[3]), 5e-2);
  }
}

TEST(Modes, OnlyTrainingUpdatesAveragesAndDropsOut) {
  for (ModeKeys mode : {ModeKeys::TRAIN, ModeKeys::EVAL, ModeKeys::PREDICT, ModeKeys::EXPORT}) {
    SCOPED_TRACE(to_string(mode));
    Scope s = Scope::new_root();
    get_model_fn("mobilenet_v1_025", mode, 10)(s, images(s, 2, 96));
    EXPECT_EQ(updates(s), mode == ModeKeys::TRAIN ? 54u : 0u);
    const NetworkOutput lenet = get_model_fn("lenet", mode, 10)(s, images(s, 2, 28, 1));
    GraphSession session(s, true, false);
    const tf::Tensor first = session.run_one(lenet.logits), second = session.run_one(lenet.logits);
    if (mode == ModeKeys::TRAIN)
      EXPECT_GT(relative_difference(second, first), 1e-3);
    else
      EXPECT_EQ(relative_difference(second, first), 0);
  }
}

TEST(Modes, AuxiliaryClassifiers) {
  for (const char* name : {"inception_v3", "inception_v4", "inception_resnet_v2"}) {
    Scope s = Scope::new_root();
    const NetworkOutput net = get_model_fn(name, ModeKeys::EVAL, 7)(s, images(s, 2, 299));
    EXPECT_EQ(static_shape(s, net["AuxLogits"]), (std::vector<int64_t>{2, 7})) << name;
  }
  // NASNet's are there for training only.
  for (ModeKeys mode : {ModeKeys::TRAIN, ModeKeys::EVAL}) {
    Scope s = Scope::new_root();
    const NetworkOutput net = get_model_fn("nasnet_cifar", mode, 7)(s, images(s, 2, 32));
    EXPECT_EQ(net.has("AuxLogits"), mode == ModeKeys::TRAIN);
  }
}

TEST(Modes, DropPathStartsHarmlessAndCountsSteps) {
  Scope s = Scope::new_root();
  const NetworkOutput net = get_model_fn("nasnet_cifar", ModeKeys::TRAIN, 10)(s, images(s, 2, 32));
  GraphSession session(s, true, false);
  const tf::Tensor first = session.run_one(net.logits), second = session.run_one(net.logits);
  EXPECT_LT(relative_difference(second, first), 1e-5);  // at step 0 nothing is dropped
  bool has_step = false;
  for (const Variable& v : global_variables(s)) has_step |= v.name == "global_step";
  EXPECT_TRUE(has_step);
}

TEST(Options, ExportAndPredictResizeInsideTheGraph) {
  for (ModeKeys mode : {ModeKeys::PREDICT, ModeKeys::EXPORT}) {
    Scope s = Scope::new_root();
    const Output bytes = ops::Placeholder(s, tf::DT_UINT8, ops::Placeholder::Shape({-1, -1, -1, 3}));
    const NetworkOutput net =
        get_model_fn("mobilenet_v1_025", mode, 10, {.image_height = 224, .image_width = 224})(s, bytes);
    EXPECT_EQ(static_shape(s, net["Conv2d_0"]), (std::vector<int64_t>{-1, 112, 112, 8}));
    tf::Tensor input(tf::DT_UINT8, {3, 50, 70, 3});
    input.flat<uint8_t>().setConstant(100);
    const tf::Tensor logits = GraphSession(s, true, false).run_one(net.logits, {{bytes.node()->name(), input}});
    EXPECT_EQ(logits.shape(), tf::TensorShape({3, 10}));
  }
  // TRAIN and EVAL leave the size to the augmentation.
  Scope s = Scope::new_root();
  const NetworkOutput net = get_model_fn("mobilenet_v1_025", ModeKeys::EVAL, 10,
                                         {.image_height = 224, .image_width = 224})(s, images(s, 1, 96));
  EXPECT_EQ(static_shape(s, net["Conv2d_0"])[1], 48);
}

TEST(Options, PreprocessFnTakesThePlaceOfTheDefault) {
  Scope s = Scope::new_root();
  int calls = 0;
  ModelFnOptions options{.preprocess_fn = [&](const Scope& scope, const Output& x) {
    ++calls;
    return ops::Multiply(scope, x, 0.0f);
  }};
  const NetworkOutput zero = get_model_fn("lenet", ModeKeys::EVAL, 10, options)(s, images(s, 1, 28, 1));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(max_abs(GraphSession(s).run_one(zero.logits)), 0);  // biases start from zero
  options.preprocess = false;
  get_model_fn("lenet", ModeKeys::EVAL, 10, options)(s.reuse_variables(), images(s, 1, 28, 1));
  EXPECT_EQ(calls, 1);
}

TEST(Options, SixteenBitsOnThirtyTwoBitVariables) {
  for (tf::DataType type : {tf::DT_BFLOAT16, tf::DT_HALF}) {
    SCOPED_TRACE(tf::DataTypeString(type));
    Scope s = Scope::new_root();
    const Output x = images(s, 2, 32);
    const NetworkOutput wide = get_model_fn("resnet_v1_20", ModeKeys::EVAL, 10)(s, x);
    const NetworkOutput narrow = get_model_fn("resnet_v1_20", ModeKeys::EVAL, 10)(
        s.reuse_variables().var_scope(tf::DT_FLOAT), ops::Cast(s, x, type));
    EXPECT_EQ(narrow.logits.type(), type);
    for (const Variable& v : global_variables(s)) EXPECT_EQ(v.dtype, tf::DT_FLOAT) << v.name;
    const Output again = ops::Cast(s, narrow.logits, tf::DT_FLOAT);
    const auto r = GraphSession(s).run({wide.logits, again});
    ASSERT_EQ(r.size(), 2u);
    EXPECT_LT(relative_difference(r[1], r[0]), 0.1);
  }
}

TEST(Options, BatchRenormHasItsVariablesAndTrains) {
  Scope s = Scope::new_root();
  const Training t = training(s, "resnet_v1_20", images(s, 4, 32), {.batch_norm_fused = true, .batch_renorm = true});
  int renorm = 0;
  for (const Variable& v : global_variables(s)) renorm += v.name.find("/renorm_") != std::string::npos;
  EXPECT_EQ(renorm, 2 * 19);
  EXPECT_EQ(updates(s), 4u * 19);
  EXPECT_TRUE(std::isfinite(GraphSession(s).run_one(t.loss).scalar<float>()()));
}

TEST(Options, LargeBatchVariantStartsUnitsAsIdentities) {
  Scope s = Scope::new_root();
  get_model_fn("resnet_v1_50_8k", ModeKeys::TRAIN, 10)(s, images(s, 1, 64));
  std::vector<Output> last, others;
  for (const Variable& v : global_variables(s)) {
    if (v.name.find("/gamma") == std::string::npos) continue;
    auto& list = v.name.find("conv3/") != std::string::npos ? last : others;
    list.push_back(ops::ReadVariableOp(s, v.handle, tf::DT_FLOAT));
  }
  EXPECT_EQ(last.size(), 16u);
  GraphSession session(s, true, false);
  for (const tf::Tensor& gamma : session.run(last)) EXPECT_EQ(max_abs(gamma), 0);
  for (const tf::Tensor& gamma : session.run(others)) EXPECT_EQ(max_abs(gamma), 1);
}

TEST(Options, WrongOnesAreNamed) {
  Scope s = Scope::new_root();
  EXPECT_THROW(get_model_fn("lenet", ModeKeys::EVAL, 0), InvalidArgumentError);
  EXPECT_THROW(get_model_fn("lenet", ModeKeys::EVAL, 10, {.data_format = "CHWN"}), InvalidArgumentError);
  EXPECT_THROW(get_model_fn("lenet", ModeKeys::EXPORT, 10, {.image_height = 28}), InvalidArgumentError);
  EXPECT_THROW(get_model_fn("lenet", ModeKeys::EVAL, 10)(s, ops::Const(s, 1.0f, {28, 28, 1})), InvalidArgumentError);
  try {
    get_model_fn("lenet", ModeKeys::TRAIN, 10)(s, ops::Cast(s, images(s, 1, 28, 1), tf::DT_UINT8));
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("get_data_augmentation_fn"), std::string::npos) << e.what();
  }
  const NetworkOutput net = get_model_fn("lenet", ModeKeys::EVAL, 10)(s, images(s, 1, 28, 1));
  EXPECT_THROW(net["conv9"], InvalidArgumentError);
}

TEST(Options, LargerImagesStillGiveOneRowOfLogits) {
  for (const char* name : {"vgg_a", "alexnet_v2", "inception_v1", "mobilenet_v1_025"}) {
    Scope s = Scope::new_root();
    const NetworkOutput net = get_model_fn(name, ModeKeys::EVAL, 10)(s, images(s, 1, 320));
    EXPECT_EQ(static_shape(s, net.logits), (std::vector<int64_t>{1, 10})) << name;
  }
}

// A session refuses a graph with a name twice, e.g. an operation called like a variable.
TEST(Building, NamesAreUniqueInEveryNetwork) {
  for (const std::string& name : network_names())
    for (const char* format : {"NHWC", "NCHW"}) {
      Scope s = Scope::new_root();
      const ModelMeta meta = get_model_meta(name);
      const Output x = ops::Placeholder(
          s, tf::DT_FLOAT,
          ops::Placeholder::Shape({2, meta.default_image_size, meta.default_image_size, meta.default_channels}));
      get_model_fn(name, ModeKeys::TRAIN, 10, {.weight_decay = 1, .data_format = format})(s, x);
      std::set<std::string> names;
      for (const tf::Node* node : s.graph()->op_nodes())
        EXPECT_TRUE(names.insert(node->name()).second) << name << ": " << node->name();
    }
}

// Of the processor: what else the machine does does not count.
double seconds_to_build(const std::string& name, int size) {
  const std::clock_t start = std::clock();
  Scope s = Scope::new_root();
  training(s, name, images(s, 2, size), {.weight_decay = 1e-4f, .batch_norm_fused = true});
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

TEST(Building, IsQuick) {
  EXPECT_LT(seconds_to_build("resnet_v1_50", 224), 2);
  EXPECT_LT(seconds_to_build("nasnet_large", 331), 15);
}

}  // namespace
}  // namespace mox
