#include "exchange/device_sums.h"

#include <unordered_map>

#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "graph/scalar_const.h"
#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// Of one operation: large enough that its call costs nothing beside its bytes, small enough that the first means are
// there while the backward pass still computes.
constexpr int64_t kBucket = 4 << 20;

bool is_whole(const BuiltGraph& graph, const DeviceGradients& gradients) {
  return gradients.slot->tower_gradients.size() == graph.towers.size();
}

// Those that may stand in one operation: of one loss, since another's may be dead in this step (batch_gradients).
bool fit_together(const DeviceGradients& a, const DeviceGradients& b) {
  return a.slot->loss == b.slot->loss && a.dtype == b.dtype && a.device == b.device;
}

bool has_bucket_type(tf::DataType dtype) {
  return dtype == tf::DT_FLOAT || dtype == tf::DT_DOUBLE || dtype == tf::DT_HALF || dtype == tf::DT_BFLOAT16;
}

std::string add_scaled(tf::GraphDef* graph, const std::string& name, const std::string& sum, size_t towers,
                       tf::DataType dtype, const std::string& device) {
  const std::string factor =
      add_const(graph, name + "/factor", scalar_of(dtype, 1.0 / static_cast<double>(towers), "gradients to be joined"));
  NodeMaker(graph, name + "/scaled", "Mul").input(sum).input(factor).attr("T", dtype).device(device);
  return name + "/scaled";
}

std::string add_sum(BuiltGraph* graph, const DeviceGradients& gradients) {
  const GradientSlot& slot = *gradients.slot;
  std::string joined = slot.tower_gradients[0];
  if (slot.tower_gradients.size() > 1) {
    NodeMaker sum(&graph->graph, slot.slot + "/sum", "AddN");
    for (const std::string& gradient : slot.tower_gradients) sum.input(gradient);
    sum.attr("N", static_cast<int64_t>(slot.tower_gradients.size())).attr("T", gradients.dtype);
    sum.device(gradients.device);
    joined = sum.name();
  }
  const size_t towers = graph->towers.size();
  if (towers == 1) return joined;
  return add_scaled(&graph->graph, slot.slot, joined, towers, gradients.dtype, gradients.device);
}

}  // namespace

std::vector<DeviceGradients> device_gradients(const BuiltGraph& graph) {
  const NodeIndex index = index_nodes(graph.graph);
  std::unordered_map<std::string, int64_t> elements;
  for (const VariableInfo& variable : graph.variables) elements[variable.name] = variable.shape.num_elements();
  std::vector<DeviceGradients> all;
  for (const GradientSlot& slot : graph.gradients) {
    if (slot.tower_gradients.empty()) throw Error("variable " + slot.variable + " has a slot but no gradient");
    const tf::NodeDef& node = require_node(index, slot.slot, "the gradient slot of " + slot.variable);
    DeviceGradients gradients{&slot, tf::DT_FLOAT, node.device()};
    throw_if_error(tf::GetNodeAttr(node, "T", &gradients.dtype), "joining the gradients of " + slot.variable);
    gradients.bytes = elements[slot.variable] * tf::DataTypeSize(gradients.dtype);
    all.push_back(gradients);
  }
  return all;
}

std::vector<std::string> add_sums(BuiltGraph* graph, const std::vector<DeviceGradients>& slots) {
  std::vector<std::string> means;
  for (const DeviceGradients& gradients : slots) means.push_back(add_sum(graph, gradients));
  return means;
}

bool is_sum(const DeviceGradients& gradients, const std::string& mean) {
  return mean == gradients.slot->slot + "/scaled";
}

void add_bucket_means(BuiltGraph* graph, const std::vector<DeviceGradients>& slots, std::vector<std::string>* means) {
  std::vector<size_t> left;
  for (size_t i = 0; i < slots.size(); ++i)
    if ((*means)[i].empty()) left.push_back(i);
  int buckets = 0;
  for (size_t end = left.size(); end > 0;) {
    const DeviceGradients& last = slots[left[end - 1]];
    size_t begin = end - 1;
    if (!is_whole(*graph, last) || !has_bucket_type(last.dtype)) {
      (*means)[left[begin]] = add_sum(graph, last);
      end = begin;
      continue;
    }
    for (int64_t bytes = last.bytes; begin > 0 && bytes < kBucket; bytes += slots[left[--begin]].bytes)
      if (!is_whole(*graph, slots[left[begin - 1]]) || !fit_together(slots[left[begin - 1]], last)) break;
    NodeMaker bucket(&graph->graph, "mox_devices/mean_" + std::to_string(buckets++), "MoxDeviceMean");
    for (size_t tower = 0; tower < graph->towers.size(); ++tower)
      for (size_t i = begin; i < end; ++i) bucket.input(slots[left[i]].slot->tower_gradients[tower]);
    const auto tensors = static_cast<int64_t>(end - begin);
    bucket.attr("N", tensors).attr("total", tensors * static_cast<int64_t>(graph->towers.size()));
    bucket.attr("T", last.dtype).device(host_of(last.device));
    for (size_t i = begin; i < end; ++i)
      (*means)[left[i]] = TensorRef{bucket.name(), static_cast<int>(i - begin)}.text();
    end = begin;
  }
}

std::vector<std::vector<std::string>> add_nccl_means(BuiltGraph* graph, const std::vector<DeviceGradients>& slots,
                                                     const DevicePlan& plan) {
  tf::GraphDef* def = &graph->graph;
  const size_t towers = graph->towers.size();
  std::vector<std::vector<std::string>> means(slots.size());
  for (size_t i = 0; i < slots.size(); ++i) {
    const DeviceGradients& gradients = slots[i];
    if (!is_whole(*graph, gradients) || gradients.dtype == tf::DT_BFLOAT16) {
      DeviceGradients on_host = gradients;
      on_host.device = plan.host();
      means[i] = {add_sum(graph, on_host)};
      continue;
    }
    const std::string& slot = gradients.slot->slot;
    for (size_t tower = 0; tower < towers; ++tower) {
      const std::string name = slot + "/nccl_" + std::to_string(tower), device = plan.tower(static_cast<int>(tower));
      NodeMaker sum(def, name, "NcclAllReduce");
      sum.input(gradients.slot->tower_gradients[tower]).attr("reduction", std::string("sum"));
      sum.attr("T", gradients.dtype).attr("shared_name", slot).attr("num_devices", static_cast<int64_t>(towers));
      sum.device(device);
      means[i].push_back(add_scaled(def, name, name, towers, gradients.dtype, device));
    }
  }
  return means;
}

}  // namespace mox
