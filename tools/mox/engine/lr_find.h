// mox train --lr_find: a curve of losses over learning rates, and a suggestion.
#pragma once

#include <string>

#include "moxing/lr_find.h"

namespace mox::cli {

constexpr char kLrFindFile[] = "lr_find.json";  // in the run folder: for mox report

// Writes lr_find.json and lr_find.svg to `dir`; prints the curve's points and the suggestion, or one JSON object.
void tell_lr_find(const LrFindResult& result, const std::string& dir, bool as_json);

}  // namespace mox::cli
