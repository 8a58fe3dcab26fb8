#include "run/metric_mode.h"

#include "moxing/error.h"

namespace mox {

void check_metric_mode(const std::string& name, const std::string& mode) {
  if (mode != "auto" && mode != "max" && mode != "min")
    throw InvalidArgumentError(name + " is '" + mode + "', expected auto, max or min");
}

double metric_sign(const std::string& metric, const std::string& mode) {
  if (mode == "max") return 1;
  if (mode == "min") return -1;
  return metric.find("loss") != std::string::npos || metric.find("err") != std::string::npos ? -1 : 1;
}

}  // namespace mox
