#include "graph/step_variants.h"

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

class Variant {
 public:
  // `within` null: all nodes.
  Variant(tf::GraphDef* graph, StepVariant* variant, const std::unordered_set<std::string>* within = nullptr)
      : graph_(*graph), variant_(*variant), within_(within) {
    for (const auto& [tensor, replacement] : variant->replaces)
      controls_[parse_tensor(tensor).node] = parse_tensor(replacement).node;
  }

  void run() {
    find_dependent();
    const int count = graph_.node_size();
    for (int i = 0; i < count; ++i)
      if (variant_.nodes.count(graph_.node(i).name())) add_copy(i);
  }

 private:
  // What reads a tensor that is replaced, and all that depends on it.
  void find_dependent() {
    std::unordered_map<std::string, std::vector<const tf::NodeDef*>> readers;
    std::vector<const tf::NodeDef*> stack;
    for (const tf::NodeDef& node : graph_.node()) {
      if (within_ && !within_->count(node.name())) continue;
      bool reads = false;
      for (const std::string& input : node.input()) {
        const TensorRef tensor = parse_tensor(input);
        readers[tensor.node].push_back(&node);
        reads |= tensor.is_control() ? controls_.count(tensor.node) > 0 : variant_.replaces.count(tensor.text()) > 0;
      }
      if (reads) stack.push_back(&node);
    }
    while (!stack.empty()) {
      const tf::NodeDef* node = stack.back();
      stack.pop_back();
      if (!variant_.nodes.emplace(node->name(), "mox_variant/" + variant_.name + "/" + node->name()).second) continue;
      const std::vector<const tf::NodeDef*>& next = readers[node->name()];
      stack.insert(stack.end(), next.begin(), next.end());
    }
  }

  void add_copy(int i) {
    tf::NodeDef copy = graph_.node(i);
    copy.set_name(variant_.nodes.at(copy.name()));
    for (std::string& input : *copy.mutable_input()) input = in_place_of(input);
    *graph_.add_node() = std::move(copy);
  }

  std::string in_place_of(const std::string& input) const {
    TensorRef tensor = parse_tensor(input);
    if (const auto copied = variant_.nodes.find(tensor.node); copied != variant_.nodes.end()) {
      tensor.node = copied->second;
    } else if (tensor.is_control()) {
      if (const auto other = controls_.find(tensor.node); other != controls_.end()) tensor.node = other->second;
    } else if (const auto other = variant_.replaces.find(tensor.text()); other != variant_.replaces.end()) {
      return other->second;
    }
    return tensor.text();
  }

  tf::GraphDef& graph_;
  StepVariant& variant_;
  const std::unordered_set<std::string>* within_;
  std::unordered_map<std::string, std::string> controls_;
};

}  // namespace

void add_step_variants(BuiltGraph* graph) {
  for (StepVariant& variant : graph->variants) Variant(&graph->graph, &variant).run();
}

void add_copies(tf::GraphDef* graph, const std::unordered_set<std::string>& within, StepVariant* variant) {
  Variant(graph, variant, &within).run();
}

std::string in_variant(const StepVariant& variant, const std::string& name) {
  TensorRef tensor = parse_tensor(name);
  const auto found = variant.nodes.find(tensor.node);
  if (found == variant.nodes.end()) {
    const auto other = variant.replaces.find(tensor.text());
    return other == variant.replaces.end() ? name : other->second;
  }
  return found->second + name.substr(tensor.node.size());
}

}  // namespace mox
