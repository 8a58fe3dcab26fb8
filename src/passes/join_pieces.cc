#include "passes/join_pieces.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "graph/node_defs.h"
#include "graph/variable_pieces.h"
#include "passes/piece_updates.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// The pieces of one whole, in their order: numbers of variables, or of nodes.
using Pieces = std::vector<int>;

struct Whole {
  Pieces variables;
  Pieces concats;               // nodes that give the whole; none of a slot's
  std::vector<Pieces> reads;    // of each variable
  std::vector<Pieces> updates;  // of the first variable its updates, each with those of the others
  std::vector<Pieces> slots;    // variables: what updates keep beside it
  std::string name;             // of the node that will be its handle
};

class Joiner {
 public:
  explicit Joiner(BuiltGraph* graph) : graph_(graph), uses_(&graph->graph) {
    for (size_t v = 0; v < graph->variables.size(); ++v) by_handle_[graph->variables[v].handle] = static_cast<int>(v);
  }

  int join() {
    int fewer = 0;
    for (const auto& [pieces, concats] : find()) {
      std::optional<Whole> whole = understand(pieces);
      if (!whole) continue;
      whole->concats = concats;
      whole->name = uses_.node(concats[0]).name() + "/variable";
      std::vector<Whole> slots;
      for (const Pieces& slot : whole->slots)
        if (std::optional<Whole> one = understand(slot); one && is_slot_of(*whole, slot))
          slots.push_back(*std::move(one));
      if (slots.size() != whole->slots.size()) continue;
      fewer += static_cast<int>((pieces.size() - 1) * (1 + slots.size()));
      make(*whole, std::move(slots));
    }
    if (fewer > 0) clear();
    return fewer;
  }

 private:
  int variable_of(const std::string& handle) const {
    const auto found = by_handle_.find(handle);
    return found == by_handle_.end() ? -1 : found->second;
  }
  const VariableInfo& variable(int v) const { return graph_->variables[v]; }

  // Which variables a ConcatV2 makes one of; nothing where it takes anything else.
  std::optional<Pieces> joined_by(const tf::NodeDef& concat) const {
    if (concat.op() != "ConcatV2" || concat.input_size() < 3) return std::nullopt;
    Pieces pieces;
    for (int i = 0; i + 1 < concat.input_size(); ++i) {
      const tf::NodeDef* read = uses_.find(concat.input(i));
      if (!read || read->op() != "ReadVariableOp" || read->input_size() != 1) return std::nullopt;
      pieces.push_back(variable_of(node_of(read->input(0))));
      if (pieces.back() < 0) return std::nullopt;
    }
    const int last = variable(pieces[0]).shape.dims() - 1;
    if (last < 0 || !uses_.is_axis(concat.input(concat.input_size() - 1), last)) return std::nullopt;
    return pieces;
  }

  // Pieces and the nodes that give their whole. A variable that is in two wholes is in none.
  std::map<Pieces, Pieces> find() const {
    std::map<Pieces, Pieces> found;
    for (int i = 0; i < uses_.size(); ++i)
      if (const auto pieces = joined_by(uses_.node(i))) found[*pieces].push_back(i);
    std::map<int, int> wholes;
    for (const auto& [pieces, concats] : found)
      for (const int v : pieces) ++wholes[v];
    std::erase_if(found, [&](const auto& entry) {
      return std::any_of(entry.first.begin(), entry.first.end(), [&](int v) { return wholes[v] > 1; });
    });
    return found;
  }

  // What is done with the pieces, where it can be done with the whole.
  // Variables that are joined already have no node of their own.
  std::optional<Whole> understand(const Pieces& pieces) const {
    Whole whole;
    whole.variables = pieces;
    whole.reads.resize(pieces.size());
    for (size_t i = 0; i < pieces.size(); ++i) {
      const VariableInfo& piece = variable(pieces[i]);
      if (piece.shape != variable(pieces[0]).shape || piece.dtype != variable(pieces[0]).dtype) return std::nullopt;
      if (i > 0 && pieces[i] <= pieces[i - 1]) return std::nullopt;  // they are numbered as they follow each other
      if (!uses_.find(piece.handle) || !uses_.find(piece.initializer)) return std::nullopt;
      size_t updates = 0;
      for (const int user : uses_.users(piece.handle)) {
        const tf::NodeDef& node = uses_.node(user);
        if (node.op() == "ReadVariableOp" && node.input_size() == 1) {
          whole.reads[i].push_back(user);
        } else if (node.name() == piece.initializer) {
          if (node.op() != "AssignVariableOp" || node.input_size() != 2) return std::nullopt;
        } else if (!find_update(node)) {
          return std::nullopt;
        } else if (node_of(node.input(0)) == piece.handle) {
          if (i == 0) whole.updates.emplace_back();
          if (updates == whole.updates.size()) return std::nullopt;
          whole.updates[updates++].push_back(user);
        }
      }
      if (updates != whole.updates.size()) return std::nullopt;
    }
    for (const Pieces& update : whole.updates)
      if (!add_slots(update, &whole)) return std::nullopt;
    return whole;
  }

  // Whether the updates are one in several pieces.
  bool add_slots(const Pieces& update, Whole* whole) const {
    const tf::NodeDef& first = uses_.node(update[0]);
    const UpdateKind kind = *find_update(first);
    for (const int other : update)
      if (!uses_.same_kind(first, uses_.node(other))) return false;
    for (int input = 1; input < uses_.inputs(first); ++input) {
      if (input == kind.gradient) continue;
      if (input > kind.slots) {
        for (const int other : update)
          if (!uses_.alike(first.input(input), uses_.node(other).input(input))) return false;
        continue;
      }
      Pieces slot;
      for (const int other : update) slot.push_back(variable_of(node_of(uses_.node(other).input(input))));
      if (std::count(slot.begin(), slot.end(), -1) > 0) return false;
      if (variable(slot[0]).shape != variable(whole->variables[0]).shape) return false;
      whole->slots.push_back(std::move(slot));
    }
    return true;
  }

  // Whether nothing but the whole's updates changes it, and no two of them.
  bool is_slot_of(const Whole& whole, const Pieces& slot) const {
    for (const int v : slot)
      for (const int user : uses_.users(variable(v).handle)) {
        if (!find_update(uses_.node(user))) continue;
        const auto has = [&](const Pieces& update) { return std::count(update.begin(), update.end(), user) > 0; };
        if (std::none_of(whole.updates.begin(), whole.updates.end(), has)) return false;
      }
    return std::count(whole.slots.begin(), whole.slots.end(), slot) == 1;
  }

  // ---- Making the whole

  void make(const Whole& whole, std::vector<Whole> slots) {
    make_variable(whole);
    for (size_t i = 0; i < slots.size(); ++i) {
      slots[i].name = whole.name + "/slot_" + std::to_string(i + 1);
      make_variable(slots[i]);
    }
    for (const int concat : whole.concats) {
      tf::NodeDef* node = graph_->graph.mutable_node(concat);
      node->clear_input();
      node->clear_attr();
      node->set_op("ReadVariableOp");
      node->add_input(whole.name);
      tf::SetAttrValue(variable(whole.variables[0]).dtype, &(*node->mutable_attr())["dtype"]);
    }
    size_t slot = 0;
    for (size_t i = 0; i < whole.updates.size(); ++i) make_update(whole, whole.updates[i], slots, &slot, i);
  }

  void make_variable(const Whole& whole) {
    const VariableInfo first = variable(whole.variables[0]);
    const int count = static_cast<int>(whole.variables.size()), axis = first.shape.dims() - 1;
    const tf::NodeDef old = *uses_.find(first.handle);
    std::vector<std::string> values;
    for (const int v : whole.variables) values.push_back(uses_.find(variable(v).initializer)->input(1));
    tf::GraphDef* def = &graph_->graph;
    const std::string assign = whole.name + "/Assign";
    for (int i = 0; i < count; ++i) {
      VariableInfo& piece = graph_->variables[whole.variables[i]];
      gone_.insert({piece.handle, piece.initializer});
      renamed_[piece.initializer] = assign;
      piece.handle = whole.name;
      piece.initializer = assign;
    }
    NodeMaker(def, whole.name, "VarHandleOp")
        .attr("dtype", first.dtype)
        .attr("shape", whole_shape(first, count))
        .attr("shared_name", whole.name)
        .device(old.device());
    const std::string value = uses_.whole_of(values, first.dtype, axis, assign);
    NodeMaker(def, assign, "AssignVariableOp")
        .input(whole.name)
        .input(value)
        .attr("dtype", first.dtype)
        .device(old.device());
    if (!whole.reads[0].empty()) make_parts(whole, old.device());
  }

  // What reads a piece. Nobody may in the graph and a hook does: by the read's name.
  void make_parts(const Whole& whole, const std::string& device) {
    const VariableInfo& first = variable(whole.variables[0]);
    const std::string read = whole.name + "/read", parts = whole.name + "/pieces";
    NodeMaker(&graph_->graph, read, "ReadVariableOp").input(whole.name).attr("dtype", first.dtype).device(device);
    NodeMaker(&graph_->graph, parts, "Split")
        .input(uses_.add_axis(parts + "/axis", first.shape.dims() - 1))
        .input(read)
        .attr("T", first.dtype)
        .attr("num_split", static_cast<int>(whole.variables.size()))
        .device(device);
    for (size_t i = 0; i < whole.reads.size(); ++i)
      for (const int reader : whole.reads[i]) {
        const std::string name = uses_.node(reader).name();
        gone_.insert(name);
        moved_[name] = parts + (i > 0 ? ":" + std::to_string(i) : "");
        graph_->fetchable[name] = parts + ":" + std::to_string(i);
      }
  }

  void make_update(const Whole& whole, const Pieces& update, const std::vector<Whole>& slots, size_t* slot, size_t i) {
    const tf::NodeDef first = uses_.node(update[0]);
    const UpdateKind kind = *find_update(first);
    const std::string name = whole.name + "/update" + (i > 0 ? "_" + std::to_string(i) : "");
    const int axis = variable(whole.variables[0]).shape.dims() - 1;
    std::vector<std::string> gradients;
    std::set<std::string> controls;
    for (const int other : update) {
      const tf::NodeDef& node = uses_.node(other);
      gradients.push_back(node.input(kind.gradient));
      controls.insert(node.input().begin() + uses_.inputs(node), node.input().end());
      gone_.insert(node.name());
      renamed_[node.name()] = name;
    }
    const std::string gradient = uses_.whole_of(gradients, first.attr().at(kind.type).type(), axis, name);
    tf::NodeDef* made = graph_->graph.add_node();
    *made = first;
    made->set_name(name);
    made->clear_input();
    made->add_input(whole.name);
    for (int input = 1; input < uses_.inputs(first); ++input)
      made->add_input(input == kind.gradient ? gradient
                      : input <= kind.slots  ? slots[(*slot)++].name
                                             : first.input(input));
    for (const std::string& control : controls) made->add_input(control);
  }

  // ---- Taking away what was there

  // What is known by its name to those who run the graph.
  Names asked_for() const {
    Names names;
    const auto add = [&](const std::string& tensor) { names.insert(node_of(tensor)); };
    for (const TowerInfo& tower : graph_->towers) {
      for (const auto* tensors : {&tower.inputs, &tower.losses}) std::for_each(tensors->begin(), tensors->end(), add);
      for (const auto* tensors : {&tower.log_info, &tower.output_info})
        for (const NamedTensor& tensor : *tensors) add(tensor.tensor);
    }
    for (const auto* tensors : {&graph_->summaries, &graph_->learning_rates, &graph_->train_ops, &graph_->initializers})
      std::for_each(tensors->begin(), tensors->end(), add);
    for (const auto& [tensor, other] : graph_->fetchable) add(other);
    return names;
  }

  void rename(std::vector<std::string>* operations) const {
    std::vector<std::string> renamed;
    for (const std::string& operation : *operations) {
      const auto found = renamed_.find(operation);
      const std::string& name = found == renamed_.end() ? operation : found->second;
      if (found == renamed_.end() || std::find(renamed.begin(), renamed.end(), name) == renamed.end())
        renamed.push_back(name);
    }
    *operations = std::move(renamed);
  }

  void clear() {
    for (auto* operations : {&graph_->train_ops, &graph_->model_updates, &graph_->initializers}) rename(operations);
    remove_with_inputs(&graph_->graph, &gone_, asked_for());
    for (tf::NodeDef& node : *graph_->graph.mutable_node()) rewire(&node);
    std::erase_if(graph_->gradients, [&](const GradientSlot& gradient) { return gone_.count(gradient.slot) > 0; });
    std::erase_if(graph_->scaled_gradients.gradients, [&](const std::string& name) { return gone_.count(name) > 0; });
  }

  void rewire(tf::NodeDef* node) const {
    std::vector<std::string> inputs;
    std::set<std::string> controls;
    bool changed = false;
    for (const std::string& input : node->input()) {
      const TensorRef tensor = parse_tensor(input);
      const auto& names = tensor.is_control() && renamed_.count(tensor.node) ? renamed_ : moved_;
      const auto found = names.find(tensor.node);
      changed |= found != names.end();
      if (!tensor.is_control())
        inputs.push_back(found == names.end() ? input : found->second);
      else
        controls.insert(found == names.end() ? input : "^" + node_of(found->second));
    }
    if (!changed) return;
    node->clear_input();
    for (const std::string& input : inputs) node->add_input(input);
    for (const std::string& control : controls)
      if (control != "^" + node->name()) node->add_input(control);
  }

  BuiltGraph* graph_;
  PieceUses uses_;
  std::unordered_map<std::string, int> by_handle_;
  Names gone_;                                            // nodes
  std::unordered_map<std::string, std::string> renamed_;  // operation -> the one for the whole
  std::unordered_map<std::string, std::string> moved_;    // read of a piece -> the part of the whole
};

// Most graphs have no pieces, and the largest are not to start later for this pass.
bool concatenates_variables(const tf::GraphDef& graph) {
  std::unordered_set<std::string_view> reads;
  for (const tf::NodeDef& node : graph.node())
    if (node.op() == "ReadVariableOp") reads.insert(node.name());
  return std::any_of(graph.node().begin(), graph.node().end(), [&](const tf::NodeDef& node) {
    return node.op() == "ConcatV2" && node.input_size() > 2 && reads.count(node_of(node.input(0))) > 0;
  });
}

}  // namespace

int join_pieces(BuiltGraph* graph) { return concatenates_variables(graph->graph) ? Joiner(graph).join() : 0; }

}  // namespace mox
