#include "passes/piece_updates.h"

#include <algorithm>

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr UpdateKind kUpdates[] = {{"AssignAddVariableOp", 0, 1, "dtype"},
                                   {"AssignSubVariableOp", 0, 1, "dtype"},
                                   {"ResourceApplyAdadelta", 2, 6, "T"},
                                   {"ResourceApplyAdagrad", 1, 3, "T"},
                                   {"ResourceApplyAdam", 2, 9, "T"},
                                   {"ResourceApplyCenteredRMSProp", 3, 8, "T"},
                                   {"ResourceApplyFtrl", 2, 3, "T"},
                                   {"ResourceApplyFtrlV2", 2, 3, "T"},
                                   {"ResourceApplyGradientDescent", 0, 2, "T"},
                                   {"ResourceApplyKerasMomentum", 1, 3, "T"},
                                   {"ResourceApplyMomentum", 1, 3, "T"},
                                   {"ResourceApplyRMSProp", 2, 7, "T"}};

// What nobody runs for its own sake.
bool only_computes(const std::string& op) {
  return is_one_of(op, {"Cast", "ConcatOffset", "Const", "Fill", "Identity", "ShapeN", "Slice", "Split"});
}

std::optional<tf::Tensor> constant(const tf::NodeDef* node) {
  tf::Tensor value;
  if (!node || node->op() != "Const" || !value.FromProto(node->attr().at("value").tensor())) return std::nullopt;
  return value;
}

}  // namespace

std::optional<UpdateKind> find_update(const tf::NodeDef& node) {
  for (const UpdateKind& kind : kUpdates)
    if (node.op() == kind.op && PieceUses::inputs(node) > kind.gradient) return kind;
  return std::nullopt;
}

PieceUses::PieceUses(tf::GraphDef* graph) : graph_(graph), size_(graph->node_size()) {
  for (int i = 0; i < size_; ++i) {
    number_[graph->node(i).name()] = i;
    for (const std::string& input : graph->node(i).input()) {
      const TensorRef tensor = parse_tensor(input);
      if (std::vector<int>& users = users_[tensor.node]; users.empty() || users.back() != i) users.push_back(i);
    }
  }
}

const tf::NodeDef* PieceUses::find(const std::string& tensor) const {
  const auto found = number_.find(node_of(tensor));
  return found == number_.end() ? nullptr : &graph_->node(found->second);
}

const std::vector<int>& PieceUses::users(const std::string& node) const {
  static const std::vector<int> kNone;
  const auto found = users_.find(node);
  return found == users_.end() ? kNone : found->second;
}

int PieceUses::inputs(const tf::NodeDef& node) {
  int count = node.input_size();
  while (count > 0 && parse_tensor(node.input(count - 1)).is_control()) --count;
  return count;
}

bool PieceUses::is_axis(const std::string& tensor, int axis) const {
  const std::optional<tf::Tensor> value = constant(find(tensor));
  if (!value || value->NumElements() != 1) return false;
  const int64_t number = value->dtype() == tf::DT_INT32   ? value->flat<int32_t>()(0)
                         : value->dtype() == tf::DT_INT64 ? value->flat<int64_t>()(0)
                                                          : axis + 1;
  return number == axis || number == -1;
}

bool PieceUses::same_kind(const tf::NodeDef& a, const tf::NodeDef& b) {
  if (a.op() != b.op() || a.device() != b.device() || a.attr_size() != b.attr_size() || inputs(a) != inputs(b))
    return false;
  return std::all_of(a.attr().begin(), a.attr().end(), [&](const auto& attr) {
    const auto found = b.attr().find(attr.first);
    return found != b.attr().end() && tf::AreAttrValuesEqual(attr.second, found->second);
  });
}

bool PieceUses::alike(const std::string& a, const std::string& b) const {
  if (a == b) return true;
  const tf::NodeDef *first = find(a), *second = find(b);
  if (!first || !second || parse_tensor(a).port != parse_tensor(b).port) return false;
  if (!is_one_of(first->op(), {"Const", "Cast", "Identity"}) || !same_kind(*first, *second)) return false;
  if (inputs(*first) != first->input_size() || inputs(*second) != second->input_size()) return false;
  for (int i = 0; i < first->input_size(); ++i)
    if (!alike(first->input(i), second->input(i))) return false;
  return true;
}

std::string PieceUses::behind_identities(std::string tensor) const {
  for (const tf::NodeDef* node = find(tensor); node && node->op() == "Identity" && node->input_size() == 1;
       node = find(tensor))
    tensor = node->input(0);
  return tensor;
}

std::optional<std::string> PieceUses::cut_by_split(const std::vector<std::string>& pieces, int axis) const {
  const tf::NodeDef* split = find(pieces[0]);
  if (!split || split->op() != "Split" || split->input_size() != 2 || !is_axis(split->input(0), axis))
    return std::nullopt;
  if (split->attr().at("num_split").i() != static_cast<int64_t>(pieces.size())) return std::nullopt;
  for (size_t i = 0; i < pieces.size(); ++i)
    if (const TensorRef piece = parse_tensor(pieces[i]);
        piece.node != split->name() || piece.port != static_cast<int>(i))
      return std::nullopt;
  return split->input(1);
}

// The gradient of a ConcatV2: each piece is a Slice at its ConcatOffset, as large as the piece was.
std::optional<std::string> PieceUses::cut_by_slices(const std::vector<std::string>& pieces, int axis) const {
  const tf::NodeDef *first = find(pieces[0]), *offset = nullptr, *sizes = nullptr;
  if (first && first->op() == "Slice") offset = find(first->input(1)), sizes = find(first->input(2));
  if (!offset || !sizes || offset->op() != "ConcatOffset" || sizes->op() != "ShapeN") return std::nullopt;
  const int count = static_cast<int>(pieces.size());
  if (inputs(*offset) != count + 1 || inputs(*sizes) != count || !is_axis(offset->input(0), axis)) return std::nullopt;
  for (int i = 0; i < count; ++i) {
    const tf::NodeDef* slice = find(pieces[i]);
    if (!slice || slice->op() != "Slice" || slice->input_size() != 3 || slice->input(0) != first->input(0))
      return std::nullopt;
    const TensorRef begin = parse_tensor(slice->input(1)), size = parse_tensor(slice->input(2));
    if (begin.node != offset->name() || begin.port != i || size.node != sizes->name() || size.port != i)
      return std::nullopt;
    if (const TensorRef shape = parse_tensor(offset->input(i + 1)); shape.node != size.node || shape.port != i)
      return std::nullopt;
  }
  return first->input(0);
}

// One number everywhere, as slots begin.
std::optional<std::string> PieceUses::filled(const std::vector<std::string>& pieces, int axis,
                                             const std::string& name) {
  const tf::NodeDef* first = find(pieces[0]);
  std::optional<tf::Tensor> dims = first && first->op() == "Fill" ? constant(find(first->input(0))) : std::nullopt;
  if (!dims || dims->dtype() != tf::DT_INT32 || dims->NumElements() != axis + 1) return std::nullopt;
  for (const std::string& piece : pieces) {
    const tf::NodeDef* fill = find(piece);
    if (!fill || fill->op() != "Fill" || fill->input_size() != 2 || !same_kind(*first, *fill)) return std::nullopt;
    if (!alike(first->input(0), fill->input(0)) || !alike(first->input(1), fill->input(1))) return std::nullopt;
  }
  tf::Tensor whole(tf::DT_INT32, {axis + 1});
  for (int i = 0; i <= axis; ++i) whole.flat<int32_t>()(i) = dims->flat<int32_t>()(i);
  whole.flat<int32_t>()(axis) *= static_cast<int32_t>(pieces.size());
  tf::NodeDef fill = *first;
  fill.set_name(name + "/Fill");
  fill.set_input(0, add_const(graph_, name + "/shape", whole));
  *graph_->add_node() = fill;
  return fill.name();
}

std::string PieceUses::whole_of(const std::vector<std::string>& pieces, tf::DataType dtype, int axis,
                                const std::string& name) {
  std::vector<std::string> sources;
  for (const std::string& piece : pieces) sources.push_back(behind_identities(piece));
  if (auto whole = cut_by_split(sources, axis)) return *whole;
  if (auto whole = cut_by_slices(sources, axis)) return *whole;
  if (auto whole = filled(sources, axis, name)) return *whole;
  const std::string of = add_axis(name + "/axis", axis);
  NodeMaker concat(graph_, name + "/whole", "ConcatV2");
  for (const std::string& piece : pieces) concat.input(piece);
  concat.input(of).attr("N", static_cast<int>(pieces.size())).attr("T", dtype).attr("Tidx", tf::DT_INT32);
  return concat.name();
}

std::string PieceUses::add_axis(const std::string& name, int axis) {
  tf::Tensor value(tf::DT_INT32, {});
  value.scalar<int32_t>()() = axis;
  return add_const(graph_, name, value);
}

void remove_with_inputs(tf::GraphDef* graph, Names* gone, const Names& kept) {
  std::unordered_map<std::string, int> users;
  NodeIndex index;
  for (const tf::NodeDef& node : graph->node()) {
    index[node.name()] = &node;
    for (const std::string& input : node.input()) ++users[node_of(input)];
  }
  std::vector<std::string> stack(gone->begin(), gone->end());
  while (!stack.empty()) {
    const auto found = index.find(stack.back());
    stack.pop_back();
    if (found == index.end()) continue;
    for (const std::string& input : found->second->input()) {
      const std::string name = node_of(input);
      const auto other = index.find(name);
      if (--users[name] > 0 || other == index.end() || !only_computes(other->second->op())) continue;
      if (!kept.count(name) && gone->insert(name).second) stack.push_back(name);
    }
  }
  auto* nodes = graph->mutable_node();
  int left = 0;
  for (int i = 0; i < nodes->size(); ++i)
    if (!gone->count(nodes->Get(i).name())) nodes->SwapElements(left++, i);
  nodes->DeleteSubrange(left, nodes->size() - left);
}

}  // namespace mox
