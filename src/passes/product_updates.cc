#include "passes/product_updates.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/environment.h"
#include "convolutions/loops.h"
#include "graph/node_defs.h"
#include "passes/joined.h"
#include "passes/node_uses.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kSwitch[] = "MOX_PRODUCT_UPDATES";
constexpr int64_t kFewest = 1 << 16;  // weights: fewer are in a cache from the product to the update

bool is_true(const tf::NodeDef& node, const char* name) {
  const auto found = node.attr().find(name);
  return found != node.attr().end() && found->second.b();
}

bool is_float(const tf::NodeDef& node) {
  const auto type = node.attr().find("T");
  return type == node.attr().end() || type->second.type() == tf::DT_FLOAT;
}

// An update, and the product that is its gradient, with what lies between.
struct Match {
  tf::NodeDef *update, *product;
  std::vector<tf::NodeDef*> between;
};

class Matcher {
 public:
  explicit Matcher(tf::GraphDef* graph) : uses_(graph) {}

  std::optional<Match> match(tf::NodeDef* update) const {
    if (!is_one_of(update->op(), {"ResourceApplyMomentum", "ResourceApplyDecayedMomentum"}) || !is_float(*update) ||
        !has_many_weights(*update))
      return std::nullopt;
    Match m{update, nullptr, {}};
    tf::NodeDef* node = only_read(update->input(3));
    for (; node && is_one_of(node->op(), {"Identity", "Reshape"}); node = only_read(node->input(0)))
      m.between.push_back(node);
    if (!node || node->op() != "MatMul" || !is_float(*node) || !is_true(*node, "transpose_a") ||
        is_true(*node, "transpose_b") || node->device() != update->device() || !joined_by(*node).empty())
      return std::nullopt;
    m.product = node;
    return m;
  }

 private:
  bool has_many_weights(const tf::NodeDef& update) const {
    const tf::NodeDef* variable = uses_.node(node_of(update.input(0)));
    if (!variable || variable->op() != "VarHandleOp") return false;
    const tf::TensorShapeProto& shape = variable->attr().at("shape").shape();
    int64_t weights = shape.dim_size() > 1 ? 1 : 0;
    for (const auto& dim : shape.dim()) weights *= dim.size();
    return weights >= kFewest;
  }

  // The node of output 0, where the update's way alone leads on from it.
  tf::NodeDef* only_read(const std::string& tensor) const {
    const TensorRef at = parse_tensor(tensor);
    tf::NodeDef* node = at.port == 0 ? uses_.node(at.node) : nullptr;
    if (!node) return nullptr;
    const int64_t readers = std::ranges::count_if(uses_.of(*node), [&](const NodeUse& use) {
      return !parse_tensor(use.node->input(use.input)).is_control() && !is_dead(*use.node);
    });
    return readers == 1 ? node : nullptr;
  }

  // What decayed_updates left behind of the sum of the gradient and the decay: it ends nowhere.
  bool is_dead(const tf::NodeDef& node) const {
    return is_one_of(node.op(), {"AddN", "Identity", "Mul"}) &&
           std::ranges::all_of(uses_.of(node), [&](const NodeUse& use) { return is_dead(*use.node); });
  }

  const NodeUses uses_;
};

void join(const Match& m) {
  const tf::NodeDef old = *m.update;
  const bool decays = old.op() == "ResourceApplyDecayedMomentum";
  std::vector<std::string> inputs{old.input(0),        old.input(1),        old.input(2),
                                  m.product->input(0), m.product->input(1), old.input(4)};
  if (decays) inputs.push_back(old.input(5));
  const auto take_controls = [&](const tf::NodeDef& node) {
    for (const std::string& input : node.input())
      if (parse_tensor(input).is_control() && std::ranges::find(inputs, input) == inputs.end()) inputs.push_back(input);
  };
  take_controls(old);
  for (const tf::NodeDef* node : m.between) take_controls(*node);
  take_controls(*m.product);
  m.update->set_op("ResourceApplyProductMomentum");
  m.update->clear_input();
  for (const std::string& input : inputs) m.update->add_input(input);
  for (const char* attr : {"T", "use_locking"}) m.update->mutable_attr()->erase(attr);
  tf::SetAttrValue(decays ? 1 : 0, &(*m.update->mutable_attr())["num_decay"]);
  for (tf::NodeDef* node : m.between) mark_joined(node, kSwitch);
  mark_joined(m.product, kSwitch);
}

}  // namespace

int join_products_with_updates(tf::GraphDef* graph) {
  if (!convolutions::convolution_loops() || !bool_in_environment(kSwitch).value_or(true)) return 0;
  std::vector<Match> found;
  const Matcher matcher(graph);
  for (tf::NodeDef& node : *graph->mutable_node())
    if (std::optional<Match> m = matcher.match(&node)) found.push_back(*std::move(m));
  for (const Match& m : found) join(m);
  return static_cast<int>(found.size());
}

}  // namespace mox
