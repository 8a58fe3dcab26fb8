// The table of optimizers: a new one is its factory and a line here.
#include <algorithm>
#include <utility>

#include "base/registry.h"
#include "moxing/error.h"
#include "optim/slot_optimizer.h"

namespace mox {

namespace {

struct BuiltIn {
  const char* name;
  MakeOptimizer* make;
};

// clang-format off
constexpr BuiltIn kOptimizers[] = {
    {"adadelta", make_adadelta},
    {"adagrad", make_adagrad},
    {"adam", make_adam},
    {"adamw", make_adamw},
    {"ftrl", make_ftrl},
    {"lamb", make_lamb},
    {"momentum", make_momentum},
    {"rmsprop", make_rmsprop},
    {"sgd", make_sgd},
};
// clang-format on

Registry<OptimizerFactory>& registry() {
  static auto* all = [] {
    auto* filling = new Registry<OptimizerFactory>("optimizer");
    for (const BuiltIn& o : kOptimizers) filling->add(o.name, o.make, kBuiltIn);
    return filling;
  }();
  return *all;
}

}  // namespace

std::vector<std::string> optimizer_names() {
  std::vector<std::string> names = registry().names();
  std::sort(names.begin(), names.end());
  return names;
}

OptimizerFn get_optimizer_fn(const std::string& name, LearningRate learning_rate, const OptimizerOptions& options) {
  const OptimizerFactory* make = registry().find(name);
  if (!make)
    throw InvalidArgumentError("get_optimizer_fn: unknown optimizer '" + name +
                               "'; there are: " + listed(optimizer_names()));
  return [make, name, learning_rate = std::move(learning_rate), options](const Scope& scope) {
    std::unique_ptr<Optimizer> optimizer = (*make)(scope, learning_rate, options);
    if (!optimizer) throw InvalidArgumentError("optimizer '" + name + "': the function that makes it returned none");
    return optimizer;
  };
}

void register_optimizer(const std::string& name, OptimizerFactory make) {
  if (!make) throw InvalidArgumentError("register_optimizer('" + name + "'): the function that makes it is empty");
  registry().add(name, std::move(make));
}

}  // namespace mox
