// Who reads which node of a graph, for passes that change nodes in place.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Input `input` of `node`, an edge of control or of data.
struct NodeUse {
  tensorflow::NodeDef* node;
  int input;
};

// As the graph was when this was made; it must outlive this, and get no nodes meanwhile.
class NodeUses {
 public:
  explicit NodeUses(tensorflow::GraphDef* graph);

  const std::vector<NodeUse>& of(const tensorflow::NodeDef& node) const;
  // nullptr: there is none.
  tensorflow::NodeDef* node(const std::string& name) const;

  // Whether a pass left it behind (passes/joined.h) and nobody who is not reads it: it is not run, but for who asks for
  // it by name.
  bool is_left_behind(const tensorflow::NodeDef& node) const;

 private:
  std::unordered_map<std::string, tensorflow::NodeDef*> nodes_;
  std::unordered_map<std::string, std::vector<NodeUse>> uses_;
};

}  // namespace mox
