// Checks of the functions that a run is called with, before anything is built.
#pragma once

#include <string>
#include <vector>

#include "moxing/export.h"
#include "moxing/mode_keys.h"
#include "run/language.h"

namespace mox {

// What stands where a function is expected.
struct GivenFunction {
  bool given = false;
  std::string instead;  // what it is where it is no function: "AdamOptimizer"
};

struct RunFunctions {
  GivenFunction input_fn, model_fn;
  std::vector<GivenFunction> optimizer_fn;     // one, or one a loss; of TRAIN
  GivenFunction output_fn, fetch_strategy_fn;  // may be left out
};

// InvalidArgumentError that names the function that is missing or none, and how it is called.
MOX_EXPORT void check_functions(const RunFunctions& functions, ModeKeys mode, Language language);

}  // namespace mox
