#include "exchange/local_exchange.h"

#include <unordered_map>

#include "exchange/device_copies.h"
#include "exchange/device_sums.h"
#include "exchange/joined_products.h"
#include "exchange/shared_losses.h"
#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// Workers of parameter servers wait for each device's gradients: there these are computed in any case.
std::vector<std::string> add_host_means(BuiltGraph* graph, const std::vector<DeviceGradients>& slots,
                                        const DevicePlan& plan) {
  std::vector<std::string> means(slots.size());
  if (!plan.on_gpus() && !plan.is_in_cluster()) means = add_joined_products(graph, slots);
  add_bucket_means(graph, slots, &means);
  return means;
}

// [slot][device], or one tensor a slot for all devices.
std::vector<std::vector<std::string>> means_of(BuiltGraph* graph, Sums sums, const DevicePlan& plan) {
  const std::vector<DeviceGradients> slots = device_gradients(*graph);
  const bool several = graph->towers.size() > 1;
  if (several && sums == Sums::kOnDevices && plan.on_gpus()) return add_nccl_means(graph, slots, plan);
  const bool on_host = several && sums != Sums::kOnDevices;
  std::vector<std::vector<std::string>> means;
  for (std::string& mean : on_host ? add_host_means(graph, slots, plan) : add_sums(graph, slots))
    means.push_back({std::move(mean)});
  return means;
}

// The other way, which stands beside the first.
void add_variant(BuiltGraph* graph, const std::vector<std::vector<std::string>>& means) {
  std::vector<DeviceGradients> others;
  std::vector<std::string> replaced;
  const std::vector<DeviceGradients> slots = device_gradients(*graph);
  for (size_t i = 0; i < slots.size(); ++i) {
    if (is_sum(slots[i], means[i][0])) continue;  // already
    others.push_back(slots[i]);
    replaced.push_back(means[i][0]);
  }
  if (others.empty()) return;
  StepVariant variant{"replicated", {}, {}, {}, {}};
  const std::vector<std::string> sums = add_sums(graph, others);
  for (size_t i = 0; i < sums.size(); ++i) variant.replaces[replaced[i]] = sums[i];
  graph->variants = {{"replicated_host", {}, {}, {}, {}}, std::move(variant)};
}

}  // namespace

void LocalExchange::join(BuiltGraph* graph) {
  if (graph->towers.size() > 1 && !devices_.on_gpus()) share_losses_of_weights(&graph->graph);
  const std::vector<std::vector<std::string>> means = means_of(graph, sums_, devices_);
  if (sums_ == Sums::kTried && graph->towers.size() > 1) add_variant(graph, means);
  std::unordered_map<std::string, tf::NodeDef*> nodes;
  for (tf::NodeDef& node : *graph->graph.mutable_node()) nodes[node.name()] = &node;
  for (size_t i = 0; i < means.size(); ++i) {
    GradientSlot& slot = graph->gradients[i];
    slot.joined = means[i];
    nodes.at(slot.slot)->set_input(0, means[i][0]);
  }
}

void LocalExchange::place(BuiltGraph* graph) {
  if (devices_.has_copies()) copy_to_devices(graph, devices_);
}

}  // namespace mox
