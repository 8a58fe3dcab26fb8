// The table of optimizers: a new one is its factory and a line here.
#include <algorithm>
#include <utility>

#include "moxing/error.h"
#include "optim/slot_optimizer.h"

namespace mox {

namespace {

struct Entry {
  const char* name;
  OptimizerFactory make;
};

// clang-format off
constexpr Entry kOptimizers[] = {  // sorted: an error lists them in this order
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

}  // namespace

std::vector<std::string> optimizer_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kOptimizers) names.push_back(entry.name);
  return names;
}

OptimizerFn get_optimizer_fn(const std::string& name, LearningRate learning_rate, const OptimizerOptions& options) {
  for (const Entry& entry : kOptimizers)
    if (name == entry.name)
      return [make = entry.make, learning_rate = std::move(learning_rate), options](const Scope& scope) {
        return make(scope, learning_rate, options);
      };
  std::string known;
  for (const Entry& entry : kOptimizers) known += std::string(known.empty() ? "" : ", ") + entry.name;
  throw InvalidArgumentError("get_optimizer_fn: unknown optimizer '" + name + "'; there are: " + known);
}

}  // namespace mox
