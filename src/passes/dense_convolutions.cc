#include "passes/dense_convolutions.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph_shapes.h"
#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr int64_t kWorthLooking = 1 << 22;  // weights of the largest filter
constexpr int64_t kLargeFilter = 1 << 18;   // below, nothing is gained

// Where the image, the filter and the gradient of the result stand among the inputs; -1: it has none.
struct Kind {
  const char* op;
  int image, filter, gradient;
};
constexpr Kind kKinds[] = {{"Conv2D", 0, 1, -1}, {"Conv2DBackpropInput", -1, 1, 2}, {"Conv2DBackpropFilter", 0, -1, 2}};

const Kind* kind_of(const tf::NodeDef& node) {
  for (const Kind& kind : kKinds)
    if (node.op() == kind.op) return &kind;
  return nullptr;
}

bool all_ones(const tf::NodeDef& node, const char* name) {
  const auto found = node.attr().find(name);
  if (found == node.attr().end()) return true;
  const auto& values = found->second.list().i();
  return std::all_of(values.begin(), values.end(), [](int64_t value) { return value == 1; });
}

std::string text(const tf::NodeDef& node, const char* name, const char* otherwise) {
  const auto found = node.attr().find(name);
  return found == node.attr().end() ? otherwise : found->second.s();
}

int64_t elements(const std::vector<int64_t>& shape) {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

// [height, width, in, out] of the convolution, where one product does its work.
std::optional<std::vector<int64_t>> dense_filter(const tf::NodeDef& node, const Kind& kind, GraphShapes* shapes) {
  if (text(node, "data_format", "NHWC") != "NHWC" || !all_ones(node, "dilations")) return std::nullopt;
  const std::vector<int64_t> filter = kind.filter >= 0 ? shapes->of(node.input(kind.filter)) : shapes->of(node.name());
  const std::vector<int64_t> image = kind.image >= 0 ? shapes->of(node.input(kind.image)) : shapes->of(node.name());
  if (filter.size() != 4 || image.size() != 4 || std::count(filter.begin(), filter.end(), -1) > 0) return std::nullopt;
  const std::string padding = text(node, "padding", "");
  const bool pads = padding != "VALID" && (padding != "SAME" || filter[0] * filter[1] != 1);
  if (pads || image[1] != filter[0] || image[2] != filter[1] || image[3] != filter[2]) return std::nullopt;
  if (elements(filter) < kLargeFilter) return std::nullopt;
  return filter;
}

// What a filter's shape is read from without looking at the graph's shapes: its variable's.
bool has_large_filter(const tf::GraphDef& graph) {
  return std::any_of(graph.node().begin(), graph.node().end(), [](const tf::NodeDef& node) {
    if (node.op() != "VarHandleOp") return false;
    const tf::TensorShapeProto& shape = node.attr().at("shape").shape();
    int64_t product = shape.dim_size() == 4 ? 1 : 0;
    for (const auto& dim : shape.dim()) product *= dim.size();
    return product >= kWorthLooking;
  });
}

// Makes the product's parts beside the node, which becomes the product in the shape that it had.
class Rewriter {
 public:
  Rewriter(tf::GraphDef* graph, tf::NodeDef* node, const std::vector<int64_t>& filter)
      : graph_(graph), node_(node), old_(*node), filter_(filter) {}

  void rewrite(const Kind& kind) {
    const int64_t in = filter_[0] * filter_[1] * filter_[2], out = filter_[3];
    if (kind.gradient < 0) {
      become(multiply(matrix("left", 0, {-1, in}), matrix("right", 1, {in, out}), false, false),
             shape("shape", {-1, 1, 1, out}));
    } else if (kind.image < 0) {
      become(multiply(matrix("left", 2, {-1, out}), matrix("right", 1, {in, out}), false, true), old_.input(0));
    } else {
      become(multiply(matrix("left", 0, {-1, in}), matrix("right", 2, {-1, out}), true, false), old_.input(1));
    }
  }

 private:
  std::string shape(const std::string& name, const std::vector<int64_t>& dims) {
    tf::Tensor value(tf::DT_INT32, {static_cast<int64_t>(dims.size())});
    for (size_t i = 0; i < dims.size(); ++i) value.flat<int32_t>()(i) = static_cast<int32_t>(dims[i]);
    return NodeMaker(graph_, old_.name() + "/" + name, "Const")
        .attr("dtype", tf::DT_INT32)
        .attr("value", value)
        .device(old_.device())
        .name();
  }

  std::string matrix(const std::string& name, int input, const std::vector<int64_t>& dims) {
    const std::string to = shape(name + "_shape", dims);
    return NodeMaker(graph_, old_.name() + "/" + name, "Reshape")
        .input(old_.input(input))
        .input(to)
        .attr("T", type())
        .attr("Tshape", tf::DT_INT32)
        .device(old_.device())
        .name();
  }

  std::string multiply(const std::string& left, const std::string& right, bool transpose_a, bool transpose_b) {
    return NodeMaker(graph_, old_.name() + "/product", "MatMul")
        .input(left)
        .input(right)
        .attr("T", type())
        .attr("transpose_a", transpose_a)
        .attr("transpose_b", transpose_b)
        .device(old_.device())
        .name();
  }

  void become(const std::string& product, const std::string& to) {
    node_->set_op("Reshape");
    node_->clear_attr();
    node_->clear_input();
    node_->add_input(product);
    node_->add_input(to);
    for (const std::string& input : old_.input())
      if (parse_tensor(input).is_control()) node_->add_input(input);
    tf::SetAttrValue(type(), &(*node_->mutable_attr())["T"]);
    tf::SetAttrValue(tf::DT_INT32, &(*node_->mutable_attr())["Tshape"]);
  }

  tf::DataType type() const { return old_.attr().at("T").type(); }

  tf::GraphDef* graph_;
  tf::NodeDef* node_;
  const tf::NodeDef old_;
  const std::vector<int64_t> filter_;
};

}  // namespace

int make_dense_convolutions_products(tf::GraphDef* graph) {
  if (!has_large_filter(*graph)) return 0;
  GraphShapes shapes(*graph);
  const int count = graph->node_size();
  int found = 0;
  for (int i = 0; i < count; ++i) {
    tf::NodeDef* node = graph->mutable_node(i);
    const Kind* kind = kind_of(*node);
    const auto filter = kind ? dense_filter(*node, *kind, &shapes) : std::nullopt;
    if (!filter) continue;
    Rewriter(graph, node, *filter).rewrite(*kind);
    ++found;
  }
  return found;
}

}  // namespace mox
