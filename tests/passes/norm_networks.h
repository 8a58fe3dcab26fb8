// Networks with batch norm, their gradients, and how their numbers differ from those of the same network, rewritten.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "graph/graph_session.h"
#include "graph/graph_state.h"
#include "moxing/scope.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/public/session.h"

namespace mox::testing {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tensorflow::Output;

struct Model {
  tf::GraphDef graph;
  std::vector<std::string> initializers, fetches;
};

// What goes in beside the shape of x and the type.
struct Data {
  float mean = 0;                        // around which x lies
  std::vector<int> side_shape, y_shape;  // empty: as x
  // Numbers that repeat late, of which sums nearly cancel; or -1, -0.5, 0, 0.5 and 1 at random: what a convolution with
  // such weights gives of them is exact in float32, so that no ReLU's mask depends on the order of its sums.
  bool random = false;
};

// The same in both types.
inline Output numbers(const Scope& s, const std::vector<int>& shape, int seed, tf::DataType type, const Data& data) {
  const tf::TensorShape sizes({shape[0], shape[1], shape[2], shape[3]});
  tf::Tensor values(tf::DT_FLOAT, sizes);
  if (data.random) values = random_tensor(sizes, seed + 1, -1.25f, 1.25f);
  auto flat = values.flat<float>();
  for (int64_t i = 0; i < flat.size(); ++i)
    flat(i) = data.random ? std::round(2 * flat(i)) / 2 : std::sin(static_cast<float>(i) * (1.7f + 0.3f * seed));
  const Output rounded =
      ops::Cast(s, ops::Cast(s, ops::Const(s, tf::Input::Initializer(values)), tf::DT_BFLOAT16), type);
  return data.mean == 0 ? rounded : Output(ops::Add(s, rounded, data.mean));
}

using Network = std::function<Output(const Scope&, const Output& x, const Output& side)>;

// The network's output, its gradients by x, side and all variables, and the moving averages' updates.
inline Model build(const std::vector<int>& shape, tf::DataType type, const Network& network, const Data& data = {}) {
  const Scope root = Scope::new_root(), s = type == tf::DT_FLOAT ? root : root.var_scope(tf::DT_FLOAT);
  s.state().seed = 1;
  Data around_0 = data;
  around_0.mean = 0;
  const auto or_shape = [&](const std::vector<int>& given) { return given.empty() ? shape : given; };
  const Output x = ops::Identity(s.WithOpName("x"), numbers(s, shape, 0, type, data));
  const Output side = ops::Identity(s.WithOpName("side"), numbers(s, or_shape(data.side_shape), 1, type, around_0));
  const Output y = network(s, x, side);
  const Output weights = numbers(s, or_shape(data.y_shape), 2, tf::DT_FLOAT, around_0);
  const Output product = ops::Multiply(s, ops::Cast(s, y, tf::DT_FLOAT), weights);
  const Output loss =
      ops::Add(s, ops::Sum(s, product, {0, 1, 2, 3}), ops::Sum(s, ops::Cast(s, side, tf::DT_FLOAT), {0, 1, 2, 3}));
  Model model;
  std::vector<Output> sources{x, side}, gradients;
  for (const Variable& v : s.state().variables) {
    model.initializers.push_back(v.initializer.node()->name());
    if (v.trainable) sources.push_back(v.handle);
  }
  TF_CHECK_OK(tf::AddSymbolicGradients(s, {loss}, sources, &gradients));
  auto fetch = [&](const Output& tensor) {
    const Output kept = ops::Identity(s.WithOpName("fetched"), tensor);
    model.fetches.push_back(kept.node()->name());
  };
  fetch(y);
  for (const Output& gradient : gradients)
    if (gradient.node()) fetch(gradient);
  for (const Output& update : s.get_collection(collections::kUpdateOps)) {
    const tf::Node* value = nullptr;
    TF_CHECK_OK(update.node()->input_node(1, &value));
    fetch(Output(const_cast<tf::Node*>(value), 0));
  }
  check(s, "test");
  s.graph()->ToGraphDef(&model.graph);
  return model;
}

inline std::vector<tf::Tensor> run(const Model& model) {
  std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(model.graph));
  TF_CHECK_OK(session->Run({}, {}, model.initializers, nullptr));
  std::vector<tf::Tensor> out;
  TF_CHECK_OK(session->Run({}, model.fetches, {}, &out));
  return out;
}

inline std::vector<float> floats(const tf::Tensor& t) {
  std::vector<float> values(t.NumElements());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = t.dtype() == tf::DT_FLOAT ? t.flat<float>()(i) : static_cast<float>(t.flat<Eigen::bfloat16>()(i));
  return values;
}

// The distance of all values, relative to their length.
inline double distance(const tf::Tensor& from, const tf::Tensor& to) {
  EXPECT_EQ(from.shape(), to.shape());
  double square = 0, difference = 0;
  const auto a = floats(from), b = floats(to);
  for (size_t j = 0; j < a.size(); ++j) {
    square += a[j] * a[j];
    difference += (a[j] - b[j]) * (a[j] - b[j]);
  }
  EXPECT_GT(square, 0);
  return std::sqrt(difference / square);
}

}  // namespace mox::testing
