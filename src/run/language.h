// How each front end's language says what errors advise: the one place that has both.
#pragma once

#include <string>

#include "moxing/export.h"

namespace mox {

enum class Language { kCpp, kPython };

struct Idioms {
  const char* mean;          // takes the mean of a tensor
  const char* get_variable;  // makes a variable
  const char* inputs;        // what input_fn returns instead of something else
  const char* optimizers;    // what optimizer_fn returns
  const char* hooks;         // what ModelSpec.hooks has
};

const Idioms& idioms_of(Language language);

// How MoXing calls a function of the user: "(inputs, mode)". Error for a name that is none.
MOX_EXPORT std::string arguments_of(Language language, const std::string& function);
// The same and what it returns: "it takes (inputs, mode) and returns a mox.ModelSpec".
std::string usage_of(Language language, const std::string& function);

}  // namespace mox
