// The exchange within one process.
#pragma once

#include <string>
#include <vector>

#include "devices/device_plan.h"
#include "exchange/exchange.h"
#include "exchange/sums.h"
#include "graph/built_graph.h"
#include "moxing/export.h"

namespace mox {

// slot := sum(gradients of the devices) / number of devices, in the gradient's own dtype: a device without a gradient
// counts as zero. The sum is taken in the order of the devices, so that a run can be repeated bit for bit.
class MOX_EXPORT LocalExchange : public Exchange {
 public:
  explicit LocalExchange(Sums sums = Sums::kOnHost, const DevicePlan& devices = {}) : sums_(sums), devices_(devices) {}

  std::string all_finite(BuiltGraph*, const std::string& finite) override { return finite; }
  void join(BuiltGraph* graph) override;
  // With copies on the devices (DevicePlan::has_copies) makes them, see device_copies.h.
  void place(BuiltGraph* graph) override;

 private:
  const Sums sums_;
  const DevicePlan devices_;
};

}  // namespace mox
