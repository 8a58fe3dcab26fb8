#include "run/sample_count.h"

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

tf::Tensor count_of(int64_t value) {
  tf::Tensor t(tf::DT_INT64, {});
  t.scalar<int64_t>()() = value;
  return t;
}

}  // namespace

std::string add_sample_count(BuiltGraph* graph, size_t tower, const std::string& prefix) {
  const auto towers = static_cast<int64_t>(graph->towers.size());
  return add_sample_count(graph, graph->towers[tower].inputs.front(), graph->samples_per_step / towers, prefix);
}

std::string add_sample_count(BuiltGraph* graph, const std::string& input, int64_t usual, const std::string& prefix) {
  const NodeIndex index = index_nodes(graph->graph);
  const TensorRef tensor = parse_tensor(input);
  const tf::NodeDef& node = require_node(index, tensor.node, "counting the samples");
  std::vector<tf::PartialTensorShape> shapes;
  tf::DataTypeVector types;
  const bool has_shapes =
      tf::GetNodeAttr(node, "output_shapes", &shapes).ok() && tf::GetNodeAttr(node, "output_types", &types).ok();
  const bool known = !has_shapes || shapes.at(tensor.port).dims() == 0 ||
                     (shapes.at(tensor.port).dims() > 0 && shapes.at(tensor.port).dim_size(0) >= 0);
  if (usual == 0 && known && has_shapes) {
    const tf::PartialTensorShape& shape = shapes.at(tensor.port);
    usual = shape.dims() > 0 ? shape.dim_size(0) : 1;
  }
  if (known || (usual > 0 && shapes.at(tensor.port).dims() < 0))
    return add_const(&graph->graph, prefix, count_of(usual));
  const std::string device = node.device();
  NodeMaker(&graph->graph, prefix + "/shape", "Shape")
      .input(input)
      .attr("T", types.at(tensor.port))
      .attr("out_type", tf::DT_INT64)
      .device(device);
  const std::string first = add_const(&graph->graph, prefix + "/first", count_of(0));
  const std::string axis = add_const(&graph->graph, prefix + "/axis", count_of(0));
  NodeMaker(&graph->graph, prefix, "GatherV2")
      .input(prefix + "/shape")
      .input(first)
      .input(axis)
      .attr("Tparams", tf::DT_INT64)
      .attr("Tindices", tf::DT_INT64)
      .attr("Taxis", tf::DT_INT64)
      .device(device);
  return prefix;
}

void add_step_samples(BuiltGraph* graph) {
  if (graph->samples_per_step > 0) return;
  for (size_t tower = 0; tower < graph->towers.size(); ++tower) add_sample_count(graph, tower, step_samples(tower));
}

std::string step_samples(size_t tower) { return "step_samples/" + std::to_string(tower); }

}  // namespace mox
