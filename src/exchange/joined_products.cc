#include "exchange/joined_products.h"

#include <map>
#include <optional>
#include <utility>

#include "base/environment.h"
#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "graph/scalar_const.h"
#include "tensorflow/core/common_runtime/graph_constructor.h"
#include "tensorflow/core/common_runtime/shape_refiner.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/graph/graph.h"
#include "tensorflow/core/public/version.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// What TensorFlow infers of a graph's tensors.
class Shapes {
 public:
  explicit Shapes(tf::GraphDef def)
      : graph_(tf::OpRegistry::Global()), refiner_(TF_GRAPH_DEF_VERSION, graph_.op_registry()) {
    def.mutable_versions()->set_producer(TF_GRAPH_DEF_VERSION);
    if (!tf::ImportGraphDef({}, def, &graph_, &refiner_).ok()) return;  // then nothing is known
    for (const tf::Node* node : graph_.nodes()) nodes_[node->name()] = node;
  }

  // nullopt unless all sizes are known.
  std::optional<std::vector<int64_t>> of(const TensorRef& tensor) {
    const auto node = nodes_.find(tensor.node);
    if (node == nodes_.end()) return std::nullopt;
    tf::shape_inference::InferenceContext* const context = refiner_.GetContext(node->second);
    if (!context || tensor.port < 0 || tensor.port >= context->num_outputs()) return std::nullopt;
    const auto shape = context->output(tensor.port);
    if (!context->FullyDefined(shape)) return std::nullopt;
    std::vector<int64_t> sizes;
    for (int i = 0; i < context->Rank(shape); ++i) sizes.push_back(context->Value(context->Dim(shape, i)));
    return sizes;
  }

  // Elements; 0: not known.
  int64_t count(const std::string& tensor) {
    const auto sizes = of(parse_tensor(tensor));
    if (!sizes) return 0;
    int64_t product = 1;
    for (const int64_t size : *sizes) product *= size;
    return product;
  }

 private:
  tf::Graph graph_;
  tf::ShapeRefiner refiner_;
  std::unordered_map<std::string, const tf::Node*> nodes_;
};

bool is_stateless(const std::string& op) {
  const tf::OpDef* def = nullptr;
  return tf::OpRegistry::Global()->LookUpOpDef(op, &def).ok() && !def->is_stateful();
}

bool same_attributes(const tf::NodeDef& a, const tf::NodeDef& b) {
  for (const auto& [name, value] : a.attr()) {
    if (name[0] == '_') continue;  // "_class": beside what it stands
    const auto other = b.attr().find(name);
    if (other == b.attr().end() || value.SerializeAsString() != other->second.SerializeAsString()) return false;
  }
  return true;
}

class ProductJoiner {
 public:
  explicit ProductJoiner(BuiltGraph* graph)
      : def_(&graph->graph), towers_(graph->towers.size()), index_(index_nodes(graph->graph)), shapes_(graph->graph) {}

  std::string join(const DeviceGradients& gradients) {
    std::vector<const tf::NodeDef*> sources;
    for (const std::string& tensor : gradients.slot->tower_gradients) sources.push_back(source_of(tensor));
    if (sources.size() != towers_) return "";
    for (const tf::NodeDef* source : sources)
      if (!source || source->op() != sources[0]->op() || source->input_size() != sources[0]->input_size()) return "";
    const std::string& slot = gradients.slot->slot;
    if (sources[0]->op() != "AddN") return pays(sources, gradients) ? add_product(sources, gradients) : "";
    std::vector<std::string> terms;
    bool found = false;
    for (int k = 0; k < sources[0]->input_size(); ++k) {
      std::vector<const tf::NodeDef*> products;
      bool same = true;
      for (const tf::NodeDef* source : sources) {
        if (parse_tensor(source->input(k)).is_control()) return "";
        same = same && is_same(source->input(k), sources[0]->input(k));
        products.push_back(source_of(source->input(k)));
      }
      if (same) {
        terms.push_back(sources[0]->input(k));
      } else if (!found && pays(products, gradients)) {
        found = true;
        terms.emplace_back();  // the product, once it is known that all terms are of these kinds
        joined_ = products;
      } else {
        return "";
      }
    }
    if (!found) return "";
    const std::string product = add_product(joined_, gradients);
    for (std::string& term : terms)
      term = term.empty() ? product : own_copy(term, slot + "/own_" + node_of(term), gradients);
    NodeMaker sum(def_, slot + "/terms", "AddN");
    for (const std::string& term : terms) sum.input(term);
    sum.attr("N", static_cast<int64_t>(terms.size())).attr("T", gradients.dtype).device(gradients.device);
    return slot + "/terms";
  }

 private:
  // Behind Identities; nullptr: no first output.
  const tf::NodeDef* source_of(const std::string& tensor) const {
    for (TensorRef ref = parse_tensor(tensor);;) {
      const auto found = index_.find(ref.node);
      if (found == index_.end() || ref.port != 0) return nullptr;
      if (found->second->op() != "Identity" || found->second->input_size() != 1) return found->second;
      ref = parse_tensor(found->second->input(0));
    }
  }

  // The inputs that have samples, in rows.
  static std::optional<std::pair<int, int>> rows_of(const tf::NodeDef& node) {
    const auto is_true = [&](const char* name) {
      const auto found = node.attr().find(name);
      return found != node.attr().end() && found->second.b();
    };
    if (node.op() == "MatMul" && node.input_size() == 2 && is_true("transpose_a") && !is_true("transpose_b"))
      return std::pair(0, 1);
    if (node.op() == "Conv2DBackpropFilter" && node.input_size() == 3) return std::pair(0, 2);
    return std::nullopt;
  }

  // Whether these are products that can be joined, and moving the rows costs less than the weights, a device.
  bool pays(const std::vector<const tf::NodeDef*>& products, const DeviceGradients& gradients) {
    int64_t moved = 0;
    for (const tf::NodeDef* product : products) {
      if (!product || product->op() != products[0]->op() || !same_attributes(*product, *products[0])) return false;
      const auto rows = rows_of(*product);
      if (!rows) return false;
      for (const int input : {rows->first, rows->second}) {
        const int64_t count = shapes_.count(product->input(input));
        if (count == 0 ||
            shapes_.of(parse_tensor(product->input(input))) != shapes_.of(parse_tensor(products[0]->input(input))))
          return false;
        moved += count;
      }
    }
    const auto dtype = products[0]->attr().find("T");
    if (dtype == products[0]->attr().end() || dtype->second.type() != gradients.dtype) return false;
    return moved * tf::DataTypeSize(gradients.dtype) < gradients.bytes * static_cast<int64_t>(products.size());
  }

  std::string add_rows(const std::vector<const tf::NodeDef*>& products, int input, const std::string& name,
                       const DeviceGradients& gradients) {
    tf::Tensor zero(tf::DT_INT32, {});
    zero.scalar<int32_t>()() = 0;
    const std::string axis = add_const(def_, name + "/axis", zero);
    NodeMaker rows(def_, name, "ConcatV2");
    for (const tf::NodeDef* product : products) rows.input(product->input(input));
    rows.input(axis).attr("N", static_cast<int64_t>(products.size())).attr("T", gradients.dtype);
    rows.attr("Tidx", tf::DT_INT32).device(gradients.device);
    return name;
  }

  // The mean over the devices: what is small is divided.
  std::string add_product(const std::vector<const tf::NodeDef*>& products, const DeviceGradients& gradients) {
    const std::string name = gradients.slot->slot + "/product";
    const auto [first, second] = *rows_of(*products[0]);
    tf::NodeDef product = *products[0];
    product.set_name(name);
    product.set_device(gradients.device);
    product.mutable_attr()->erase("_class");
    product.set_input(first, add_rows(products, first, name + "/taken", gradients));
    const std::string sum = add_rows(products, second, name + "/sum", gradients);
    const std::string part =
        add_const(def_, name + "/part",
                  scalar_of(gradients.dtype, 1.0 / static_cast<double>(products.size()), "gradients to be joined"));
    NodeMaker(def_, name + "/mean", "Mul").input(sum).input(part).attr("T", gradients.dtype).device(gradients.device);
    product.set_input(second, name + "/mean");
    *def_->add_node() = std::move(product);
    return name;
  }

  // What this sum alone uses may be computed late (passes/late_weight_decay.h).
  std::string own_copy(const std::string& term, const std::string& name, const DeviceGradients& gradients) {
    const TensorRef tensor = parse_tensor(term);
    tf::NodeDef copy = *index_.at(tensor.node);
    if (tensor.port != 0 || copy.op() != "Mul") return term;
    copy.set_name(name);
    copy.set_device(gradients.device);
    copy.mutable_attr()->erase("_class");
    *def_->add_node() = std::move(copy);
    return name;
  }

  // Computed in the same way of the same variables and constants.
  bool is_same(const std::string& a, const std::string& b) {
    const TensorRef first = parse_tensor(a), second = parse_tensor(b);
    if (first.text() == second.text()) return true;
    if (first.port != second.port || first.is_control()) return false;
    const auto key = std::pair(first.node, second.node);
    if (const auto known = same_.find(key); known != same_.end()) return known->second;
    same_[key] = false;  // also in a loop
    return same_[key] = compute_the_same(first.node, second.node);
  }

  bool compute_the_same(const std::string& a, const std::string& b) {
    const auto found = index_.find(a), other = index_.find(b);
    if (found == index_.end() || other == index_.end()) return false;
    const tf::NodeDef &x = *found->second, &y = *other->second;
    if (x.op() != y.op() || x.input_size() != y.input_size() || !same_attributes(x, y)) return false;
    if (x.op() == "Const") return true;
    if (x.input_size() == 0 || (!is_stateless(x.op()) && x.op() != "ReadVariableOp")) return false;
    const bool of_shape = is_one_of(x.op(), {"OnesLike", "ZerosLike", "Shape", "Size", "Rank"});
    for (int i = 0; i < x.input_size(); ++i) {
      if (of_shape) {
        const auto shape = shapes_.of(parse_tensor(x.input(i)));
        if (shape && shape == shapes_.of(parse_tensor(y.input(i)))) continue;
      }
      if (!is_same(x.input(i), y.input(i))) return false;
    }
    return true;
  }

  tf::GraphDef* const def_;
  const size_t towers_;
  const NodeIndex index_;  // before anything is added
  Shapes shapes_;
  std::map<std::pair<std::string, std::string>, bool> same_;
  std::vector<const tf::NodeDef*> joined_;  // of the slot at hand
};

}  // namespace

std::vector<std::string> add_joined_products(BuiltGraph* graph, const std::vector<DeviceGradients>& slots) {
  std::vector<std::string> means(slots.size());
  if (!bool_in_environment("MOX_JOINED_PRODUCTS").value_or(true)) return means;
  ProductJoiner joiner(graph);
  for (size_t i = 0; i < slots.size(); ++i) means[i] = joiner.join(slots[i]);
  return means;
}

}  // namespace mox
