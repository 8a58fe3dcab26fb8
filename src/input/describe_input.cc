#include "input/describe_input.h"

#include <algorithm>
#include <functional>
#include <set>
#include <vector>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// Added by lift_input: not what the user wrote.
bool is_ours(const std::string& name) { return name.rfind("input/", 0) == 0; }

class Description {
 public:
  explicit Description(const tf::GraphDef& graph) : nodes_(index_nodes(graph)) {
    for (const tf::FunctionDef& f : graph.library().function()) functions_[f.signature().name()] = &f;
  }

  // Sources first.
  std::vector<std::string> of(const std::string& last) {
    visit(last);
    return found_;
  }

 private:
  void visit(const std::string& name) {
    const auto found = nodes_.find(name);
    if (found == nodes_.end() || !seen_.insert(name).second) return;
    for (const std::string& input : found->second->input()) visit(node_of(input));
    note(*found->second, is_ours(name));
  }

  // The data sets of a function, which makes one (a one-shot iterator's) or one for each element (flat_map).
  void note(const tf::NodeDef& node, bool hidden) {
    for (const auto& [key, value] : node.attr()) {
      if (!value.has_func() || !seen_.insert("function " + value.func().name()).second) continue;
      const auto f = functions_.find(value.func().name());
      if (f == functions_.end()) continue;
      for (const tf::NodeDef& inside : f->second->node_def()) note(inside, false);
    }
    if (!hidden && node.op().find("Dataset") != std::string::npos &&
        std::find(found_.begin(), found_.end(), node.op()) == found_.end())
      found_.push_back(node.op());
  }

  const NodeIndex nodes_;
  std::map<std::string, const tf::FunctionDef*> functions_;
  std::set<std::string> seen_;
  std::vector<std::string> found_;
};

}  // namespace

std::string describe_input(const tf::GraphDef& graph) {
  std::string text;
  for (const std::string& dataset : Description(graph).of("input/make_iterator"))
    text += (text.empty() ? " (" : ", ") + dataset;
  return text.empty() ? "input_fn" : "input_fn" + text + ")";
}

}  // namespace mox
