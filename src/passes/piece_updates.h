// What join_pieces needs to know of a graph: which updates change each element for itself, and which tensors are one in
// several pieces.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "graph/graph_walk.h"
#include "graph/node_defs.h"

namespace mox {

// An update's inputs: the variable, `slots` others of its shape, scalars, and at `gradient` what each element has for
// itself.
struct UpdateKind {
  const char* op;
  int slots, gradient;
  const char* type;  // the attribute of the elements' type
};
// Nothing of other operations, and of those that look at several elements.
std::optional<UpdateKind> find_update(const tensorflow::NodeDef& node);

// The nodes that a graph has now, by number; nodes that are added later have none.
class PieceUses {
 public:
  explicit PieceUses(tensorflow::GraphDef* graph);

  int size() const { return size_; }
  const tensorflow::NodeDef& node(int number) const { return graph_->node(number); }
  // nullptr: there is none.
  const tensorflow::NodeDef* find(const std::string& tensor) const;
  // Those that take a tensor of the node.
  const std::vector<int>& users(const std::string& node) const;
  // How many inputs are tensors.
  static int inputs(const tensorflow::NodeDef& node);

  // Whether the tensor is the constant number `axis`, from the end too: of tensors with axis + 1 dimensions.
  bool is_axis(const std::string& tensor, int axis) const;
  // The same operation with the same attributes and device.
  static bool same_kind(const tensorflow::NodeDef& a, const tensorflow::NodeDef& b);
  // The same tensor, or one that is computed in the same way from the same constants.
  bool alike(const std::string& a, const std::string& b) const;

  // Pieces along `axis`, their last dimension, as a whole: what they were cut from, or else new nodes below `name`.
  std::string whole_of(const std::vector<std::string>& pieces, tensorflow::DataType dtype, int axis,
                       const std::string& name);
  std::string add_axis(const std::string& name, int axis);

 private:
  std::string behind_identities(std::string tensor) const;
  std::optional<std::string> cut_by_split(const std::vector<std::string>& pieces, int axis) const;
  std::optional<std::string> cut_by_slices(const std::vector<std::string>& pieces, int axis) const;
  std::optional<std::string> filled(const std::vector<std::string>& pieces, int axis, const std::string& name);

  tensorflow::GraphDef* graph_;
  int size_;
  std::unordered_map<std::string, int> number_;
  std::unordered_map<std::string, std::vector<int>> users_;
};

// Takes away the nodes of `gone`, and what computed their inputs and nothing else, unless it is one of `kept`; these
// come to `gone`.
void remove_with_inputs(tensorflow::GraphDef* graph, Names* gone, const Names& kept);

}  // namespace mox
