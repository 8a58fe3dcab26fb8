#include "graph/average_name.h"

#include <string_view>

namespace mox {
namespace {

constexpr std::string_view kSuffix = "/ExponentialMovingAverage";

}  // namespace

std::string average_name(const std::string& variable) { return variable + std::string(kSuffix); }

std::string averaged_variable(const std::string& average) {
  if (!std::string_view(average).ends_with(kSuffix)) return "";
  return average.substr(0, average.size() - kSuffix.size());
}

}  // namespace mox
