#include "graph/graph_shapes.h"

#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "tensorflow/core/common_runtime/graph_constructor.h"

namespace mox {

namespace tf = tensorflow;

GraphShapes::GraphShapes(const tf::GraphDef& graph)
    : graph_(tf::OpRegistry::Global()), refiner_(graph.versions().producer(), tf::OpRegistry::Global()) {
  throw_if_error(tf::ImportGraphDef({}, graph, &graph_, &refiner_), "looking at the shapes of the graph");
  for (tf::Node* node : graph_.op_nodes()) nodes_[node->name()] = node;
}

std::vector<int64_t> GraphShapes::of(const std::string& tensor) {
  const TensorRef ref = parse_tensor(tensor);
  auto* context = refiner_.GetContext(nodes_.at(ref.node));
  const auto shape = context->output(ref.port);
  std::vector<int64_t> dims;
  if (context->RankKnown(shape))
    for (int i = 0; i < context->Rank(shape); ++i) dims.push_back(context->Value(context->Dim(shape, i)));
  return dims;
}

bool GraphShapes::equal_inputs(const std::string& node) {
  auto* context = refiner_.GetContext(nodes_.at(node));
  const auto a = context->input(0), b = context->input(1);
  if (!context->RankKnown(a) || !context->RankKnown(b) || context->Rank(a) != context->Rank(b)) return false;
  for (int i = 0; i < context->Rank(a); ++i) {
    const auto x = context->Dim(a, i), y = context->Dim(b, i);
    if (!x.SameHandle(y) && !(context->ValueKnown(x) && context->Value(x) == context->Value(y))) return false;
  }
  return true;
}

}  // namespace mox
