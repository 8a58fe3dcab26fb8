#include "passes/early_gradients.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <unordered_map>

#include "base/environment.h"
#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr int kNobody = -1, kSeveral = -2;

// Who leads to which gradient, and in which order one thread would come to all nodes if it finished each gradient as
// soon as it can.
class BackwardPass {
 public:
  BackwardPass(const tf::GraphDef& graph, const std::vector<std::string>& gradients)
      : graph_(graph), inputs_(graph.node_size()), readers_(graph.node_size()), owner_(graph.node_size(), kNobody) {
    std::unordered_map<std::string, int> position;
    for (int i = 0; i < graph.node_size(); ++i) position[graph.node(i).name()] = i;
    for (int i = 0; i < graph.node_size(); ++i)
      for (const std::string& input : graph.node(i).input()) {
        const auto from = position.find(node_of(input));
        if (from == position.end()) continue;
        inputs_[i].push_back(from->second);
        readers_[from->second].push_back(i);
      }
    for (const std::string& gradient : gradients) {
      const auto found = position.find(node_of(gradient));
      if (found == position.end()) continue;
      // Two gradients of one operation (a batch norm's) continue the backward pass with it.
      owner_[found->second] = gradients_.insert(found->second).second ? found->second : kSeveral;
    }
    find_owners();
    place_.assign(graph.node_size(), kNobody);
    const std::vector<int> order = in_order();
    for (size_t i = 0; i < order.size(); ++i) place_[order[i]] = static_cast<int>(i);
  }

  const std::set<int>& gradients() const { return gradients_; }
  int place(int node) const { return place_[node]; }

  // The first node after the gradient that takes what its own part of the graph takes, and leads to other gradients:
  // the same layer's gradient of its input. kNobody: there is none.
  int continued_by(int gradient) const {
    if (owner_[gradient] != gradient || place_[gradient] < 0 || may_be_dead_[gradient]) return kNobody;
    int next = kNobody;
    std::vector<int> stack = {gradient};
    std::set<int> seen = {gradient};
    while (!stack.empty()) {
      const int node = stack.back();
      stack.pop_back();
      for (const int input : inputs_[node]) {
        if (owner_[input] == gradient && seen.insert(input).second) stack.push_back(input);
        if (owner_[input] != kSeveral) continue;
        for (const int reader : readers_[input]) {
          if (owner_[reader] != kSeveral || place_[reader] <= place_[gradient]) continue;
          if (next == kNobody || place_[reader] < place_[next]) next = reader;
        }
      }
    }
    return next;
  }

 private:
  void own(int node, int gradient) {
    if (gradient == kNobody || owner_[node] == gradient) return;
    owner_[node] = owner_[node] == kNobody ? gradient : kSeveral;
  }

  // What of a step may be dead: all that follows a Switch, until a Merge.
  void find_owners() {
    const std::vector<int> order = in_order();
    may_be_dead_.assign(graph_.node_size(), false);
    for (const int node : order) {
      const std::string& op = graph_.node(node).op();
      may_be_dead_[node] = op == "Switch" || (op != "Merge" && std::any_of(inputs_[node].begin(), inputs_[node].end(),
                                                                           [&](int i) { return may_be_dead_[i]; }));
    }
    for (auto node = order.rbegin(); node != order.rend(); ++node)
      for (const int reader : readers_[*node]) own(*node, owner_[reader]);
  }

  // Nodes after all that they need; first those that lead to one gradient only, once that is known.
  std::vector<int> in_order() const {
    std::vector<size_t> missing(inputs_.size());
    std::deque<int> ready, first;
    const auto add = [&](int node) { (owner_[node] >= 0 ? first : ready).push_back(node); };
    for (size_t i = 0; i < inputs_.size(); ++i) {
      missing[i] = inputs_[i].size();
      if (missing[i] == 0) add(static_cast<int>(i));
    }
    std::vector<int> order;
    while (!first.empty() || !ready.empty()) {
      std::deque<int>& queue = first.empty() ? ready : first;
      order.push_back(queue.front());
      queue.pop_front();
      for (const int reader : readers_[order.back()])
        if (--missing[reader] == 0) add(reader);
    }
    return order;
  }

  const tf::GraphDef& graph_;
  std::vector<std::vector<int>> inputs_, readers_;
  std::vector<int> owner_;  // of what leads to one gradient: its node
  std::vector<int> place_;  // in the order; kNobody: in no order
  std::vector<bool> may_be_dead_;
  std::set<int> gradients_;
};

bool has_loops(const tf::GraphDef& graph) {
  return std::any_of(graph.node().begin(), graph.node().end(), [](const tf::NodeDef& node) {
    return is_one_of(node.op(), {"Enter", "RefEnter"});
  });
}

}  // namespace

int finish_gradients_early(tf::GraphDef* graph, const std::vector<std::string>& gradients, int64_t threads) {
  if (!bool_in_environment("MOX_EARLY_GRADIENTS").value_or(true) || has_loops(*graph)) return 0;
  const BackwardPass pass(*graph, gradients);
  // By place: what continues the pass, and the gradients beside it. An edge from a node to one of a later place makes
  // no circle.
  std::map<int, std::pair<int, std::vector<int>>> layers;
  for (const int gradient : pass.gradients()) {
    const int next = pass.continued_by(gradient);
    if (next == kNobody) continue;
    auto& [node, waited_for] = layers[pass.place(next)];
    node = next;
    waited_for.push_back(gradient);
  }
  int edges = 0;
  auto waits = layers.begin();
  for (int64_t later = 1; later < threads && waits != layers.end(); ++later) ++waits;
  for (auto layer = layers.begin(); waits != layers.end(); ++layer, ++waits)
    for (const int gradient : layer->second.second) {
      graph->mutable_node(waits->second.first)->add_input("^" + graph->node(gradient).name());
      ++edges;
    }
  return edges;
}

}  // namespace mox
