// Values of flags that are several numbers.
#pragma once

#include <string>
#include <vector>

namespace mox::cli {

// "0.1, 0.2" -> {0.1, 0.2}; InvalidArgumentError that names the flag for what is no number.
std::vector<double> numbers_of(const std::string& flag, const std::string& text);
std::vector<float> floats_of(const std::string& flag, const std::string& text);

}  // namespace mox::cli
