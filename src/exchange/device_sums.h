// The mean over the devices of one process, in the ways that there are.
#pragma once

#include <string>
#include <vector>

#include "devices/device_plan.h"
#include "graph/built_graph.h"

namespace mox {

// A slot of the graph whose gradients are to be joined.
struct DeviceGradients {
  const GradientSlot* slot = nullptr;
  tensorflow::DataType dtype = tensorflow::DT_FLOAT;
  std::string device;  // of the slot
  int64_t bytes = 0;
};

// All the graph's slots, in their order. Error for one that the graph does not have, or that has no gradient.
std::vector<DeviceGradients> device_gradients(const BuiltGraph& graph);

// What fills the slots, [slot]: tensors. Nodes have names of their own, so that a graph may have all of these.
// A sum and a product each, where the slot is.
std::vector<std::string> add_sums(BuiltGraph* graph, const std::vector<DeviceGradients>& slots);
// Whether a tensor is one of those.
bool is_sum(const DeviceGradients& gradients, const std::string& mean);
// In host memory, several slots of a loss in one operation: some MB, in the order in which the backward pass makes
// them. For those of `means` that are "".
void add_bucket_means(BuiltGraph* graph, const std::vector<DeviceGradients>& slots, std::vector<std::string>* means);
// On the GPUs of `plan`, each of which gets the mean: [slot][device]. TensorFlow begins a sum once all devices have
// asked for it, the same way on all, so that they need no order here. Slots that its operation cannot join (bfloat16, a
// device without a gradient) have one tensor, on the host.
std::vector<std::vector<std::string>> add_nccl_means(BuiltGraph* graph, const std::vector<DeviceGradients>& slots,
                                                     const DevicePlan& plan);

}  // namespace mox
