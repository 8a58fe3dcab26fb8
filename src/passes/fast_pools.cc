#include "passes/fast_pools.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/environment.h"
#include "graph/node_defs.h"
#include "passes/convolution_nodes.h"
#include "passes/joined.h"
#include "passes/node_uses.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kSwitch[] = "MOX_FAST_POOLS";
constexpr int64_t kMostPlaces = 255;  // of a window of MoxMaxPool

std::vector<int64_t> numbers_of(const tf::NodeDef& node, const char* attr) {
  const auto& list = node.attr().at(attr).list().i();
  return {list.begin(), list.end()};
}

bool is_of_images(const std::vector<int64_t>& numbers) {
  return numbers.size() == 4 && numbers[0] == 1 && numbers[3] == 1;
}

// Of a pooling or a gradient of one.
bool is_plain(const tf::NodeDef& node) {
  const tf::DataType type = node.attr().at("T").type();
  return (type == tf::DT_FLOAT || type == tf::DT_BFLOAT16) && is_nhwc(node) && joined_by(node).empty() &&
         is_one_of(node.attr().at("padding").s(), {"SAME", "VALID"}) && is_of_images(numbers_of(node, "ksize")) &&
         is_of_images(numbers_of(node, "strides"));
}

bool pool_alike(const tf::NodeDef& a, const tf::NodeDef& b) {
  return a.attr().at("T").type() == b.attr().at("T").type() &&
         a.attr().at("padding").s() == b.attr().at("padding").s() && numbers_of(a, "ksize") == numbers_of(b, "ksize") &&
         numbers_of(a, "strides") == numbers_of(b, "strides");
}

bool is_same_tensor(const std::string& a, const std::string& b) {
  return parse_tensor(a).text() == parse_tensor(b).text();
}

// `node` becomes the operation `op` of the inputs and of what it or `more` waited for, with the attributes of `pool`.
void become(const char* op, const tf::NodeDef& pool, const std::vector<std::string>& inputs, const tf::NodeDef* more,
            tf::NodeDef* node) {
  tf::NodeDef fast;
  fast.set_name(node->name());
  fast.set_op(op);
  fast.set_device(node->device());
  for (const std::string& input : inputs) fast.add_input(input);
  std::set<std::string> control;
  for (const tf::NodeDef* from : {static_cast<const tf::NodeDef*>(node), more})
    for (int i = 0; from && i < from->input_size(); ++i)
      if (parse_tensor(from->input(i)).is_control()) control.insert(from->input(i));
  for (const std::string& input : control) fast.add_input(input);
  for (const char* attr : {"T", "ksize", "strides", "padding"}) (*fast.mutable_attr())[attr] = pool.attr().at(attr);
  *node = std::move(fast);
}

// A MaxPool with its gradients, and what of a ReLU each of them is only for (nullptr: it is for others).
struct MaxPool {
  tf::NodeDef* pool;
  std::vector<std::pair<tf::NodeDef*, tf::NodeDef*>> gradients;

  bool is_of_relu() const {
    return std::ranges::all_of(gradients, [](const auto& gradient) { return gradient.second != nullptr; });
  }
};

// The gradient of the ReLU whose result the pool's input is, where nothing else reads this gradient.
tf::NodeDef* relu_gradient_of(const NodeUses& uses, const tf::NodeDef& gradient, const std::string& x) {
  const std::vector<NodeUse>& readers = uses.of(gradient);
  if (readers.size() != 1 || readers[0].input != 0) return nullptr;
  tf::NodeDef* relu = readers[0].node;
  const bool fits = relu->op() == "ReluGrad" && is_same_tensor(relu->input(1), x) &&
                    relu->device() == gradient.device() && joined_by(*relu).empty();
  return fits ? relu : nullptr;
}

// Whether it has gradients, all of which are to be ours: oneDNN's want oneDNN's.
bool find_gradients(const NodeUses& uses, MaxPool* found) {
  const tf::NodeDef& pool = *found->pool;
  const std::vector<int64_t> window = numbers_of(pool, "ksize");
  for (const NodeUse& use : uses.of(pool)) {
    if (use.node->op().rfind("MaxPoolGrad", 0) != 0 || use.input != 1) continue;
    if (use.node->op() != "MaxPoolGrad" || !is_plain(*use.node) || !pool_alike(*use.node, pool) ||
        !is_same_tensor(use.node->input(0), pool.input(0)) || use.node->device() != pool.device() ||
        window[1] * window[2] > kMostPlaces)
      return false;
    found->gradients.emplace_back(use.node, relu_gradient_of(uses, *use.node, pool.input(0)));
  }
  return !found->gradients.empty();
}

// The sizes of the images, so that who needs no more of these does not keep them in memory.
std::string add_sizes(tf::GraphDef* graph, const tf::NodeDef& pool) {
  NodeMaker sizes(graph, pool.name() + "/sizes_for_gradient", "Shape");
  sizes.input(pool.input(0)).device(pool.device()).attr("T", pool.attr().at("T").type()).attr("out_type", tf::DT_INT32);
  return sizes.name();
}

int become_fast(tf::GraphDef* graph, const MaxPool& found) {
  tf::NodeDef* pool = found.pool;
  const tf::NodeDef before = *pool;
  const std::string sizes = add_sizes(graph, before);
  become("MoxMaxPool", before, {before.input(0)}, nullptr, pool);
  tf::SetAttrValue(found.is_of_relu(), &(*pool->mutable_attr())["positive"]);
  // Its gradients are not of what is fed for its result.
  mark_joined(pool, kSwitch);
  for (const auto& [gradient, relu] : found.gradients) {
    tf::NodeDef* last = found.is_of_relu() ? relu : gradient;
    become("MoxMaxPoolGrad", before, {sizes, pool->name() + ":1", gradient->input(2)},
           last == gradient ? nullptr : gradient, last);
    if (last != gradient) mark_joined(gradient, kSwitch);
  }
  return 1 + static_cast<int>(found.gradients.size());
}

}  // namespace

int make_pools_fast(tf::GraphDef* graph) {
  if (!bool_in_environment(kSwitch).value_or(true)) return 0;
  std::vector<MaxPool> maxima;
  std::vector<tf::NodeDef*> means;
  const NodeUses uses(graph);
  for (tf::NodeDef& node : *graph->mutable_node()) {
    if (!is_one_of(node.op(), {"MaxPool", "AvgPoolGrad"}) || !is_plain(node)) continue;
    MaxPool found{&node, {}};
    if (node.op() == "AvgPoolGrad")
      means.push_back(&node);
    else if (find_gradients(uses, &found))
      maxima.push_back(found);
  }
  int count = static_cast<int>(means.size());
  for (tf::NodeDef* node : means)
    become("MoxAvgPoolGrad", tf::NodeDef(*node), {node->input(0), node->input(1)}, nullptr, node);
  for (const MaxPool& found : maxima) count += become_fast(graph, found);
  return count;
}

}  // namespace mox
