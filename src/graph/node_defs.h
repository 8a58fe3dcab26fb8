// Small tools on NodeDefs, for the passes that work on a GraphDef (which both front ends hand over).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tensorflow/core/framework/attr_value_util.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/node_def_util.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

// One input of a NodeDef, or the name of a tensor.
struct TensorRef {
  std::string node;
  int port = 0;  // -1: a control input
  bool is_control() const { return port < 0; }
  std::string text() const;  // "node", "node:1" or "^node"
};

TensorRef parse_tensor(std::string_view text);

// Whether `op` is one of these kinds.
bool is_one_of(const std::string& op, std::initializer_list<const char*> kinds);

// "node" of "node:0", "^node" or "node".
std::string node_of(std::string_view tensor);

using NodeIndex = std::unordered_map<std::string, const tensorflow::NodeDef*>;
NodeIndex index_nodes(const tensorflow::GraphDef& graph);
// The node, or an Error that names it and says for what it was wanted.
const tensorflow::NodeDef& require_node(const NodeIndex& index, const std::string& name, const std::string& purpose);

// The ReadVariableOp whose value `tensor` is, also behind Identity; nullptr when it is no variable's.
const tensorflow::NodeDef* find_variable_read(const NodeIndex& index, const std::string& tensor);

// A node under construction inside a GraphDef. Chains: NodeMaker(graph, "n", "AddN").input("a:0").attr("N", 2).
class NodeMaker {
 public:
  NodeMaker(tensorflow::GraphDef* graph, const std::string& name, const std::string& op) : node_(graph->add_node()) {
    node_->set_name(name);
    node_->set_op(op);
  }
  NodeMaker& input(const std::string& tensor) {
    node_->add_input(tensor);
    return *this;
  }
  NodeMaker& control(const std::string& node) { return input("^" + node); }
  NodeMaker& device(const std::string& device) {
    node_->set_device(device);
    return *this;
  }
  template <typename T>
  NodeMaker& attr(const std::string& name, const T& value) {
    tensorflow::SetAttrValue(value, &(*node_->mutable_attr())[name]);
    return *this;
  }
  const std::string& name() const { return node_->name(); }

 private:
  tensorflow::NodeDef* node_;
};

// `tensor` as dtype `to`: a Cast node called `name`, or the tensor itself where nothing changes.
std::string add_cast(tensorflow::GraphDef* graph, const std::string& name, const std::string& tensor,
                     tensorflow::DataType from, tensorflow::DataType to, const std::string& device);

// A Const node; returns its name.
std::string add_const(tensorflow::GraphDef* graph, const std::string& name, const tensorflow::Tensor& value);

}  // namespace mox
