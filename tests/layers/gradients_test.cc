// Gradients that training needs, against differences of the function's values.
#include "tensorflow/cc/framework/gradients.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "graph/graph_session.h"
#include "moxing/layers.h"
#include "moxing/losses.h"
#include "tensorflow/cc/ops/image_ops.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tf::Output;

using Function = std::function<Output(const Scope&, const std::vector<Output>& x)>;

tf::Tensor shifted(const tf::Tensor& x, const tf::Tensor& direction, float step) {
  tf::Tensor result(tf::DT_FLOAT, x.shape());
  result.flat<float>() = x.flat<float>() + direction.flat<float>() * step;
  return result;
}

double dot(const tf::Tensor& a, const tf::Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.NumElements(); ++i) sum += static_cast<double>(a.flat<float>()(i)) * b.flat<float>()(i);
  return sum;
}

// The slope of sum(f(x) * weights) along random directions, from the graph and from differences.
void expect_gradients(const std::vector<tf::Tensor>& points, const Function& function, float step = 1e-2f,
                      double tolerance = 1e-2) {
  Scope root = Scope::new_root();
  std::vector<Output> inputs;
  for (const auto& p : points)
    inputs.push_back(ops::Placeholder(root, tf::DT_FLOAT, ops::Placeholder::Shape(p.shape())));
  const Output y = function(root, inputs);
  check(root, "building");
  tf::TensorShape shape;
  for (int64_t d : static_shape(root, y)) shape.AddDim(d);
  const Output weights = ops::Const(root, tf::Input::Initializer(random_tensor(shape, 99)));
  const Output product = ops::Multiply(root, y, weights);
  const Output loss = ops::Sum(root, ops::Reshape(root, product, {-1}), {0});
  std::vector<Output> gradients;
  auto status = tf::AddSymbolicGradients(root, {loss}, inputs, &gradients);
  ASSERT_TRUE(status.ok()) << status.message();
  GraphSession session(root);
  auto feeds = [&](size_t changed, const tf::Tensor& direction, float s) {
    GraphSession::Feeds f;
    for (size_t i = 0; i < inputs.size(); ++i)
      f.emplace_back(inputs[i].node()->name(), i == changed ? shifted(points[i], direction, s) : points[i]);
    return f;
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    const tf::Tensor gradient = session.run_one(gradients[i], feeds(i, points[i], 0));
    ASSERT_EQ(gradient.shape(), points[i].shape());
    for (int trial = 0; trial < 4; ++trial) {
      const tf::Tensor direction = random_tensor(points[i].shape(), 1000 + trial);
      const double up = session.run_one(loss, feeds(i, direction, step)).scalar<float>()();
      const double down = session.run_one(loss, feeds(i, direction, -step)).scalar<float>()();
      const double slope = (up - down) / (2 * step), ours = dot(gradient, direction);
      const double scale = std::sqrt(dot(gradient, gradient) * dot(direction, direction));
      EXPECT_NEAR(ours, slope, tolerance * std::max(scale, 0.05)) << "input " << i << ", direction " << trial;
    }
  }
}

TEST(Gradients, SparseSoftmaxCrossEntropy) {
  expect_gradients({random_tensor({5, 7}, 1, -3, 3)}, [](const Scope& s, const auto& x) {
    return ops::SparseSoftmaxCrossEntropyWithLogits(s, x[0], ops::Const(s, {0, 6, 3, 3, 1})).loss;
  });
}

TEST(Gradients, SoftmaxCrossEntropyWithSmoothing) {
  expect_gradients({random_tensor({4, 6}, 2, -3, 3)}, [](const Scope& s, const auto& x) {
    const Output labels = layers::one_hot_encoding(s, ops::Const(s, {0, 5, 2, 2}), 6);
    return losses::softmax_cross_entropy(s, labels, x[0], {.label_smoothing = 0.1f});
  });
}

TEST(Gradients, SigmoidCrossEntropy) {
  expect_gradients({random_tensor({3, 4}, 3, -3, 3)}, [](const Scope& s, const auto& x) {
    return losses::sigmoid_cross_entropy(s, ops::Const(s, {{1, 0, 1, 0}, {0, 0, 1, 1}, {1, 1, 1, 0}}), x[0]);
  });
}

Output fused_norm(const Scope& s, const std::vector<Output>& x, const std::string& op, bool training) {
  const Output none = ops::Const(s, tf::Input::Initializer(tf::Tensor(tf::DT_FLOAT, {0})));
  const Output mean = training ? none : Output(ops::Const(s, {0.1f, -0.2f, 0.3f}));
  const Output variance = training ? none : Output(ops::Const(s, {0.5f, 1.5f, 0.8f}));
  if (op == "V1")
    return ops::FusedBatchNorm(s, x[0], x[1], x[2], mean, variance, ops::FusedBatchNorm::IsTraining(training)).y;
  if (op == "V2")
    return ops::FusedBatchNormV2(s, x[0], x[1], x[2], mean, variance, ops::FusedBatchNormV2::IsTraining(training)).y;
  return ops::FusedBatchNormV3(s, x[0], x[1], x[2], mean, variance, ops::FusedBatchNormV3::IsTraining(training)).y;
}

TEST(Gradients, FusedBatchNormOfAllVersions) {
  for (const char* op : {"V1", "V2", "V3"})
    for (bool training : {true, false}) {
      SCOPED_TRACE(std::string(op) + (training ? " training" : " with averages"));
      expect_gradients({random_tensor({3, 4, 4, 3}, 4), random_tensor({3}, 5, 0.5, 1.5), random_tensor({3}, 6)},
                       [&](const Scope& s, const auto& x) { return fused_norm(s, x, op, training); });
    }
}

TEST(Gradients, DepthwiseConvolution) {
  for (int stride : {1, 2})
    expect_gradients({random_tensor({2, 6, 6, 3}, 7), random_tensor({3, 3, 3, 2}, 8)},
                     [&](const Scope& s, const auto& x) {
                       return ops::DepthwiseConv2dNative(s, x[0], x[1], {1, stride, stride, 1}, "SAME");
                     });
}

TEST(Gradients, Convolution) {
  for (int stride : {1, 2})
    expect_gradients({random_tensor({2, 7, 7, 3}, 9), random_tensor({3, 3, 3, 4}, 10)},
                     [&](const Scope& s, const auto& x) {
                       return ops::Conv2D(s, x[0], x[1], {1, stride, stride, 1}, "SAME");
                     });
}

TEST(Gradients, TransposedConvolution) {
  for (const char* padding : {"SAME", "VALID"}) {
    const int rows = std::string(padding) == "SAME" ? 6 : 8;
    expect_gradients({random_tensor({4, 4, 3, 2}, 18), random_tensor({2, 3, 3, 2}, 19)},
                     [&](const Scope& s, const auto& x) {
                       return ops::Conv2DBackpropInput(s, {2, rows, rows, 3}, x[0], x[1], {1, 2, 2, 1}, padding);
                     });
  }
}

TEST(Gradients, LocalResponseNormalization) {
  expect_gradients({random_tensor({2, 3, 3, 12}, 11)}, [](const Scope& s, const auto& x) {
    return layers::local_response_normalization(s, x[0], "norm", {.depth_radius = 4, .alpha = 0.3f, .beta = 0.75f});
  });
}

TEST(Gradients, ResizeBilinear) {
  expect_gradients({random_tensor({1, 4, 5, 2}, 12)}, [](const Scope& s, const auto& x) {
    return ops::ResizeBilinear(s, x[0], {7, 9});
  });
}

TEST(Gradients, PadPoolTransposeConcat) {
  expect_gradients(
      {random_tensor({2, 5, 5, 3}, 13)},
      [](const Scope& s, const auto& x) {
        const Output p = layers::pad2d(s, x[0], {1, 2, 0, 1});
        const Output t = ops::Transpose(s, p, {0, 3, 1, 2});
        const Output back = ops::Transpose(s, t, {0, 2, 3, 1});
        const Output avg = layers::avg_pool2d(s, back, 3, "avg", {.stride = 2, .padding = layers::Padding::kSame});
        const Output max = layers::max_pool2d(s, p, 3, "max", {.stride = 2, .padding = layers::Padding::kSame});
        return layers::concat_channels(s, {avg, max});
      },
      1e-3f);
}

TEST(Gradients, GatherAndTopK) {
  expect_gradients({random_tensor({5, 3}, 14)}, [](const Scope& s, const auto& x) {
    return ops::Gather(s, x[0], ops::Const(s, {4, 0, 4}));
  });
  expect_gradients(
      {random_tensor({3, 6}, 15)}, [](const Scope& s, const auto& x) { return ops::TopK(s, x[0], 2).values; }, 1e-3f);
}

TEST(Gradients, BatchNormOfEveryKind) {
  struct Case {
    const char* name;
    layers::BatchNormOptions options;
  };
  for (const Case& c : {Case{"plain", {.scale = true}}, Case{"fused", {.scale = true, .fused = true}},
                        Case{"averages", {.scale = true, .is_training = false}}}) {
    SCOPED_TRACE(c.name);
    expect_gradients({random_tensor({3, 4, 4, 3}, 16)}, [&](const Scope& s, const auto& x) {
      return layers::batch_norm(s, x[0], "BatchNorm", c.options);
    });
  }
}

TEST(Gradients, DilatedAndGroupedConvolutions) {
  expect_gradients({random_tensor({1, 7, 8, 4}, 17)}, [](const Scope& s, const auto& x) {
    return layers::conv2d(s, x[0], 6, 3, "conv", {.rate = 2, .groups = 2, .activation = nullptr});
  });
  expect_gradients({random_tensor({1, 7, 8, 4}, 18)}, [](const Scope& s, const auto& x) {
    return layers::separable_conv2d(s, x[0], 6, 3, "conv", {.rate = {2, 3}, .activation = nullptr});
  });
}

}  // namespace
}  // namespace mox
