#include "passes/matmul_layout.h"

#include <optional>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr int64_t kLargeWeights = 1 << 18;  // elements; below, the transposes cost what they save

bool flag(const tf::NodeDef& node, const char* name) {
  auto found = node.attr().find(name);
  return found != node.attr().end() && found->second.b();
}

// What a constant of the graph says, if the tensor is one.
std::optional<tf::TensorShape> constant_shape(const NodeIndex& index, const std::string& tensor) {
  const auto found = index.find(node_of(tensor));
  tf::Tensor dims;
  if (found == index.end() || found->second->op() != "Const" ||
      !dims.FromProto(found->second->attr().at("value").tensor()) || dims.dtype() != tf::DT_INT32)
    return std::nullopt;
  tf::TensorShape shape;
  for (int64_t i = 0; i < dims.NumElements(); ++i) {
    if (dims.flat<int32_t>()(i) < 0) return std::nullopt;
    shape.AddDim(dims.flat<int32_t>()(i));
  }
  return shape;
}

// The weights' shape when `tensor` is a variable's value, maybe in another shape that the graph says.
std::optional<tf::TensorShape> weights_shape(const NodeIndex& index,
                                             const std::map<std::string, tf::TensorShape>& variables,
                                             const std::string& tensor) {
  const auto node = index.find(node_of(tensor));
  const bool reshaped = node != index.end() && node->second->op() == "Reshape";
  const tf::NodeDef* read = find_variable_read(index, reshaped ? node->second->input(0) : tensor);
  if (!read) return std::nullopt;
  if (reshaped) return constant_shape(index, node->second->input(1));
  const auto variable = variables.find(node_of(read->input(0)));
  if (variable == variables.end()) return std::nullopt;
  return variable->second;
}

void add_transpose(tf::GraphDef* graph, const std::string& name, const std::string& input,
                   const std::string& permutation, const tf::NodeDef& like) {
  NodeMaker(graph, name, "Transpose")
      .input(input)
      .input(permutation)
      .attr("T", tf::DT_FLOAT)
      .attr("Tperm", tf::DT_INT32)
      .device(like.device());
}

}  // namespace

int rewrite_transposed_matmuls(tf::GraphDef* graph, const std::map<std::string, tf::TensorShape>& variables,
                               int64_t rows) {
  std::vector<std::string> rewritten;
  {
    const NodeIndex index = index_nodes(*graph);
    for (const tf::NodeDef& node : graph->node()) {
      if (node.op() != "MatMul" || flag(node, "transpose_a") || !flag(node, "transpose_b")) continue;
      if (node.attr().at("T").type() != tf::DT_FLOAT) continue;
      const std::optional<tf::TensorShape> shape = weights_shape(index, variables, node.input(1));
      if (shape && shape->dims() == 2 && shape->num_elements() >= kLargeWeights && shape->dim_size(0) > rows)
        rewritten.push_back(node.name());
    }
  }
  tf::Tensor swap(tf::DT_INT32, {2});
  swap.flat<int32_t>()(0) = 1;
  swap.flat<int32_t>()(1) = 0;
  for (const std::string& name : rewritten) {
    tf::NodeDef* node = nullptr;
    for (tf::NodeDef& candidate : *graph->mutable_node())
      if (candidate.name() == name) node = &candidate;
    const tf::NodeDef old = *node;
    // The node keeps its name, as the transpose of the product: whoever reads it need not know.
    const std::string permutation = name + "/permutation";
    node->set_op("Transpose");
    node->clear_attr();
    node->clear_input();
    node->add_input(name + "/product");
    node->add_input(permutation);
    for (const std::string& input : old.input())
      if (parse_tensor(input).is_control()) node->add_input(input);
    tf::SetAttrValue(tf::DT_FLOAT, &(*node->mutable_attr())["T"]);
    tf::SetAttrValue(tf::DT_INT32, &(*node->mutable_attr())["Tperm"]);
    NodeMaker(graph, permutation, "Const").attr("dtype", tf::DT_INT32).attr("value", swap).device(old.device());
    add_transpose(graph, name + "/left", old.input(0), permutation, old);
    NodeMaker(graph, name + "/product", "MatMul")
        .input(old.input(1))
        .input(name + "/left")
        .attr("T", tf::DT_FLOAT)
        .attr("transpose_a", false)
        .attr("transpose_b", false)
        .device(old.device());
  }
  return rewritten.size();
}

}  // namespace mox
