#include "passes/decayed_updates.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/environment.h"
#include "graph/graph_walk.h"
#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// An update and what its gradient is made of.
struct Match {
  tf::NodeDef* update;
  std::string gradient, decay;
  std::vector<std::string> controls;  // of what goes away
};

class Matcher {
 public:
  Matcher(const tf::GraphDef& graph, const std::set<std::string>& initializers) : index_(index_nodes(graph)) {
    for (const tf::NodeDef& node : graph.node()) {
      for (const std::string& input : node.input()) ++readers_[node_of(input)];
      if (updates_variable(node) && !initializers.count(node.name())) ++updates_[node_of(node.input(0))];
    }
  }

  std::optional<Match> match(tf::NodeDef* update) const {
    if (update->op() != "ResourceApplyMomentum" || update->attr().at("T").type() != tf::DT_FLOAT) return std::nullopt;
    if (updates_.at(node_of(update->input(0))) != 1) return std::nullopt;  // which value decays would change
    Match m{update, "", "", {}};
    const tf::NodeDef* sum = only_read(update->input(3));
    for (; sum && sum->op() == "Identity"; sum = only_read(sum->input(0))) add_controls(*sum, &m);
    if (!sum || sum->op() != "AddN" || sum->attr().at("N").i() != 2) return std::nullopt;
    add_controls(*sum, &m);
    for (const int side : {0, 1}) {
      const std::optional<std::string> decay = decay_of(sum->input(side), node_of(update->input(0)));
      if (!decay) continue;
      m.decay = *decay;
      m.gradient = sum->input(1 - side);
      return m;
    }
    return std::nullopt;
  }

 private:
  const tf::NodeDef* find(const std::string& tensor) const {
    const auto found = index_.find(node_of(tensor));
    return found == index_.end() ? nullptr : found->second;
  }
  const tf::NodeDef* only_read(const std::string& tensor) const {
    return readers_.at(node_of(tensor)) == 1 ? find(tensor) : nullptr;
  }
  static void add_controls(const tf::NodeDef& node, Match* m) {
    for (const std::string& input : node.input())
      if (parse_tensor(input).is_control()) m->controls.push_back(input);
  }

  // The scalar of `tensor` = the variable's value * scalar. Its product waits for nothing but the gradient
  // (passes/late_weight_decay.h).
  std::optional<std::string> decay_of(const std::string& tensor, const std::string& handle) const {
    const tf::NodeDef* product = only_read(tensor);
    if (!product || product->op() != "Mul") return std::nullopt;
    for (const int side : {0, 1}) {
      const tf::NodeDef* read = find_variable_read(index_, product->input(side));
      if (read && node_of(read->input(0)) == handle && is_scalar(product->input(1 - side), 0))
        return product->input(1 - side);
    }
    return std::nullopt;
  }

  // What a loss's gradient is made of on its way to a regularizer; false where it is not seen.
  bool is_scalar(const std::string& tensor, int depth) const {
    constexpr int kDeep = 32;
    const tf::NodeDef* node = find(tensor);
    if (!node || depth > kDeep) return false;
    const auto of = [&](int input) { return is_scalar(node->input(input), depth + 1); };
    if (node->op() == "L2Loss") return true;
    if (node->op() == "Const") return node->attr().at("value").tensor().tensor_shape().dim_size() == 0;
    if (is_one_of(node->op(), {"Identity", "OnesLike", "ZerosLike", "Neg", "Cast", "Sum"})) return of(0);
    if (is_one_of(node->op(), {"Mul", "AddV2", "Add", "Sub", "RealDiv"})) return of(0) && of(1);
    if (node->op() == "Fill") return has_no_sizes(node->input(0), depth);
    if (node->op() == "Reshape") return has_no_sizes(node->input(1), depth);
    if (node->op() != "AddN") return false;
    for (int i = 0; i < node->attr().at("N").i(); ++i)  // all have one shape
      if (of(i)) return true;
    return false;
  }

  // Whether a tensor is the shape of a scalar.
  bool has_no_sizes(const std::string& tensor, int depth) const {
    const tf::NodeDef* node = find(tensor);
    if (node && node->op() == "Shape") return is_scalar(node->input(0), depth + 1);
    if (!node || node->op() != "Const") return false;
    const auto& shape = node->attr().at("value").tensor().tensor_shape();
    return shape.dim_size() == 1 && shape.dim(0).size() == 0;
  }

  const NodeIndex index_;
  std::unordered_map<std::string, int> readers_, updates_;
};

void join(const Match& m) {
  const tf::NodeDef old = *m.update;
  m.update->set_op("ResourceApplyDecayedMomentum");
  m.update->clear_input();
  for (const std::string& input : {old.input(0), old.input(1), old.input(2), m.gradient, old.input(4), m.decay})
    m.update->add_input(input);
  for (const std::string& input : old.input())
    if (parse_tensor(input).is_control()) m.update->add_input(input);
  for (const std::string& input : m.controls) m.update->add_input(input);
  for (const char* attr : {"T", "use_locking"}) m.update->mutable_attr()->erase(attr);
}

}  // namespace

int join_weight_decay(tf::GraphDef* graph, const std::set<std::string>& initializers) {
  if (!bool_in_environment("MOX_DECAYED_UPDATES").value_or(true)) return 0;
  std::vector<Match> found;
  const Matcher matcher(*graph, initializers);
  for (tf::NodeDef& node : *graph->mutable_node())
    if (std::optional<Match> m = matcher.match(&node)) found.push_back(*std::move(m));
  for (const Match& m : found) join(m);
  return static_cast<int>(found.size());
}

}  // namespace mox
