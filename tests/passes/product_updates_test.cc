#include "passes/product_updates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "graph/graph_state.h"
#include "moxing/scope.h"
#include "passes/decayed_updates.h"
#include "passes/processor.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/public/session.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tf::Output;

// A fully connected layer of 300 x 250 weights, and its gradient.
struct Layer {
  Scope s = Scope::new_root();
  Output w, slot, gradient;

  explicit Layer(const tf::TensorShape& shape = {300, 250}, bool decays = false, int columns = 250) {
    s.state().seed = 7;
    w = s.get_variable("w", shape);
    slot = s.get_variable("slot", shape);
    const bool is_matrix = shape.dims() == 2 && shape.dim_size(1) == columns;
    const Output matrix = is_matrix ? w : ops::Reshape(s, w, ops::Const(s, {-1, columns}));
    const int rows = static_cast<int>(shape.num_elements()) / columns;
    const Output x = ops::Sin(s, ops::Reshape(s, ops::Range(s, 0.f, 9.f * rows, 1.f), ops::Const(s, {9, rows})));
    const Output y = ops::Tanh(s, ops::MatMul(s, x, matrix));
    const Output loss = ops::Sum(s, ops::Multiply(s, y, y), ops::Const(s, {0, 1}));
    std::vector<Output> terms{loss}, gradients;
    if (decays) terms.push_back(ops::Multiply(s, ops::L2Loss(s, w), 0.01f));
    const Output total = decays ? Output(ops::AddN(s, terms)) : loss;
    TF_CHECK_OK(tf::AddSymbolicGradients(s, {total}, {w}, &gradients));
    gradient = gradients[0];
  }
  static Output handle(const Output& read) { return read.op().input(0); }
  void update(bool nesterov = false) {
    ops::ResourceApplyMomentum(s.WithOpName("update"), handle(w), handle(slot), 0.01f, ops::Identity(s, gradient), 0.9f,
                               ops::ResourceApplyMomentum::UseNesterov(nesterov));
  }
  tf::GraphDef graph() {
    check(s, "test");
    tf::GraphDef graph;
    s.graph()->ToGraphDef(&graph);
    return graph;
  }
};

const tf::NodeDef& update_of(const tf::GraphDef& graph) {
  for (const tf::NodeDef& node : graph.node())
    if (node.name() == "update") return node;
  throw std::logic_error("no update");
}

// The weights and their slot after three steps, the first of which finds somebody at the variable.
std::vector<tf::Tensor> trained(const tf::GraphDef& graph) {
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  TF_CHECK_OK(session->Run({}, {}, {"w/Assign", "slot/Assign"}, nullptr));
  std::vector<tf::Tensor> held, out;
  TF_CHECK_OK(session->Run({}, {"w/read"}, {}, &held));
  const std::string before(held[0].tensor_data());
  for (int i = 0; i < 3; ++i) TF_CHECK_OK(session->Run({}, {}, {"update"}, nullptr));
  EXPECT_EQ(before, held[0].tensor_data());
  TF_CHECK_OK(session->Run({}, {"w/read", "slot/read"}, {}, &out));
  EXPECT_NE(before, out[0].tensor_data());
  return out;
}

class ProductUpdates : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_vectors()) GTEST_SKIP() << "this processor has neither AVX2 nor AVX-512";
  }
};

TEST_F(ProductUpdates, ComputeTheSameButForRounding) {
  for (const bool decays : {false, true})
    for (const bool nesterov : {false, true})
      for (const auto& [shape, columns] : std::vector<std::pair<tf::TensorShape, int>>{{{300, 250}, 250},
                                                                                       {{3, 5, 20, 250}, 250},
                                                                                       {{70, 1024}, 1024},
                                                                                       {{300, 10, 25}, 250},
                                                                                       {{256, 1024}, 512}}) {
        Layer layer(shape, decays, columns);
        layer.update(nesterov);
        tf::GraphDef graph = layer.graph();
        const std::vector<tf::Tensor> wanted = trained(graph);
        ASSERT_EQ(join_weight_decay(&graph, {"w/Assign", "slot/Assign"}), decays);
        ASSERT_EQ(join_products_with_updates(&graph), 1) << shape.DebugString();
        EXPECT_EQ(update_of(graph).op(), "ResourceApplyProductMomentum");
        EXPECT_EQ(update_of(graph).attr().at("num_decay").i(), decays);
        const std::vector<tf::Tensor> found = trained(graph);
        for (const int which : {0, 1}) {
          ASSERT_EQ(found[which].shape(), wanted[which].shape());
          for (int64_t i = 0; i < found[which].NumElements(); ++i)
            ASSERT_NEAR(found[which].flat<float>()(i), wanted[which].flat<float>()(i), 2e-5) << which << ", " << i;
        }
        EXPECT_EQ(join_products_with_updates(&graph), 0);
      }
}

int joined(const std::function<void(Layer*)>& more, const tf::TensorShape& shape = {300, 250}) {
  Layer layer(shape, false, static_cast<int>(shape.dim_size(1)));
  more(&layer);
  tf::GraphDef graph = layer.graph();
  return join_products_with_updates(&graph);
}

TEST_F(ProductUpdates, WhatDiffersStays) {
  const auto plain = [](Layer* layer) { layer->update(); };
  EXPECT_EQ(joined(plain), 1);
  EXPECT_EQ(joined(plain, {255, 256}), 0) << "few weights";
  EXPECT_EQ(joined([](Layer* layer) {
              layer->update();
              ops::Neg(layer->s, layer->gradient);
            }),
            0)
      << "somebody else reads the gradient";
  EXPECT_EQ(joined([](Layer* layer) {
              layer->gradient = ops::Neg(layer->s, layer->gradient);
              layer->update();
            }),
            0)
      << "no product";
  EXPECT_EQ(joined([](Layer* layer) {
              layer->gradient =
                  ops::MatMul(layer->s, ops::Const(layer->s, 1.f, {300, 4}), ops::Const(layer->s, 1.f, {4, 250}));
              layer->update();
            }),
            0)
      << "another product";
  EXPECT_EQ(joined([](Layer* layer) {
              ops::ResourceApplyGradientDescent(layer->s, Layer::handle(layer->w), 0.1f, layer->gradient);
            }),
            0)
      << "another update";
  const testing::Environment off("MOX_PRODUCT_UPDATES", "0");
  EXPECT_EQ(joined(plain), 0);
}

// What the product waited for, the update waits for; the product stays for who asks for it by name.
TEST_F(ProductUpdates, WaitForWhatTheProductWaitedFor) {
  Layer layer;
  layer.update();
  tf::GraphDef graph = layer.graph();
  const std::string product = layer.gradient.node()->name();
  for (tf::NodeDef& node : *graph.mutable_node())
    if (node.name() == product) node.add_input("^slot/read");
  ASSERT_EQ(join_products_with_updates(&graph), 1);
  const auto& inputs = update_of(graph).input();
  EXPECT_EQ(std::count(inputs.begin(), inputs.end(), "^slot/read"), 1);
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  TF_CHECK_OK(session->Run({}, {}, {"w/Assign", "slot/Assign"}, nullptr));
  std::vector<tf::Tensor> out;
  TF_CHECK_OK(session->Run({}, {product}, {}, &out));
  EXPECT_EQ(out[0].shape(), tf::TensorShape({300, 250}));
}

TEST_F(ProductUpdates, SayWhatDoesNotFit) {
  const auto error = [](const std::vector<std::string>& initializers, const tf::TensorShape& left) {
    Layer layer;
    layer.update();
    tf::GraphDef graph = layer.graph();
    EXPECT_EQ(join_products_with_updates(&graph), 1);
    for (tf::NodeDef& node : *graph.mutable_node())
      if (node.name() == "update") node.set_input(3, "other");
    tf::Tensor value(tf::DT_FLOAT, left);
    value.flat<float>().setZero();
    const Scope other = Scope::new_root();
    ops::Const(other.WithOpName("other"), value);
    tf::GraphDef more;
    other.graph()->ToGraphDef(&more);
    for (const tf::NodeDef& node : more.node())
      if (node.name() == "other") *graph.add_node() = node;
    const std::unique_ptr<tf::Session> session(tf::NewSession({}));
    TF_CHECK_OK(session->Create(graph));
    TF_CHECK_OK(session->Run({}, {}, initializers, nullptr));
    return std::string(session->Run({}, {}, {"update"}, nullptr).message());
  };
  const std::vector<std::string> all{"w/Assign", "slot/Assign"};
  EXPECT_NE(error({"w/Assign"}, {9, 300}).find("slot"), std::string::npos);
  EXPECT_NE(error(all, {9, 20}).find("update: a variable is float [300,250], the gradient [20,250]"),
            std::string::npos);
  EXPECT_NE(
      error(all, {8, 300}).find("expected [depth, rows] and [depth, columns] to multiply, got [8,300] and [9,250]"),
      std::string::npos);
}

}  // namespace
}  // namespace mox
