#include "run/direct_access.h"

#include <algorithm>

#include "graph/graph_walk.h"
#include "graph/node_defs.h"
#include "tensorflow/core/common_runtime/device.h"
#include "tensorflow/core/common_runtime/device_mgr.h"
#include "tensorflow/core/common_runtime/graph_constructor.h"
#include "tensorflow/core/common_runtime/graph_runner.h"
#include "tensorflow/core/framework/resource_var.h"
#include "tensorflow/core/framework/tensor_util.h"
#include "tensorflow/core/graph/graph.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kDone[] = "mox_done";

// Whether only a run of the session can do it.
bool needs_session(const tf::NodeDef& node) {
  if (!node.device().empty() || is_one_of(node.op(), {"Placeholder", "Enter", "Switch"})) return true;
  if (node.op().find("PyFunc") != std::string::npos) return true;  // takes Python's lock: who waits may hold it
  const tf::OpDef* op = nullptr;
  if (!tf::OpRegistry::Global()->LookUpOpDef(node.op(), &op).ok()) return true;  // a function
  return std::any_of(node.attr().begin(), node.attr().end(),
                     [](const auto& attr) { return attr.second.has_func() || attr.second.list().func_size() > 0; });
}

// "" where the node leaves the attribute out.
std::string text_of(const tf::NodeDef& node, const std::string& attribute) {
  const auto found = node.attr().find(attribute);
  return found == node.attr().end() ? "" : found->second.s();
}

}  // namespace

std::optional<DirectAccess> DirectAccess::to(tf::Session& session) {
  const tf::DeviceMgr* devices = nullptr;
  if (!session.LocalDeviceManager(&devices).ok() || !devices || devices->NumDevices() != 1) return std::nullopt;
  tf::Device* device = devices->ListDevices().front();
  if (device->device_type() != tf::DEVICE_CPU) return std::nullopt;
  return DirectAccess(device);
}

std::optional<tf::Tensor> DirectAccess::read(const tf::NodeDef& handle) const {
  if (handle.op() != "VarHandleOp") return std::nullopt;
  tf::ResourceMgr* resources = device_->resource_manager();
  const std::string container = text_of(handle, "container");
  tf::Var* found = nullptr;
  if (!resources
           ->Lookup(container.empty() ? resources->default_container() : container, text_of(handle, "shared_name"),
                    &found)
           .ok())
    return std::nullopt;
  const tf::core::RefCountPtr<tf::Var> variable(found);
  tf::tf_shared_lock lock(*variable->mu());
  if (!variable->is_initialized) return std::nullopt;
  return variable->copy_on_read_mode.load() ? tf::tensor::DeepCopy(*variable->tensor()) : *variable->tensor();
}

std::optional<tf::GraphDef> DirectAccess::cut_out(const tf::GraphDef& graph,
                                                  const std::vector<std::string>& operations) {
  tf::GraphDef part;
  const NodeIndex index = index_nodes(graph);
  for (const std::string& name : ancestors(index, operations)) {
    const tf::NodeDef& node = *index.at(name);
    if (needs_session(node)) return std::nullopt;
    *part.add_node() = node;
  }
  *part.mutable_versions() = graph.versions();
  NodeMaker done(&part, kDone, "Const");  // after all of them
  done.attr("dtype", tf::DT_BOOL).attr("value", tf::Tensor(true));
  for (const std::string& operation : operations) done.control(node_of(operation));
  return part;
}

absl::Status DirectAccess::run(tf::GraphDef part) const {
  tf::Graph made(tf::OpRegistry::Global());
  if (absl::Status status = tf::ConvertGraphDefToGraph(tf::GraphConstructorOptions(), std::move(part), &made);
      !status.ok())
    return status;
  std::vector<tf::Tensor> done;
  return tf::GraphRunner(device_).Run(&made, nullptr, {}, {std::string(kDone) + ":0"}, &done);
}

}  // namespace mox
