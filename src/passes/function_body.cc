#include "passes/function_body.h"

namespace mox {

namespace tf = tensorflow;

FunctionBody::FunctionBody(tf::FunctionDef* function) : function_(function) { index(); }

void FunctionBody::index() {
  nodes_.clear();
  for (tf::NodeDef& node : *function_->mutable_node_def()) nodes_[node.name()] = &node;
}

std::string FunctionBody::owner(const std::string& input) {
  const size_t begin = !input.empty() && input[0] == '^' ? 1 : 0;
  const size_t colon = input.find(':');
  return input.substr(begin, colon == std::string::npos ? colon : colon - begin);
}

tf::NodeDef* FunctionBody::producer(const std::string& input) const {
  const auto found = nodes_.find(owner(input));
  return found == nodes_.end() ? nullptr : found->second;
}

int FunctionBody::argument(const std::string& input) const {
  const auto& arguments = function_->signature().input_arg();
  for (int i = 0; i < arguments.size(); ++i)
    if (arguments[i].name() == input) return i;
  return -1;
}

void FunctionBody::redirect(const std::string& from, const std::string& to) {
  for (tf::NodeDef& node : *function_->mutable_node_def())
    for (std::string& input : *node.mutable_input())
      if (input == from) input = to;
  for (auto& [name, value] : *function_->mutable_ret())
    if (value == from) value = to;
}

void FunctionBody::remove_unread(const std::set<std::string>& candidates) {
  for (bool changed = true; changed;) {
    std::set<std::string> read;
    for (const tf::NodeDef& node : function_->node_def())
      for (const std::string& input : node.input()) read.insert(owner(input));
    for (const auto& [name, value] : function_->ret()) read.insert(owner(value));
    for (const auto& [name, value] : function_->control_ret()) read.insert(owner(value));
    auto& nodes = *function_->mutable_node_def();
    const auto unread = [&](const tf::NodeDef& node) {
      return candidates.count(node.name()) && !read.count(node.name());
    };
    changed = false;
    for (int i = nodes.size() - 1; i >= 0; --i) {
      if (!unread(nodes[i])) continue;
      nodes.DeleteSubrange(i, 1);
      changed = true;
    }
  }
  index();
}

}  // namespace mox
