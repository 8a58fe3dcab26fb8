#include "passes/join_pieces.h"

#include <gtest/gtest.h>

#include "graph/node_defs.h"
#include "graph/variable_pieces.h"
#include "moxing/initializers.h"
#include "moxing/scope.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/public/session.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

constexpr int kPieces = 3;

// Weights of [2, 6] and averages of [6] in three pieces, a step of momentum, and who else reads a piece.
class Model {
 public:
  explicit Model(bool looks_at_handle = false) {
    for (int i = 1; i <= kPieces; ++i) {
      weights_.push_back(make("path_" + std::to_string(i) + "/weights", {2, 2}));
      slots_.push_back(make(weights_.back().name + "/Momentum", {2, 2}, zeros_initializer()));
      averages_.push_back(make("path_" + std::to_string(i) + "/average", {2}, ones_initializer()));
    }
    const tf::Output whole = joined("weights/whole", weights_, 1), average = joined("average/whole", averages_, 0);
    const tf::Output x = ops::Const(s_, {{1.f, -2.f}, {3.f, 0.5f}});
    const tf::Output y = ops::MatMul(s_.WithOpName("y"), x, whole);
    ops::Neg(s_.WithOpName("of_one"), weights_[1].value);
    if (looks_at_handle) ops::VarIsInitializedOp(s_, weights_[1].handle);
    const tf::Output loss = ops::Sum(s_, ops::Square(s_, y), {0, 1});
    std::vector<tf::Output> values, gradients;
    for (const Variable& piece : weights_) values.push_back(piece.value);
    TF_CHECK_OK(tf::AddSymbolicGradients(s_, {loss}, values, &gradients));
    for (int i = 0; i < kPieces; ++i)
      train(ops::ResourceApplyMomentum(s_, weights_[i].handle, slots_[i].handle, 0.1f, ops::Identity(s_, gradients[i]),
                                       ops::Const(s_, 0.9f))
                .operation);
    const tf::Output step = ops::Multiply(s_, ops::Subtract(s_, average, ops::Sum(s_, y, 0)), 0.25f);
    const ops::Split steps(s_, 0, step, kPieces);
    for (int i = 0; i < kPieces; ++i) train(ops::AssignSubVariableOp(s_, averages_[i].handle, steps[i]).operation);
    check(s_, "test");
    s_.graph()->ToGraphDef(&built.graph);
  }

  BuiltGraph built;

 private:
  Variable make(const std::string& name, const tf::TensorShape& shape, const Initializer& initializer = {}) {
    // Numbers of its own for each piece.
    const float first = static_cast<float>(built.variables.size());
    const Initializer counting = [=](const Scope& s, const tf::TensorShape& of, tf::DataType) {
      return ops::Reshape(s, ops::Range(s, first, first + static_cast<float>(of.num_elements()), 1.f),
                          ops::Const(s, {2, 2}));
    };
    const Variable made = s_.get_variable_object(name, shape, {.initializer = initializer ? initializer : counting});
    built.variables.push_back({name, made.handle.node()->name(), made.initializer.node()->name(), tf::DT_FLOAT, shape});
    return made;
  }
  tf::Output joined(const std::string& name, const std::vector<Variable>& pieces, int axis) {
    std::vector<tf::Output> values;
    for (const Variable& piece : pieces) values.push_back(piece.value);
    return ops::Concat(s_.WithOpName(name), values, axis);
  }
  void train(const tf::Operation& update) { built.train_ops.push_back(update.node()->name()); }

  Scope s_ = Scope::new_root();
  std::vector<Variable> weights_, slots_, averages_;
};

// All variables after so many steps, then the values of `fetches`.
std::vector<tf::Tensor> values_after(const BuiltGraph& built, int steps, std::vector<std::string> fetches = {}) {
  BuiltGraph graph = built;
  std::vector<std::string> initializers;
  for (size_t v = 0; v < graph.variables.size(); ++v) {
    const VariableInfo& variable = graph.variables[v];
    initializers.push_back(variable.initializer);
    NodeMaker(&graph.graph, "value/" + std::to_string(v), "ReadVariableOp")
        .input(variable.handle)
        .attr("dtype", tf::DT_FLOAT);
    fetches.insert(fetches.begin() + static_cast<int>(v), "value/" + std::to_string(v));
  }
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(graph.graph));
  TF_CHECK_OK(session->Run({}, {}, initializers, nullptr));
  for (int i = 0; i < steps; ++i) TF_CHECK_OK(session->Run({}, {}, graph.train_ops, nullptr));
  std::vector<tf::Tensor> values;
  TF_CHECK_OK(session->Run({}, fetches, {}, &values));
  const std::vector<Piece> pieces = pieces_of(graph.variables);
  for (size_t v = 0; v < pieces.size(); ++v) values[v] = value_of(pieces[v], graph.variables[v], values[v]);
  return values;
}

int count(const tf::GraphDef& graph, const std::string& op) {
  int found = 0;
  for (const tf::NodeDef& node : graph.node()) found += node.op() == op ? 1 : 0;
  return found;
}

void expect_equal(const std::vector<tf::Tensor>& a, const std::vector<tf::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].shape(), b[i].shape()) << i;
    for (int64_t j = 0; j < a[i].NumElements(); ++j) EXPECT_EQ(a[i].flat<float>()(j), b[i].flat<float>()(j)) << i;
  }
}

TEST(JoinPieces, TrainsThemAsOneVariable) {
  Model model;
  const BuiltGraph before = model.built;
  EXPECT_EQ(join_pieces(&model.built), 3 * (kPieces - 1));
  const tf::GraphDef& graph = model.built.graph;
  EXPECT_EQ(count(graph, "VarHandleOp"), 3);
  EXPECT_EQ(count(graph, "ResourceApplyMomentum"), 1);
  EXPECT_EQ(count(graph, "AssignSubVariableOp"), 1);
  EXPECT_EQ(count(graph, "Slice"), 0);  // the gradient of the whole needs not be cut
  EXPECT_EQ(model.built.train_ops.size(), 2u);
  for (size_t v = 0; v < before.variables.size(); ++v) {
    EXPECT_EQ(model.built.variables[v].name, before.variables[v].name);
    EXPECT_EQ(model.built.variables[v].shape, before.variables[v].shape);
  }
  for (const int steps : {0, 1, 3})
    expect_equal(values_after(model.built, steps, {"y", "of_one"}), values_after(before, steps, {"y", "of_one"}));
  // What only the whole had read is to be had by its name.
  const std::string first = "path_1/weights/read";
  ASSERT_TRUE(model.built.fetchable.count(first));
  expect_equal(values_after(model.built, 2, {model.built.fetchable.at(first)}), values_after(before, 2, {first}));
}

TEST(JoinPieces, LeavesWhatItDoesNotKnow) {
  Model model(true);
  EXPECT_EQ(join_pieces(&model.built), kPieces - 1);  // the averages
  EXPECT_EQ(count(model.built.graph, "ResourceApplyMomentum"), kPieces);
  expect_equal(values_after(model.built, 2), values_after(Model(true).built, 2));
}

TEST(JoinPieces, LeavesPiecesThatAreNotInTheirOrder) {
  Model model;
  std::swap(model.built.variables[0], model.built.variables[3]);
  EXPECT_EQ(join_pieces(&model.built), kPieces - 1);
}

TEST(JoinPieces, IsNothingToOtherGraphs) {
  Scope s = Scope::new_root();
  ops::Neg(s, s.get_variable("w", {2, 2}));
  check(s, "test");
  BuiltGraph built;
  s.graph()->ToGraphDef(&built.graph);
  built.variables.push_back({"w", "w", "w/Assign", tf::DT_FLOAT, {2, 2}});
  EXPECT_EQ(join_pieces(&built), 0);
}

}  // namespace
}  // namespace mox
