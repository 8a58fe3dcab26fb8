#include "graph/node_defs.h"

#include <algorithm>
#include <charconv>

#include "moxing/error.h"

namespace mox {

std::string TensorRef::text() const {
  if (is_control()) return "^" + node;
  return port == 0 ? node : node + ":" + std::to_string(port);
}

TensorRef parse_tensor(std::string_view text) {
  if (!text.empty() && text[0] == '^') return {std::string(text.substr(1)), -1};
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return {std::string(text), 0};
  int port = 0;
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  return {std::string(text.substr(0, colon)), port};
}

bool is_one_of(const std::string& op, std::initializer_list<const char*> kinds) {
  return std::any_of(kinds.begin(), kinds.end(), [&](const char* kind) { return op == kind; });
}

std::string node_of(std::string_view tensor) { return parse_tensor(tensor).node; }

NodeIndex index_nodes(const tensorflow::GraphDef& graph) {
  NodeIndex index;
  index.reserve(graph.node_size());
  for (const auto& node : graph.node()) index[node.name()] = &node;
  return index;
}

const tensorflow::NodeDef& require_node(const NodeIndex& index, const std::string& name, const std::string& purpose) {
  auto found = index.find(name);
  if (found == index.end()) throw Error("the graph has no node '" + name + "', wanted as " + purpose);
  return *found->second;
}

const tensorflow::NodeDef* find_variable_read(const NodeIndex& index, const std::string& tensor) {
  auto found = index.find(node_of(tensor));
  while (found != index.end() && found->second->op() == "Identity")
    found = index.find(node_of(found->second->input(0)));
  return found != index.end() && found->second->op() == "ReadVariableOp" ? found->second : nullptr;
}

std::string add_cast(tensorflow::GraphDef* graph, const std::string& name, const std::string& tensor,
                     tensorflow::DataType from, tensorflow::DataType to, const std::string& device) {
  if (from == to) return tensor;
  NodeMaker(graph, name, "Cast").input(tensor).attr("SrcT", from).attr("DstT", to).device(device);
  return name;
}

std::string add_const(tensorflow::GraphDef* graph, const std::string& name, const tensorflow::Tensor& value) {
  NodeMaker(graph, name, "Const").attr("dtype", value.dtype()).attr("value", value);
  return name;
}

}  // namespace mox
