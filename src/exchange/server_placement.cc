#include "exchange/server_placement.h"

#include <algorithm>
#include <numeric>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

std::vector<int> slots_of(const BuiltGraph& graph, const VariableUses& uses) {
  std::vector<std::string> slots;
  for (const GradientSlot& slot : graph.gradients) slots.push_back(slot.slot);
  return uses.nodes_of(slots);
}

int64_t bytes_of(const VariableInfo& variable) {
  return variable.shape.num_elements() * std::max(1, tf::DataTypeSize(variable.dtype));
}

// Sets of variables: union by operations that use several.
class Groups {
 public:
  explicit Groups(size_t count) : parent_(count) { std::iota(parent_.begin(), parent_.end(), 0); }
  int find(int i) const {
    while (parent_[i] != i) i = parent_[i];
    return i;
  }
  void join(int a, int b) {
    a = find(a);
    b = find(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<int> parent_;
};

class Placement {
 public:
  Placement(BuiltGraph* graph, const ServerOfVariable& servers, const DevicePlan& plan)
      : graph_(*graph), plan_(plan), uses_(*graph), device_(uses_.size()) {
    for (int i = 0; i < uses_.size(); ++i) {
      if (names_task(node(i).device())) device_[i] = node(i).device();
      for (const int variable : uses_.of(i)) {
        const auto found = servers.find(graph_.variables[variable].name);
        if (found != servers.end()) device_[i] = plan.server(found->second);
      }
    }
  }

  void run() {
    place_colocated();
    place_joined();
    place_constants();
    for (int i = 0; i < uses_.size(); ++i)
      graph_.graph.mutable_node(i)->set_device(device_[i].empty() ? plan_.here(node(i).device()) : device_[i]);
  }

 private:
  const tf::NodeDef& node(int i) const { return graph_.graph.node(i); }

  void place_colocated() {
    constexpr std::string_view kPrefix = "loc:@";
    for (bool grew = true; grew;) {  // nodes are in no order
      grew = false;
      for (int i = 0; i < uses_.size(); ++i) {
        const auto classes = node(i).attr().find("_class");
        if (!device_[i].empty() || classes == node(i).attr().end()) continue;
        for (const std::string& name : classes->second.list().s()) {
          const int other = name.rfind(kPrefix, 0) == 0 ? uses_.node(name.substr(kPrefix.size())) : -1;
          if (other >= 0 && device_[i].empty()) device_[i] = device_[other];
        }
        grew |= !device_[i].empty();
      }
    }
  }

  // What the optimizer and the clip make of gradients that lie on a server stays there: neither they nor the weights
  // travel for it.
  void place_joined() {
    const std::vector<int> slots = slots_of(graph_, uses_);
    const std::vector<bool> joined = uses_.descendants(slots);
    std::vector<int> queue = slots;
    for (size_t next = 0; next < queue.size(); ++next)
      for (const int reader : uses_.readers(queue[next])) {
        const std::string& asked = node(reader).device();
        if (!joined[reader] || !device_[reader].empty() || !names_task(device_[queue[next]])) continue;
        if (!asked.empty() && asked != plan_.variables()) continue;
        if (!reads(reader, queue[next])) continue;
        device_[reader] = device_[queue[next]];
        queue.push_back(reader);
      }
  }

  bool reads(int reader, int from) const {
    return std::any_of(node(reader).input().begin(), node(reader).input().end(), [&](const std::string& input) {
      return !parse_tensor(input).is_control() && uses_.node(node_of(input)) == from;
    });
  }

  // Where all that read them are, if that is one place.
  void place_constants() {
    for (int i = 0; i < uses_.size(); ++i) {
      if (!device_[i].empty() || node(i).op() != "Const" || node(i).input_size() > 0) continue;
      std::string where;
      bool one = !uses_.readers(i).empty();
      for (const int reader : uses_.readers(i)) {
        if (!where.empty() && where != device_[reader]) one = false;
        where = device_[reader];
        one &= !where.empty();
      }
      if (one) device_[i] = std::move(where);
    }
  }

  BuiltGraph& graph_;
  const DevicePlan& plan_;
  const VariableUses uses_;
  std::vector<std::string> device_;  // "": this worker's own
};

}  // namespace

std::vector<bool> find_local_variables(const BuiltGraph& graph, const VariableUses& uses,
                                       const std::vector<std::string>& joined) {
  const std::vector<int> slots = slots_of(graph, uses);
  std::vector<int> ends = uses.nodes_of(joined);
  ends.insert(ends.end(), slots.begin(), slots.end());
  const std::vector<bool> own = uses.descendants(uses.nodes_of(graph.scaled_gradients.gradients), ends);
  const std::vector<bool> of_all = uses.descendants(ends);
  std::vector<bool> local(graph.variables.size());
  for (int i = 0; i < uses.size(); ++i)
    if (own[i] && !of_all[i] && uses.writes(i))
      for (const int variable : uses.of(i)) local[variable] = true;
  return local;
}

ServerOfVariable spread_variables(const BuiltGraph& graph, const VariableUses& uses, const std::vector<bool>& local,
                                  int servers) {
  const size_t count = graph.variables.size();
  Groups groups(count);
  for (int i = 0; i < uses.size(); ++i)
    for (size_t k = 1; k < uses.of(i).size(); ++k) groups.join(uses.of(i)[0], uses.of(i)[k]);
  std::vector<int64_t> bytes(count), load(servers);
  std::vector<int> order, server(count, -1);
  for (size_t i = 0; i < count; ++i) {
    if (local[i]) continue;
    const int group = groups.find(static_cast<int>(i));
    bytes[group] += bytes_of(graph.variables[i]);
    if (graph.variables[i].name == graph.global_step) server[group] = 0;
    if (group == static_cast<int>(i)) order.push_back(group);
  }
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return bytes[a] > bytes[b]; });
  for (const int group : order) {
    if (server[group] < 0) server[group] = static_cast<int>(std::min_element(load.begin(), load.end()) - load.begin());
    load[server[group]] += bytes[group];
  }
  ServerOfVariable result;
  for (size_t i = 0; i < count; ++i)
    if (!local[i]) result[graph.variables[i].name] = server[groups.find(static_cast<int>(i))];
  return result;
}

void place_on_servers(BuiltGraph* graph, const ServerOfVariable& servers, const DevicePlan& plan) {
  Placement(graph, servers, plan).run();
}

}  // namespace mox
