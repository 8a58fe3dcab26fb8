#include "passes/place_on_devices.h"

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// Runs a graph of its own, which may stay on its device while a variable is elsewhere.
bool is_call(const tf::NodeDef& node) {
  static const std::unordered_set<std::string> kCalls = {
      "Case",          "If",          "PartitionedCall", "StatefulPartitionedCall",
      "StatelessCase", "StatelessIf", "StatelessWhile",  "While"};
  return kCalls.count(node.op()) > 0;
}

// Hands a resource on: in frames and branches of control flow.
bool passes_on(const tf::NodeDef& node) {
  static const std::unordered_set<std::string> kOps = {"Enter", "Exit", "Identity", "Merge", "NextIteration", "Switch"};
  return kOps.count(node.op()) > 0;
}

class Placement {
 public:
  Placement(BuiltGraph* graph, const DevicePlan& plan) : graph_(*graph), plan_(plan) {}

  void run() {
    place_variables();
    std::vector<tf::NodeDef*> constants;
    for (tf::NodeDef& node : *graph_.graph.mutable_node()) {
      const bool is_summary = node.op().find("Summary") != std::string::npos;
      if (is_summary || (node.device().empty() && node.op() != "Const")) node.set_device(plan_.host());
      if (node.device().empty()) constants.push_back(&node);
    }
    place_constants(constants);
  }

 private:
  void place_variables() {
    std::unordered_map<std::string, std::string> handles;  // node -> device of the variable whose handle it gives
    for (const VariableInfo& variable : graph_.variables)
      handles[variable.handle] =
          tf::DataTypeIsFloating(variable.dtype) && !variable.optional ? plan_.variables() : plan_.host();
    std::unordered_map<std::string, std::string> placed = handles;
    for (bool grew = true; grew;) {  // nodes are in no order
      grew = false;
      for (const tf::NodeDef& node : graph_.graph.node()) {
        if (placed.count(node.name()) || is_call(node)) continue;
        const std::string* device = find_handle(handles, node);
        if (device && passes_on(node)) handles[node.name()] = *device;
        if (!device) device = find_colocated(placed, node);
        if (device) placed[node.name()] = *device;
        grew |= device != nullptr;
      }
    }
    for (tf::NodeDef& node : *graph_.graph.mutable_node())
      if (const auto found = placed.find(node.name()); found != placed.end()) node.set_device(found->second);
  }

  using Devices = std::unordered_map<std::string, std::string>;

  static const std::string* find_handle(const Devices& handles, const tf::NodeDef& node) {
    for (const std::string& input : node.input()) {
      if (parse_tensor(input).is_control()) break;
      if (const auto found = handles.find(node_of(input)); found != handles.end()) return &found->second;
    }
    return nullptr;
  }

  static const std::string* find_colocated(const Devices& placed, const tf::NodeDef& node) {
    const auto classes = node.attr().find("_class");
    if (classes == node.attr().end()) return nullptr;
    constexpr std::string_view kPrefix = "loc:@";
    for (const std::string& name : classes->second.list().s())
      if (name.rfind(kPrefix, 0) == 0)
        if (const auto found = placed.find(name.substr(kPrefix.size())); found != placed.end()) return &found->second;
    return nullptr;
  }

  void place_constants(const std::vector<tf::NodeDef*>& constants) {
    std::unordered_map<std::string, std::string> readers;
    for (const tf::NodeDef& node : graph_.graph.node())
      for (const std::string& input : node.input())
        if (!parse_tensor(input).is_control()) readers.emplace(node_of(input), node.device());
    for (tf::NodeDef* node : constants) {
      const auto reader = readers.find(node->name());
      node->set_device(reader == readers.end() || reader->second.empty() ? plan_.host() : reader->second);
    }
  }

  BuiltGraph& graph_;
  const DevicePlan& plan_;
};

}  // namespace

void place_on_devices(BuiltGraph* graph, const DevicePlan& plan) { Placement(graph, plan).run(); }

}  // namespace mox
