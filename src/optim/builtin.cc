// The table of optimizers: a new one is its factory and a line here.
#include <algorithm>
#include <utility>

#include "base/near_name.h"
#include "base/registry.h"
#include "moxing/error.h"
#include "optim/slot_optimizer.h"

namespace mox {

namespace {

struct BuiltIn {
  const char* name;
  MakeOptimizer* make;
  std::vector<std::string> options;  // that it reads
};

const std::vector<std::string> kMoments = {"beta1", "beta2", "epsilon"};
const std::vector<std::string> kDecayedMoments = {"beta1", "beta2", "epsilon", "weight_decay",
                                                  "exclude_from_weight_decay"};
const std::vector<std::string> kFtrl = {"learning_rate_power", "initial_accumulator_value",
                                        "l1_regularization_strength", "l2_regularization_strength",
                                        "l2_shrinkage_regularization_strength"};
const std::vector<std::string> kAllOptions = {"momentum",
                                              "use_nesterov",
                                              "beta1",
                                              "beta2",
                                              "epsilon",
                                              "rho",
                                              "decay",
                                              "centered",
                                              "initial_accumulator_value",
                                              "learning_rate_power",
                                              "l1_regularization_strength",
                                              "l2_regularization_strength",
                                              "l2_shrinkage_regularization_strength",
                                              "weight_decay",
                                              "exclude_from_weight_decay"};

// clang-format off
const BuiltIn kOptimizers[] = {
    {"adadelta", make_adadelta, {"rho", "epsilon"}},
    {"adagrad", make_adagrad, {"initial_accumulator_value"}},
    {"adam", make_adam, kMoments},
    {"adamw", make_adamw, kDecayedMoments},
    {"ftrl", make_ftrl, kFtrl},
    {"lamb", make_lamb, kDecayedMoments},
    {"momentum", make_momentum, {"momentum", "use_nesterov"}},
    {"rmsprop", make_rmsprop, {"decay", "momentum", "epsilon", "centered"}},
    {"sgd", make_sgd, {}},
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

namespace {

const OptimizerFactory* find_optimizer(const std::string& name) {
  const OptimizerFactory* make = registry().find(name);
  if (!make)
    throw InvalidArgumentError("get_optimizer_fn: unknown optimizer '" + name +
                               "'; there are: " + listed(optimizer_names()) + did_you_mean(name, optimizer_names()));
  return make;
}

}  // namespace

std::vector<std::string> optimizer_option_names(const std::string& name) {
  find_optimizer(name);
  const auto found = std::find_if(std::begin(kOptimizers), std::end(kOptimizers),
                                  [&](const BuiltIn& optimizer) { return name == optimizer.name; });
  return found == std::end(kOptimizers) ? kAllOptions : found->options;
}

OptimizerFn get_optimizer_fn(const std::string& name, LearningRate learning_rate, const OptimizerOptions& options) {
  const OptimizerFactory* make = find_optimizer(name);
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
