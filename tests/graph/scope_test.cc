#include "moxing/scope.h"

#include <gtest/gtest.h>

#include "moxing/error.h"
#include "moxing/initializers.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace ops = tensorflow::ops;
using tensorflow::DT_FLOAT;
using tensorflow::DT_HALF;

TEST(Scope, VariableNamesFollowVariableScopesNotTowers) {
  Scope root = Scope::new_root();
  root.tower("tower_0", "").var_scope("LeNet").var_scope("conv1").get_variable("weights", {5, 5, 1, 32});
  auto variables = global_variables(root);
  ASSERT_EQ(variables.size(), 1u);
  EXPECT_EQ(variables[0].name, "LeNet/conv1/weights");
  EXPECT_EQ(variables[0].handle.node()->name(), "LeNet/conv1/weights");
}

TEST(Scope, TowersShareVariables) {
  Scope root = Scope::new_root();
  auto first = root.tower("tower_0", "").get_variable_object("w", {2, 3});
  auto second = root.tower("tower_1", "").reuse_variables().get_variable_object("w", {2, 3});
  EXPECT_EQ(first.handle.node(), second.handle.node());
  EXPECT_NE(first.value.node(), second.value.node());
  EXPECT_EQ(global_variables(root).size(), 1u);
}

TEST(Scope, ReuseOfAMissingVariableNamesIt) {
  Scope root = Scope::new_root();
  try {
    root.var_scope("net").reuse_variables().get_variable("w", {1});
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("net/w"), std::string::npos) << e.what();
  }
}

TEST(Scope, AnotherShapeIsAnErrorThatShowsBoth) {
  Scope root = Scope::new_root();
  root.get_variable("w", {2, 3});
  try {
    root.get_variable("w", {3, 2});
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("[2,3]"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("[3,2]"), std::string::npos) << e.what();
  }
}

TEST(Scope, TwoOfOneNameAreAnErrorUnlessTheyShareOnPurpose) {
  const Scope root = Scope::new_root();
  const Scope layer = root.var_scope("fc");
  layer.get_variable("weights", {2, 3});
  try {
    root.var_scope("fc").get_variable("weights", {2, 3});
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("variable fc/weights is asked for twice"), std::string::npos) << e.what();
  }
  layer.reuse_variables().get_variable("weights", {2, 3});
  root.var_scope("other").get_variable("weights", {2, 3});
  EXPECT_EQ(get_or_create_global_step(root).name, get_or_create_global_step(layer).name);
  EXPECT_EQ(global_variables(root).size(), 3u);
}

TEST(Scope, ForcedDtypeIsCastBack) {
  Scope root = Scope::new_root();
  auto value = root.var_scope(DT_FLOAT).get_variable("a", {2}, {.dtype = DT_HALF});
  EXPECT_EQ(value.type(), DT_HALF);
  EXPECT_EQ(global_variables(root)[0].dtype, DT_FLOAT);
}

TEST(Scope, CollectionsBelongToTheTower) {
  Scope root = Scope::new_root();
  Scope a = root.tower("tower_0", ""), b = root.tower("tower_1", "");
  a.get_variable("w", {2, 2}, {.weight_decay = 0.1f});
  b.reuse_variables().get_variable("w", {2, 2}, {.weight_decay = 0.1f});
  EXPECT_EQ(get_collection(a, collections::kRegularizationLosses).size(), 1u);
  EXPECT_EQ(get_collection(b, collections::kRegularizationLosses).size(), 1u);
  EXPECT_NE(get_collection(a, collections::kRegularizationLosses)[0].node(),
            get_collection(b, collections::kRegularizationLosses)[0].node());
  EXPECT_TRUE(get_collection(a, "nothing").empty());
}

TEST(Scope, StaticShape) {
  Scope root = Scope::new_root();
  auto x = ops::Placeholder(root, DT_FLOAT, ops::Placeholder::Shape({-1, 28, 28, 1}));
  EXPECT_EQ(static_shape(root, x), (std::vector<int64_t>{-1, 28, 28, 1}));
  EXPECT_EQ(static_shape(root, root.get_variable("w", {4, 5})), (std::vector<int64_t>{4, 5}));
  EXPECT_THROW(static_shape(root, ops::Placeholder(root, DT_FLOAT)), InvalidArgumentError);
}

TEST(Scope, ABadGraphIsReportedWithItsCause) {
  Scope root = Scope::new_root();
  ops::MatMul(root, ops::Const(root, 1.f, {2, 3}), ops::Const(root, 1.f, {2, 3}));
  EXPECT_THROW(check(root, "multiplying"), InvalidArgumentError);
}

}  // namespace
}  // namespace mox
