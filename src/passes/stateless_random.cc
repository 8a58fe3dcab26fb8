#include "passes/stateless_random.h"

#include <unordered_set>

#include "devices/device_plan.h"
#include "graph/node_defs.h"
#include "graph/random_ops.h"
#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;

namespace {

std::unordered_set<std::string> ancestors(const tf::GraphDef& graph, const std::vector<std::string>& from) {
  const NodeIndex index = index_nodes(graph);
  std::unordered_set<std::string> seen;
  std::vector<std::string> stack;
  for (const std::string& tensor : from)
    if (seen.insert(node_of(tensor)).second) stack.push_back(node_of(tensor));
  while (!stack.empty()) {
    const tf::NodeDef& node = require_node(index, stack.back(), "what a step computes");
    stack.pop_back();
    for (const std::string& input : node.input())
      if (seen.insert(node_of(input)).second) stack.push_back(node_of(input));
  }
  return seen;
}

class RandomOpsPass {
 public:
  RandomOpsPass(tf::GraphDef* graph, const StatelessRandomOptions& options) : graph_(graph), options_(options) {}

  void run() {
    const auto left_alone = ancestors(*graph_, options_.initializers);
    if (options_.worker > 0) of_worker_ = ancestors(*graph_, options_.of_worker);
    std::vector<tf::NodeDef*> found;
    for (tf::NodeDef& node : *graph_->mutable_node())
      if (is_seeded_random_op(node) && !left_alone.count(node.name())) found.push_back(&node);
    if (found.empty()) return;
    read_step();
    for (tf::NodeDef* node : found) change(node);
  }

 private:
  void read_step() {
    tf::NodeDef *handle = nullptr, *increment = nullptr;
    for (tf::NodeDef& node : *graph_->mutable_node()) {
      if (node.name() == options_.global_step) handle = &node;
      if (node.name() == options_.increment) increment = &node;
    }
    if (!handle || !increment) throw Error("the graph has no global step, wanted for its random operations");
    NodeMaker(graph_, kStep, "ReadVariableOp")
        .input(options_.global_step)
        .attr("dtype", tf::DT_INT64)
        .device(handle->device());
    increment->add_input(std::string("^") + kStep);  // this step's number
  }

  void change(tf::NodeDef* node) {
    const std::string name = node->name();
    tf::Tensor own = random_key(*node);
    if (of_worker_.count(name)) {
      const auto key = static_cast<uint64_t>(own.scalar<int64_t>()());
      own.scalar<int64_t>()() = static_cast<int64_t>(key + kApart * static_cast<uint64_t>(options_.worker));
    }
    const std::string key = add_const(graph_, name + "/mox_key", own);
    NodeMaker(graph_, name + "/mox_seed", "Pack")
        .input(key)
        .input(kStep)
        .attr("N", int64_t{2})
        .attr("T", tf::DT_INT64)
        .attr("axis", int64_t{0})
        .device(host_of(node->device()));  // who reads it takes it from the host's memory
    make_stateless(node, name + "/mox_seed");
  }

  static constexpr uint64_t kApart = 0x2545F4914F6CDD1D;  // odd: no two workers have one key
  static constexpr char kStep[] = "mox_random/global_step";
  tf::GraphDef* graph_;
  const StatelessRandomOptions& options_;
  std::unordered_set<std::string> of_worker_;
};

}  // namespace

void make_random_ops_stateless(tf::GraphDef* graph, const StatelessRandomOptions& options) {
  RandomOpsPass(graph, options).run();
}

}  // namespace mox
