#include "passes/fuse_batch_norm.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/environment.h"
#include "graph/graph_shapes.h"
#include "graph/node_defs.h"
#include "passes/joined.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kSwitch[] = "MOX_FUSE_BATCH_NORM";

struct Use {
  tf::NodeDef* node;
  int input;
};

bool is_relu(const tf::NodeDef& node) { return node.op() == "Relu" || node.op() == "Relu6"; }
bool is_relu_gradient(const tf::NodeDef& node) { return node.op() == "ReluGrad" || node.op() == "Relu6Grad"; }

// Who reads which tensor.
class Uses {
 public:
  explicit Uses(tf::GraphDef* graph) {
    for (tf::NodeDef& node : *graph->mutable_node()) {
      nodes_[node.name()] = &node;
      for (int i = 0; i < node.input_size(); ++i)
        if (const TensorRef input = parse_tensor(node.input(i)); !input.is_control())
          uses_[input.text()].push_back({&node, i});
    }
  }

  const std::vector<Use>& of(const std::string& node, int port) const {
    static const std::vector<Use> kNone;
    auto found = uses_.find(TensorRef{node, port}.text());
    return found == uses_.end() ? kNone : found->second;
  }

  tf::NodeDef* node(const std::string& tensor) const {
    auto found = nodes_.find(node_of(tensor));
    return found == nodes_.end() ? nullptr : found->second;
  }

  // The only node that computes with the tensor, at that input; gradients of it and questions for its shape aside.
  std::optional<Use> only(const std::string& node, int port) const {
    std::optional<Use> found;
    for (const Use& use : of(node, port)) {
      const std::string& op = use.node->op();
      if (op == "Shape" || op == "ZerosLike" || is_relu_gradient(*use.node)) continue;
      if (found) return std::nullopt;
      found = use;
    }
    return found;
  }

 private:
  std::map<std::string, std::vector<Use>> uses_;
  std::map<std::string, tf::NodeDef*> nodes_;
};

bool is_candidate(const tf::NodeDef& node) {
  if (node.op() != "FusedBatchNormV3") return false;
  const auto& attr = node.attr();
  auto text = [&](const char* name, const char* otherwise) {
    auto found = attr.find(name);
    return found == attr.end() ? std::string(otherwise) : found->second.s();
  };
  auto training = attr.find("is_training");
  auto factor = attr.find("exponential_avg_factor");
  const tf::DataType type = attr.at("T").type();
  return (training == attr.end() || training->second.b()) && (factor == attr.end() || factor->second.f() == 1) &&
         (type == tf::DT_FLOAT || type == tf::DT_BFLOAT16) && text("data_format", "NHWC") == "NHWC";
}

float epsilon_of(const tf::NodeDef& norm) {
  auto found = norm.attr().find("epsilon");
  return found == norm.attr().end() ? 1e-4f : found->second.f();
}

// One batch norm and its surroundings, before anything changes.
struct Match {
  tf::NodeDef *norm = nullptr, *relu = nullptr, *relu_gradient = nullptr, *norm_gradient = nullptr;
  tf::NodeDef* sum = nullptr;  // of the residual; null without
  int side = 0;                // which input of the sum is the residual
};

// The one node among the readers that is of type `op` and has the tensor as that input.
tf::NodeDef* only_of(std::vector<Use> uses, const std::string& op, int input) {
  std::erase_if(uses, [&](const Use& use) { return use.node->op() != op || use.input != input; });
  return uses.size() == 1 ? uses[0].node : nullptr;
}

// A ReLU's gradient reads what the ReLU gave (Python's) or what it took (C++'s).
std::vector<Use> readers_of_relu(const Uses& uses, const tf::NodeDef& relu) {
  std::vector<Use> all = uses.of(relu.name(), 0);
  const TensorRef input = parse_tensor(relu.input(0));
  const std::vector<Use>& before = uses.of(input.node, input.port);
  all.insert(all.end(), before.begin(), before.end());
  return all;
}

// Back from `tensor` over what a broadcast's gradient does when shapes are equal: nothing.
std::string unwrapped(const Uses& uses, std::string tensor) {
  for (const tf::NodeDef* node = uses.node(tensor);
       node && (node->op() == "Reshape" || node->op() == "Sum" || node->op() == "Identity"); node = uses.node(tensor))
    tensor = node->input(0);
  return tensor;
}

std::optional<Match> match(const Uses& uses, tf::NodeDef* norm) {
  Match m;
  m.norm = norm;
  const std::optional<Use> next = uses.only(norm->name(), 0);
  if (!next) return std::nullopt;
  m.relu = next->node;
  if (next->node->op() == "AddV2" || next->node->op() == "Add") {
    m.sum = next->node;
    m.side = 1 - next->input;
    const std::optional<Use> after = uses.only(m.sum->name(), 0);
    if (!after) return std::nullopt;
    m.relu = after->node;
  }
  if (!is_relu(*m.relu)) return std::nullopt;
  m.relu_gradient = only_of(readers_of_relu(uses, *m.relu), m.relu->op() + "Grad", 1);
  m.norm_gradient = only_of(uses.of(norm->name(), 3), "FusedBatchNormGradV3", 3);
  if (!m.relu_gradient || !m.norm_gradient) return std::nullopt;
  const std::string arrives = m.sum ? unwrapped(uses, m.norm_gradient->input(0)) : m.norm_gradient->input(0);
  if (parse_tensor(arrives).text() != m.relu_gradient->name()) return std::nullopt;
  // Somebody else who wants the gradients between, or the second and third statistics, keeps the separate nodes.
  if (!m.sum && uses.of(m.relu_gradient->name(), 0).size() != 1) return std::nullopt;
  for (int port : {3, 4, 5})
    for (const Use& use : uses.of(norm->name(), port))
      if (use.node != m.norm_gradient && use.node->op() != "ZerosLike") return std::nullopt;
  return m;
}

void move_uses(const std::vector<Use>& uses, const std::string& to) {
  for (const Use& use : uses) *use.node->mutable_input(use.input) = to;
}

// The gradients that arrive: the terms of their sum when nobody else wants it.
std::vector<std::string> arriving_gradients(const Uses& uses, const std::string& dy) {
  const tf::NodeDef* sum = uses.node(dy);
  if (!sum || sum->op() != "AddN" || sum->attr().at("N").i() != 2 || uses.of(sum->name(), 0).size() != 1) return {dy};
  return {sum->input(0), sum->input(1)};
}

// Their sum, where its terms are read in its place.
void mark_left_behind(const Uses& uses, const std::vector<std::string>& dy, const std::string& sum) {
  if (dy.size() > 1) mark_joined(uses.node(sum), kSwitch);
}

std::vector<std::string> control_inputs(const tf::NodeDef& node) {
  std::vector<std::string> controls;
  for (const std::string& input : node.input())
    if (parse_tensor(input).is_control()) controls.push_back(input);
  return controls;
}

// Another operation under the same name: whoever reads it need not know.
void become(tf::NodeDef* node, const std::string& op, const std::vector<std::string>& inputs,
            const std::map<std::string, tf::AttrValue>& attrs) {
  const std::vector<std::string> controls = control_inputs(*node);
  node->set_op(op);
  node->clear_attr();
  node->clear_input();
  for (const std::string& input : inputs) node->add_input(input);
  for (const std::string& input : controls) node->add_input(input);
  for (const auto& [name, value] : attrs) (*node->mutable_attr())[name] = value;
}

template <typename T>
tf::AttrValue attr_value(const T& value) {
  tf::AttrValue result;
  tf::SetAttrValue(value, &result);
  return result;
}

// Readers of what goes away read what comes instead.
void redirect(const Uses& uses, const Match& m) {
  const std::string moments = m.norm->name() + "/moments";
  move_uses(uses.of(m.norm->name(), 1), moments);
  move_uses(uses.of(m.norm->name(), 2), moments + ":1");
  if (m.sum) move_uses(uses.of(m.relu_gradient->name(), 0), m.norm_gradient->name() + ":3");
  for (const Use& use : uses.of(m.norm->name(), 0))
    if (use.node->op() == "Shape") *use.node->mutable_input(use.input) = m.norm->input(0);
}

// The statistics of what `norm` normalises.
void add_moments(tf::GraphDef* graph, const tf::NodeDef& norm) {
  NodeMaker maker(graph, norm.name() + "/moments", "MoxMoments");
  maker.input(norm.input(0)).attr("T", norm.attr().at("T").type()).device(norm.device());
  for (const std::string& control : control_inputs(norm)) maker.input(control);
}

void fuse(tf::GraphDef* graph, const Uses& uses, const Match& m) {
  const std::string moments = m.norm->name() + "/moments", x = m.norm->input(0);
  const std::vector<std::string> parameters{moments, moments + ":2", m.norm->input(1), m.norm->input(2)};
  const std::vector<std::string> dy = arriving_gradients(uses, m.relu_gradient->input(0));
  const tf::DataType type = m.norm->attr().at("T").type();
  std::map<std::string, tf::AttrValue> attrs{{"T", attr_value(type)},
                                             {"num_side", attr_value(m.sum ? 1 : 0)},
                                             {"epsilon", attr_value(epsilon_of(*m.norm))},
                                             {"activation", attr_value(m.relu->op())}};
  std::vector<std::string> inputs{x};
  if (m.sum) inputs.push_back(m.sum->input(m.side));
  inputs.insert(inputs.end(), parameters.begin(), parameters.end());
  become(m.relu, "MoxNormalize", inputs, attrs);
  inputs = dy;
  inputs.push_back(x);
  if (m.sum) inputs.push_back(m.relu->name());
  inputs.insert(inputs.end(), parameters.begin(), parameters.end());
  attrs["num_dy"] = attr_value(static_cast<int>(dy.size()));
  mark_left_behind(uses, dy, m.relu_gradient->input(0));
  for (tf::NodeDef* node : {m.norm, m.sum, m.relu_gradient})
    if (node) mark_joined(node, kSwitch);
  // Its gradient asks x where it clamps.
  if (!m.sum) mark_joined(m.relu, kSwitch);
  become(m.norm_gradient, "MoxNormalizeGrad", inputs, attrs);
  add_moments(graph, *m.norm);
}

// A batch norm that no ReLU follows, and its gradient.
struct Lone {
  tf::NodeDef *norm = nullptr, *gradient = nullptr;
  tf::NodeDef* sum = nullptr;  // with something else, which alone reads it; may be null
  int side = 0;                // which input of the sum that is
};

std::optional<Lone> match_lone(const Uses& uses, tf::NodeDef* norm) {
  Lone lone;
  lone.norm = norm;
  lone.gradient = only_of(uses.of(norm->name(), 3), "FusedBatchNormGradV3", 3);
  if (!lone.gradient) return std::nullopt;
  for (int port : {3, 4, 5})
    for (const Use& use : uses.of(norm->name(), port))
      if (use.node != lone.gradient && use.node->op() != "ZerosLike") return std::nullopt;
  const std::optional<Use> next = uses.only(norm->name(), 0);
  if (next && (next->node->op() == "AddV2" || next->node->op() == "Add")) {
    lone.sum = next->node;
    lone.side = 1 - next->input;
  }
  return lone;
}

// Where the normalisation stands: in the sum's place; without one beside the batch norm, whose statistics somebody may
// ask for by name.
std::string place_of(const Lone& lone) { return lone.sum ? lone.sum->name() : lone.norm->name() + "/normalize"; }

void redirect(const Uses& uses, const Lone& lone) {
  const std::string& norm = lone.norm->name();
  move_uses(uses.of(norm, 1), norm + "/moments");
  move_uses(uses.of(norm, 2), norm + "/moments:1");
  for (const Use& use : uses.of(norm, 0)) {
    if (!lone.sum)
      *use.node->mutable_input(use.input) = place_of(lone);
    else if (use.node->op() == "Shape")
      *use.node->mutable_input(use.input) = lone.norm->input(0);
  }
}

void take(tf::GraphDef* graph, const Uses& uses, const Lone& lone) {
  const std::string moments = lone.norm->name() + "/moments", x = lone.norm->input(0);
  const std::vector<std::string> parameters{moments, moments + ":2", lone.norm->input(1), lone.norm->input(2)};
  const std::vector<std::string> dy = arriving_gradients(uses, lone.gradient->input(0));
  std::map<std::string, tf::AttrValue> attrs{{"T", lone.norm->attr().at("T")},
                                             {"num_side", attr_value(lone.sum ? 1 : 0)},
                                             {"epsilon", attr_value(epsilon_of(*lone.norm))},
                                             {"activation", attr_value(std::string())}};
  std::vector<std::string> inputs{x};
  if (lone.sum) inputs.push_back(lone.sum->input(lone.side));
  inputs.insert(inputs.end(), parameters.begin(), parameters.end());
  add_moments(graph, *lone.norm);
  tf::NodeDef* normalize = lone.sum ? lone.sum : graph->add_node();
  normalize->set_name(place_of(lone));
  normalize->set_device(lone.norm->device());
  become(normalize, "MoxNormalize", inputs, attrs);
  inputs = dy;
  inputs.push_back(x);
  inputs.insert(inputs.end(), parameters.begin(), parameters.end());
  attrs["num_side"] = attr_value(0);
  attrs["num_dy"] = attr_value(static_cast<int>(dy.size()));
  mark_left_behind(uses, dy, lone.gradient->input(0));
  mark_joined(lone.norm, kSwitch);
  become(lone.gradient, "MoxNormalizeGrad", inputs, attrs);
}

}  // namespace

int fuse_batch_norm(tf::GraphDef* graph) {
  if (!bool_in_environment(kSwitch).value_or(true)) return 0;
  std::vector<Match> matches;
  std::set<const tf::NodeDef*> taken;  // the sum of two batch norms is joined with one of them
  const Uses uses(graph);
  std::unique_ptr<GraphShapes> shapes;  // to tell a residual from a broadcast
  for (tf::NodeDef& node : *graph->mutable_node()) {
    if (!is_candidate(node)) continue;
    const std::optional<Match> m = match(uses, &node);
    if (!m || taken.count(m->relu)) continue;
    if (m->sum) {
      if (!shapes) shapes = std::make_unique<GraphShapes>(*graph);
      if (!shapes->equal_inputs(m->sum->name())) continue;
    }
    taken.insert(m->relu);
    matches.push_back(*m);
  }
  for (const Match& m : matches) redirect(uses, m);
  for (const Match& m : matches) fuse(graph, uses, m);
  return matches.size();
}

int take_lone_batch_norms(tf::GraphDef* graph) {
  if (!bool_in_environment(kSwitch).value_or(true)) return 0;
  std::vector<Lone> found;
  std::set<const tf::NodeDef*> taken;  // the sum of two batch norms is joined with one of them
  const Uses uses(graph);
  std::unique_ptr<GraphShapes> shapes;
  for (tf::NodeDef& node : *graph->mutable_node()) {
    if (!is_candidate(node)) continue;
    std::optional<Lone> lone = match_lone(uses, &node);
    if (!lone) continue;
    if (lone->sum) {
      if (!shapes) shapes = std::make_unique<GraphShapes>(*graph);
      if (!shapes->equal_inputs(lone->sum->name()) || !taken.insert(lone->sum).second) lone->sum = nullptr;
    }
    found.push_back(*lone);
  }
  for (const Lone& lone : found) redirect(uses, lone);
  for (const Lone& lone : found) take(graph, uses, lone);
  return found.size();
}

}  // namespace mox
