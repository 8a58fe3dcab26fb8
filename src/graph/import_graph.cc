#include "graph/import_graph.h"

#include <unordered_set>

#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "tensorflow/core/common_runtime/graph_constructor.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// What the other graph knows beyond its operations' own shapes (set_shape).
void state_shape(const Scope& scope, const tf::Output& output, const tf::PartialTensorShape& shape) {
  tf::ShapeRefiner& refiner = scope.state().refiner;
  tf::shape_inference::ShapeHandle handle;
  throw_if_error(refiner.GetContext(output.node())->MakeShapeFromPartialTensorShape(shape, &handle), "joining a graph");
  throw_if_error(refiner.SetShape(output.node(), output.index(), handle), "joining a graph");
}

}  // namespace

std::vector<tf::Output> import_graph(const Scope& scope, const tf::GraphDef& graph,
                                     const std::vector<std::pair<std::string, tf::Output>>& inputs,
                                     const std::vector<InputTensor>& outputs) {
  tf::ImportGraphDefOptions options;
  options.prefix = scope.GetUniqueNameForOp("imported");
  constexpr int kControl = tf::Graph::kControlSlot;
  std::unordered_set<std::string> placeholders;
  for (const auto& [name, tensor] : inputs) {
    options.input_map[tf::SafeTensorId(name, 0)] = tf::SafeTensorId(tensor.node()->name(), tensor.index());
    options.input_map[tf::SafeTensorId(name, kControl)] = tf::SafeTensorId(tensor.node()->name(), kControl);
    placeholders.insert(name);
  }
  // Not by skip_mapped_nodes: that also drops nodes without outputs, such as Assert.
  tf::GraphDef rest;
  *rest.mutable_versions() = graph.versions();
  *rest.mutable_library() = graph.library();
  for (const tf::NodeDef& node : graph.node())
    if (!placeholders.count(node.name())) *rest.add_node() = node;
  for (const InputTensor& output : outputs) {
    const TensorRef ref = parse_tensor(output.name);
    options.return_tensors.emplace_back(ref.node, ref.port);
  }
  tf::ImportGraphDefResults results;
  GraphState& state = scope.state();
  throw_if_error(tf::ImportGraphDef(options, rest, scope.graph(), &state.refiner, &results), "joining a graph");
  std::vector<tf::Output> imported;
  for (size_t i = 0; i < outputs.size(); ++i) {
    imported.emplace_back(results.return_tensors[i].first, results.return_tensors[i].second);
    state_shape(scope, imported.back(), outputs[i].shape);
  }
  return imported;
}

}  // namespace mox
