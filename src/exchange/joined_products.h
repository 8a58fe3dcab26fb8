// Gradients that are sums over samples: one product over the samples of all CPU devices in the place of one a device.
#pragma once

#include <string>
#include <vector>

#include "exchange/device_sums.h"
#include "graph/built_graph.h"

namespace mox {

// The gradient of a matrix or of a convolution's weights is a product of what the layer took and of its output's
// gradient, summed over the samples: the devices' products together are the product of their rows one below the other.
// Where the rows are fewer bytes than the weights, they are joined and multiplied once: nothing of the weights' size is
// written and read for each device. What else a gradient has is taken from the first device if it is the same on all
// (weight decay).
//
// What fills the slots, [slot]: tensors; "" where a slot's gradients are no such products, or that would cost more.
std::vector<std::string> add_joined_products(BuiltGraph* graph, const std::vector<DeviceGradients>& slots);

}  // namespace mox
