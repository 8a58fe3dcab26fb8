// Which way a metric gets better: what keep_best and early stopping ask.
#pragma once

#include <string>

namespace mox {

// InvalidArgumentError that begins with `name` ("keep_best_mode") unless `mode` is auto, max or min.
void check_metric_mode(const std::string& name, const std::string& mode);
// 1: more is better, -1: less is. auto: less for a metric with "loss" or "err" in its name.
double metric_sign(const std::string& metric, const std::string& mode);

}  // namespace mox
