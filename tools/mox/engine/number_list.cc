#include "engine/number_list.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

#include "base/pattern.h"
#include "moxing/error.h"

namespace mox::cli {

std::vector<double> numbers_of(const std::string& flag, const std::string& text) {
  std::vector<double> all;
  for (const std::string& word : split_list(text)) {
    char* rest = nullptr;
    all.push_back(std::strtod(word.c_str(), &rest));
    if (*rest || !std::isfinite(all.back()))
      throw InvalidArgumentError(fmt::format("{} has '{}', expected numbers with ',' between", flag, word));
  }
  return all;
}

std::vector<float> floats_of(const std::string& flag, const std::string& text) {
  const std::vector<double> all = numbers_of(flag, text);
  return {all.begin(), all.end()};
}

}  // namespace mox::cli
