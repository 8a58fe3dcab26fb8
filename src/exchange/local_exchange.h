// The exchange within one process.
#pragma once

#include "exchange/exchange.h"
#include "graph/built_graph.h"
#include "moxing/export.h"

namespace mox {

// slot := sum(gradients of the devices) / number of devices, in the gradient's own dtype: a device without a gradient
// counts as zero. The sum is taken in the order of the devices, so that a run can be repeated bit for bit.
class MOX_EXPORT LocalExchange : public Exchange {
 public:
  std::string all_finite(BuiltGraph*, const std::string& finite) override { return finite; }
  void join(BuiltGraph* graph) override;
};

}  // namespace mox
