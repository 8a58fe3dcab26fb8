#include "run/function_checks.h"

#include <fmt/format.h>

#include "moxing/error.h"

namespace mox {
namespace {

void check_one(const std::string& name, const GivenFunction& function, bool needed, Language language) {
  if (!function.instead.empty())
    throw InvalidArgumentError(
        fmt::format("{} must be a function, got {}: {}", name, function.instead, usage_of(language, name)));
  if (needed && !function.given)
    throw InvalidArgumentError(fmt::format("{} is needed: {}", name, usage_of(language, name)));
}

}  // namespace

void check_functions(const RunFunctions& functions, ModeKeys mode, Language language) {
  check_one("input_fn", functions.input_fn, true, language);
  check_one("model_fn", functions.model_fn, true, language);
  if (mode == ModeKeys::TRAIN) {
    if (functions.optimizer_fn.empty()) check_one("optimizer_fn", {}, true, language);
    for (const GivenFunction& function : functions.optimizer_fn) check_one("optimizer_fn", function, true, language);
  }
  check_one("output_fn", functions.output_fn, false, language);
  check_one("fetch_strategy_fn", functions.fetch_strategy_fn, false, language);
}

}  // namespace mox
