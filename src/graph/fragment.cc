#include "graph/fragment.h"

#include <set>
#include <unordered_set>

#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "graph/tensor_info.h"
#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// Node names that `from` is computed from, itself included.
std::unordered_set<std::string> ancestors(const NodeIndex& index, const std::vector<std::string>& from) {
  std::unordered_set<std::string> seen(from.begin(), from.end());
  std::vector<std::string> stack = from;
  while (!stack.empty()) {
    const tf::NodeDef& node = require_node(index, stack.back(), "part of a fragment");
    stack.pop_back();
    for (const std::string& input : node.input())
      if (seen.insert(node_of(input)).second) stack.push_back(node_of(input));
  }
  return seen;
}

void copy_nodes(const tf::GraphDef& from, const std::unordered_set<std::string>& names, bool named, tf::GraphDef* to) {
  for (const tf::NodeDef& node : from.node()) {
    if (names.count(node.name()) != static_cast<size_t>(named)) continue;
    tf::NodeDef* copy = to->add_node();
    *copy = node;
    copy->mutable_attr()->erase("_class");  // colocation with a variable that is left out
  }
  *to->mutable_versions() = from.versions();
  *to->mutable_library() = from.library();
}

std::vector<std::string> op_names(const std::vector<tf::Output>& outputs) {
  std::vector<std::string> names;
  for (const tf::Output& output : outputs) names.push_back(output.node()->name());
  return names;
}

class FragmentMaker {
 public:
  FragmentMaker(const Scope& scope, const std::vector<tf::Output>& inputs)
      : scope_(scope), inputs_(inputs), graph_(scope.state().to_graph_def()), index_(index_nodes(graph_)) {}

  Fragment make() {
    add_variables();
    split_graph();
    fragment_.update_ops = op_names(scope_.get_collection(collections::kUpdateOps));
    for (const tf::Output& summary : scope_.get_collection(collections::kSummaries))
      fragment_.summaries.push_back(tensor_name(summary));
    for (const tf::Output& loss : scope_.get_collection(collections::kRegularizationLosses)) add_regularization(loss);
    const GraphState& state = scope_.state();
    fragment_.feeds = state.iterator_feeds;
    fragment_.iterator_initializers = state.iterator_initializers;
    if (auto found = state.text_collections.find("class_names"); found != state.text_collections.end())
      fragment_.class_names = found->second;
    return std::move(fragment_);
  }

 private:
  void add_variables() {
    for (const Variable& v : scope_.state().variables) {
      const tf::NodeDef& assign = require_node(index_, v.initializer.node()->name(), "initializer of " + v.name);
      const TensorRef value = parse_tensor(assign.input(1));
      fragment_.variables.push_back({v.name, tensor_name(v.handle), value.node + ":" + std::to_string(value.port),
                                     v.dtype, v.shape, v.trainable, v.handle.node()->requested_device()});
      values_.push_back(value.node);
    }
  }

  void split_graph() {
    const auto initializing = ancestors(index_, values_);
    copy_nodes(graph_, initializing, true, &fragment_.initializers);
    std::unordered_set<std::string> left_out = initializing;
    for (const Variable& v : scope_.state().variables) {
      left_out.insert(v.handle.node()->name());
      left_out.insert(v.initializer.node()->name());
    }
    for (const tf::Output& input : inputs_) left_out.insert(input.node()->name());
    copy_nodes(graph_, left_out, false, &fragment_.graph);
  }

  void add_regularization(const tf::Output& loss) {
    RegularizationLoss term{tensor_name(loss), {}};
    const auto from = ancestors(index_, {loss.node()->name()});
    for (const Variable& v : scope_.state().variables)
      if (from.count(v.handle.node()->name())) term.variables.push_back(v.name);
    fragment_.regularization_losses.push_back(term);
  }

  const Scope& scope_;
  const std::vector<tf::Output>& inputs_;
  const tf::GraphDef graph_;
  const NodeIndex index_;
  std::vector<std::string> values_;
  Fragment fragment_;
};

}  // namespace

Fragment make_fragment(const Scope& scope, const std::vector<tf::Output>& inputs) {
  check(scope, "building a part of the graph");
  return FragmentMaker(scope, inputs).make();
}

}  // namespace mox
