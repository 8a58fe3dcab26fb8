// Several losses: each trains its own variables, with its own optimizer.
#include "run/toy_model.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/util/tensor_bundle/tensor_bundle.h"

namespace mox {
namespace {

using namespace mox::testing;

float value_of(const std::string& prefix, const std::string& name) {
  tensorflow::BundleReader reader(tensorflow::Env::Default(), prefix);
  tensorflow::Tensor value;
  TF_CHECK_OK(reader.Lookup(name, &value));
  return value.scalar<float>()();
}

// Both losses depend on both variables.
ModelSpec two_losses(const Scope& s, const std::vector<Output>&, ModeKeys) {
  const VariableOptions zero{.initializer = zeros_initializer()};
  Output a = s.var_scope("one").get_variable("a", {}, zero), b = s.var_scope("two").get_variable("b", {}, zero);
  Output first = ops::Add(s, a, b), second = ops::Add(s, ops::Multiply(s, a, 3.f), ops::Multiply(s, b, 5.f));
  return {.loss = {first, second}, .var_scopes = {{"one"}, {"two"}}, .log_info = {{"a", a}, {"b", b}}};
}

RunOptions options_of(const std::string& log_dir, OptimizerFns optimizers, int64_t steps = 1) {
  RunOptions options = toy_options(log_dir, steps);
  options.model_fn = two_losses;
  options.optimizer_fn = std::move(optimizers);
  return options;
}

TEST(Losses, EachMovesItsOwnVariablesWithItsOwnOptimizer) {
  TempDir dir;
  const RunResult result = run(options_of(dir.path(), {get_optimizer_fn("sgd", 1.0), get_optimizer_fn("sgd", 0.1)}, 2));
  EXPECT_FLOAT_EQ(value_of(result.checkpoint, "one/a"), -2);
  EXPECT_FLOAT_EQ(value_of(result.checkpoint, "two/b"), -1);
}

TEST(Losses, OneOptimizerServesAll) {
  TempDir dir;
  const RunResult result = run(options_of(dir.path(), get_optimizer_fn("sgd", 1.0)));
  EXPECT_FLOAT_EQ(value_of(result.checkpoint, "one/a"), -1);
  EXPECT_FLOAT_EQ(value_of(result.checkpoint, "two/b"), -5);
}

TEST(Losses, AFrozenOneStaysWhereItIs) {
  TempDir dir;
  const RunResult result =
      run(options_of(dir.path(), {get_optimizer_fn("adam", 0.0), get_optimizer_fn("adam", 0.1)}, 5));
  EXPECT_FLOAT_EQ(value_of(result.checkpoint, "one/a"), 0);
  EXPECT_NEAR(value_of(result.checkpoint, "two/b"), -0.5, 1e-3);
}

// The gradient of each is the other's variable: with all gradients taken before any update, a and b stay equal.
TEST(Losses, NoneSeesAnUpdateOfTheSameStep) {
  TempDir dir;
  RunOptions options = options_of(dir.path(), {get_optimizer_fn("sgd", 0.1), get_optimizer_fn("sgd", 0.1)}, 50);
  options.model_fn = [](const Scope& s, const std::vector<Output>&, ModeKeys) {
    const VariableOptions one{.initializer = constant_initializer(1.f)};
    Output a = s.var_scope("one").get_variable("a", {}, one), b = s.var_scope("two").get_variable("b", {}, one);
    // Each loss reads for itself.
    const Scope again = s.reuse_variables();
    Output a2 = again.var_scope("one").get_variable("a", {}, one),
           b2 = again.var_scope("two").get_variable("b", {}, one);
    return ModelSpec{.loss = {ops::Multiply(s, a, b), ops::Multiply(s, a2, b2)}, .var_scopes = {{"one"}, {"two"}}};
  };
  const RunResult result = run(options);
  EXPECT_FLOAT_EQ(value_of(result.checkpoint, "one/a"), value_of(result.checkpoint, "two/b"));
  EXPECT_NEAR(value_of(result.checkpoint, "one/a"), std::pow(0.9, 50), 1e-6);
}

TEST(Losses, ACountThatDoesNotFitIsAnError) {
  TempDir dir;
  const OptimizerFn sgd = get_optimizer_fn("sgd", 1.0);
  EXPECT_NE(error_of<InvalidArgumentError>([&] {
              run(options_of(dir.path(), {sgd, sgd, sgd}));
            }).find("3 optimizers for 2 losses"),
            std::string::npos);
}

}  // namespace
}  // namespace mox
