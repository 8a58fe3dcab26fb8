#include "exchange/device_copies.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graph/node_defs.h"
#include "graph/variable_uses.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kFolder[] = "mox_copy/";

bool is_loop(const tf::NodeDef& node) {
  return is_one_of(node.op(), {"Enter", "RefEnter", "Exit", "RefExit", "NextIteration", "RefNextIteration"});
}

// The variables' part of the graph: what is copied, once for all devices.
class CopyPlan {
 public:
  explicit CopyPlan(const BuiltGraph& graph) : graph_(graph), uses_(graph), applies_(uses_.size()) {
    std::vector<int> ends;
    for (const std::string& op : graph.train_ops) ends.push_back(uses_.node(op));
    runs_ = uses_.ancestors(ends);
    for (const GradientSlot& slot : graph.gradients)
      for (const std::string& tensor : slot.joined) joined_.insert(parse_tensor(tensor).text());
    find_applying();
    find_variables();
    find_operations();
  }

  const VariableUses& uses() const { return uses_; }
  bool is_copied_variable(int variable) const { return copied_[variable]; }
  // Operations that each device does for itself, in the graph's order.
  const std::vector<int>& operations() const { return operations_; }
  bool is_operation(int node) const { return is_operation_[node]; }
  // The copied variable whose value a node reads, -1: it is no such read.
  int variable_read_by(int node) const {
    if (this->node(node).op() != "ReadVariableOp" || uses_.of(node).size() != 1) return -1;
    const int handle = uses_.node(node_of(this->node(node).input(0)));
    if (handle < 0 || this->node(handle).op() != "VarHandleOp") return -1;
    return copied_[uses_.of(node)[0]] ? uses_.of(node)[0] : -1;
  }

 private:
  const tf::NodeDef& node(int i) const { return graph_.graph.node(i); }

  template <typename F>
  void for_each_tensor(int i, F&& f) const {
    for (const std::string& input : node(i).input()) {
      const TensorRef tensor = parse_tensor(input);
      if (!tensor.is_control()) f(tensor, uses_.node(tensor.node));
    }
  }

  bool reads(int reader, int from) const {
    bool found = false;
    for_each_tensor(reader, [&](const TensorRef&, int source) { found |= source == from; });
    return found;
  }

  // What a step computes of joined gradients.
  void find_applying() {
    std::vector<int> stack;
    for (int i = 0; i < uses_.size(); ++i) {
      bool reads_joined = false;
      for_each_tensor(i, [&](const TensorRef& tensor, int) { reads_joined |= joined_.count(tensor.text()) > 0; });
      if (reads_joined && runs_[i]) stack.push_back(i);
    }
    for (const int i : stack) applies_[i] = true;
    while (!stack.empty()) {
      const int from = stack.back();
      stack.pop_back();
      for (const int reader : uses_.readers(from)) {
        if (applies_[reader] || !runs_[reader] || !reads(reader, from)) continue;
        applies_[reader] = true;
        stack.push_back(reader);
      }
    }
  }

  // Those that a step writes from joined gradients alone; with them stand or fall those that an operation writes
  // together.
  void find_variables() {
    const size_t count = graph_.variables.size();
    copied_.resize(count);
    std::vector<int> loops;
    for (int i = 0; i < uses_.size(); ++i)
      if (applies_[i] && is_loop(node(i))) loops.push_back(i);
    const std::vector<bool> in_loop = uses_.descendants(loops);
    std::vector<bool> bad(count);
    for (size_t v = 0; v < count; ++v) bad[v] = !tf::DataTypeIsFloating(graph_.variables[v].dtype);
    for (int i = 0; i < uses_.size(); ++i) {
      if (!uses_.writes(i) || !runs_[i]) continue;
      for (const int v : uses_.of(i)) {
        copied_[v] = copied_[v] || applies_[i];
        if (!applies_[i] || in_loop[i]) bad[v] = true;
      }
    }
    for (bool grew = true; grew;) {
      grew = false;
      for (int i = 0; i < uses_.size(); ++i) {
        const std::vector<int>& used = uses_.of(i);
        if (!applies_[i] || !uses_.writes(i)) continue;
        if (std::none_of(used.begin(), used.end(), [&](int v) { return bad[v]; })) continue;
        for (const int v : used) {
          grew |= !bad[v];
          bad[v] = true;
        }
      }
    }
    for (size_t v = 0; v < count; ++v) copied_[v] = copied_[v] && !bad[v];
  }

  bool uses_copied(int i) const {
    return std::any_of(uses_.of(i).begin(), uses_.of(i).end(), [&](int v) { return copied_[v]; });
  }

  // What leads to the copies' updates: from the joined gradients, and from the copied variables themselves.
  void find_operations() {
    std::vector<int> joined, stack;
    for (const std::string& tensor : joined_) joined.push_back(uses_.node(node_of(tensor)));
    const std::vector<bool> before = uses_.ancestors(joined);
    is_operation_.resize(uses_.size());
    std::vector<bool> of_copied(uses_.size());  // computed of a copied variable's value
    for (int i = 0; i < uses_.size(); ++i)
      if (uses_copied(i) && node(i).op() != "VarHandleOp" && !before[i]) stack.push_back(i);
    for (const int i : stack) of_copied[i] = true;
    while (!stack.empty()) {
      const int from = stack.back();
      stack.pop_back();
      for (const int reader : uses_.readers(from)) {
        if (of_copied[reader] || before[reader] || !reads(reader, from)) continue;
        of_copied[reader] = true;
        stack.push_back(reader);
      }
    }
    for (int i = 0; i < uses_.size(); ++i)
      if (applies_[i] && uses_.writes(i) && uses_copied(i)) stack.push_back(i);
    for (const int i : stack) is_operation_[i] = true;
    while (!stack.empty()) {
      const int at = stack.back();
      stack.pop_back();
      for_each_tensor(at, [&](const TensorRef&, int source) {
        if (source < 0 || is_operation_[source] || !(applies_[source] || of_copied[source])) return;
        is_operation_[source] = true;
        stack.push_back(source);
      });
    }
    for (int i = 0; i < uses_.size(); ++i)
      if (is_operation_[i]) operations_.push_back(i);
  }

  const BuiltGraph& graph_;
  const VariableUses uses_;
  std::unordered_set<std::string> joined_;
  std::vector<bool> runs_, applies_;  // [node]: in a step; computed of joined gradients
  std::vector<bool> copied_;          // [variable]
  std::vector<bool> is_operation_;
  std::vector<int> operations_;
};

// One device's copies.
class DeviceCopy {
 public:
  DeviceCopy(BuiltGraph* graph, const CopyPlan& plan, size_t tower, std::string device)
      : graph_(*graph),
        def_(&graph->graph),
        plan_(plan),
        device_(std::move(device)),
        folder_(kFolder + std::to_string(tower) + "/") {
    for (const GradientSlot& slot : graph->gradients)
      if (slot.joined.size() > tower) joined_[parse_tensor(slot.joined[0]).text()] = slot.joined[tower];
  }

  // Appends the operations that renew the copies.
  void make(std::vector<std::string>* renewals) {
    for (size_t v = 0; v < graph_.variables.size(); ++v)
      if (plan_.is_copied_variable(static_cast<int>(v))) renewals->push_back(add_variable(graph_.variables[v]));
    for (const int i : plan_.operations()) add_operation(i);
    for (int i = 0; i < plan_.uses().size(); ++i)
      if (!plan_.is_operation(i)) redirect(i);
    for (size_t i = 0, count = graph_.train_ops.size(); i < count; ++i)
      if (const int node = plan_.uses().node(graph_.train_ops[i]); node >= 0 && plan_.is_operation(node))
        graph_.train_ops.push_back(folder_ + graph_.train_ops[i]);
  }

 private:
  std::string add_variable(const VariableInfo& variable) {
    tf::NodeDef handle = def_->node(plan_.uses().node(variable.handle));
    const std::string place = handle.device(), name = folder_ + variable.handle;
    handle.set_name(name);
    handle.set_device(device_);
    handle.mutable_attr()->erase("_class");
    tf::SetAttrValue(name, &(*handle.mutable_attr())["shared_name"]);
    *def_->add_node() = handle;
    NodeMaker(def_, name + "/original", "ReadVariableOp")
        .input(variable.handle)
        .attr("dtype", variable.dtype)
        .device(place);
    NodeMaker(def_, name + "/renew", "AssignVariableOp")
        .input(name)
        .input(name + "/original")
        .attr("dtype", variable.dtype)
        .device(device_);
    return name + "/renew";
  }

  void add_operation(int i) {
    tf::NodeDef copy = def_->node(i);
    copy.set_name(folder_ + copy.name());
    copy.set_device(device_);
    copy.mutable_attr()->erase("_class");  // beside what was copied, too
    for (std::string& input : *copy.mutable_input()) input = own(input);
    *def_->add_node() = std::move(copy);
  }

  // What computes on this device reads its copies; who waited for an update waits for those of all devices.
  void redirect(int i) {
    std::vector<std::string> more;
    const bool is_here = def_->node(i).device() == device_;
    for (std::string& input : *def_->mutable_node(i)->mutable_input()) {
      const TensorRef tensor = parse_tensor(input);
      const int source = plan_.uses().node(tensor.node);
      if (source < 0) continue;
      if (tensor.is_control() && plan_.is_operation(source)) more.push_back("^" + folder_ + tensor.node);
      if (!tensor.is_control() && is_here) input = value_here(input);
    }
    for (const std::string& input : more) def_->mutable_node(i)->add_input(input);
  }

  // An input of a copied operation.
  std::string own(const std::string& input) {
    TensorRef tensor = parse_tensor(input);
    if (!tensor.is_control())
      if (const auto joined = joined_.find(tensor.text()); joined != joined_.end()) return joined->second;
    const int source = plan_.uses().node(tensor.node);
    if (source >= 0 && plan_.is_operation(source)) {
      tensor.node = folder_ + tensor.node;
      return tensor.text();
    }
    return tensor.is_control() ? input : value_here(input);
  }

  // The copy in place of a variable's handle, or of its value.
  std::string value_here(const std::string& input) {
    const TensorRef tensor = parse_tensor(input);
    const int source = plan_.uses().node(tensor.node);
    if (source < 0 || plan_.is_operation(source)) return input;
    if (def_->node(source).op() == "VarHandleOp") {
      const std::vector<int>& variables = plan_.uses().of(source);
      const bool copied = variables.size() == 1 && plan_.is_copied_variable(variables[0]);
      return copied ? folder_ + tensor.node : input;
    }
    if (plan_.variable_read_by(source) < 0 || def_->node(source).device() == device_) return input;
    const std::string name = folder_ + tensor.node;
    if (reads_.insert(name).second) {
      tf::NodeDef read = def_->node(source);
      read.set_name(name);
      read.set_device(device_);
      read.set_input(0, folder_ + node_of(read.input(0)));
      read.mutable_attr()->erase("_class");
      *def_->add_node() = std::move(read);
    }
    return name;
  }

  BuiltGraph& graph_;
  tf::GraphDef* const def_;
  const CopyPlan& plan_;
  const std::string device_, folder_;
  std::unordered_map<std::string, std::string> joined_;  // the first device's tensor -> this one's
  std::unordered_set<std::string> reads_;                // of copies
};

}  // namespace

void copy_to_devices(BuiltGraph* graph, const DevicePlan& plan) {
  std::vector<std::string> renewals;
  const CopyPlan copies(*graph);
  for (int tower = 1; tower < plan.num_towers(); ++tower)
    DeviceCopy(graph, copies, static_cast<size_t>(tower), plan.tower(tower)).make(&renewals);
  if (renewals.empty()) return;
  graph->renew_copies = std::string(kFolder) + "renew";
  NodeMaker renew(&graph->graph, graph->renew_copies, "NoOp");
  for (const std::string& renewal : renewals) renew.control(renewal);
  renew.device(plan.host());
}

}  // namespace mox
