#include "run/language.h"

#include "moxing/error.h"

namespace mox {
namespace {

constexpr Idioms kCppIdioms{
    .mean = "ops::Mean",
    .get_variable = "get_variable",
    .inputs = "return outputs of its scope's operations",
    .optimizers = "return what get_optimizer_fn(…)(scope) returns, or an Optimizer of your own",
    .hooks = "pointers to a mox::SessionRunHook",
};

constexpr Idioms kPythonIdioms{
    .mean = "tf.reduce_mean",
    .get_variable = "tf.get_variable",
    .inputs = "return TensorFlow tensors (tf.data.Dataset.from_generator takes any Python data)",
    .optimizers = "return an optimizer of tf.compat.v1.train, or what mox.get_optimizer_fn(…)() returns",
    .hooks = "instances of mox.AggregativeSessionRunHook or tf.train.SessionRunHook",
};

struct Function {
  const char* name;
  const char* cpp_arguments;
  const char* python_arguments;
  const char* cpp_returns;
  const char* python_returns;
};

constexpr Function kFunctions[] = {
    {"input_fn", "(scope, mode)", "(mode)", "returns tensors", "returns tensors"},
    {"model_fn", "(scope, inputs, mode)", "(inputs, mode)", "returns a mox::ModelSpec", "returns a mox.ModelSpec"},
    {"optimizer_fn", "(scope)", "()",
     "returns an optimizer, such as get_optimizer_fn(\"sgd\", 0.01); or a list of them, one a loss",
     "returns an optimizer, such as mox.get_optimizer_fn('sgd', 0.01) or lambda: tf.train.AdamOptimizer(); or a list "
     "of "
     "them, one a loss"},
    {"output_fn", "(outputs)", "(outputs)", "returns nothing: outputs has a map a step and device",
     "returns nothing: outputs is a list of dicts, one a step and device"},
    {"fetch_strategy_fn", "(step, planned)", "(step, planned)", "returns StepFetches",
     "returns names out of log_info, summaries, output_info"},
};

const Function& function_named(const std::string& name) {
  for (const Function& function : kFunctions)
    if (name == function.name) return function;
  throw Error("there is no function '" + name + "' of a run");
}

}  // namespace

const Idioms& idioms_of(Language language) { return language == Language::kCpp ? kCppIdioms : kPythonIdioms; }

std::string arguments_of(Language language, const std::string& function) {
  const Function& found = function_named(function);
  return language == Language::kCpp ? found.cpp_arguments : found.python_arguments;
}

std::string usage_of(Language language, const std::string& function) {
  const Function& found = function_named(function);
  return "it takes " + arguments_of(language, function) + " and " +
         (language == Language::kCpp ? found.cpp_returns : found.python_returns);
}

}  // namespace mox
