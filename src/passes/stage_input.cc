#include "passes/stage_input.h"

#include <map>
#include <string>
#include <vector>

#include "graph/graph_state.h"
#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// Not a name that is the iterator's: an error there leaves a step half done.
constexpr char kFolder[] = "mox_staged/";

class InputStaging {
 public:
  InputStaging(BuiltGraph* graph, const DevicePlan& plan) : graph_(*graph), plan_(plan) {}

  void run() {
    for (size_t tower = 0; tower < graph_.towers.size(); ++tower) {
      if (graph_.towers[tower].inputs.empty()) return;
      takes_.push_back(node_of(graph_.towers[tower].inputs.front()));
    }
    const NodeIndex index = index_nodes(graph_.graph);
    std::vector<tf::NodeDef> takes;
    for (const std::string& take : takes_) takes.push_back(require_node(index, take, "staging the input"));
    for (size_t tower = 0; tower < takes.size(); ++tower) stage(tower, takes[tower]);
    redirect_readers();
    graph_.clear_stages = kFolder;
    graph_.clear_stages += "clear";
    NodeMaker clear = node(graph_.clear_stages, "NoOp");
    for (const std::string& op : clears_) clear.control(op);
    graph_.initializers.push_back(graph_.stages.back().stage);
  }

 private:
  struct Group {  // what is staged in one place
    std::string name, device;
    std::vector<int> ports;
    tf::DataTypeVector types;
  };

  // Adds what takes and stages a tower's batch, and what gives it to the step.
  void stage(size_t tower, const tf::NodeDef& take) {
    const std::string folder = kFolder + std::to_string(tower) + "/";
    tf::DataTypeVector types;
    std::vector<tf::PartialTensorShape> shapes;
    throw_if_error(tf::GetNodeAttr(take, "output_types", &types), "staging the input");
    throw_if_error(tf::GetNodeAttr(take, "output_shapes", &shapes), "staging the input");
    Group device{folder + "on_device", plan_.tower(tower), {}, {}}, host{folder + "on_host", plan_.host(), {}, {}};
    for (size_t i = 0; i < types.size(); ++i) {
      const bool is_large = tf::DataTypeIsFloating(types[i]) || types[i] == tf::DT_UINT8;
      Group& group = is_large ? device : host;
      group.ports.push_back(i);
      group.types.push_back(types[i]);
    }
    add_stages(folder, take, types, shapes, {device, host});
    add_end(folder, take.name());
    for (const Group& group : {device, host}) add_unstage(folder, group, take.name(), shapes);
    add_advance(folder, {device, host});
  }

  void add_stages(const std::string& folder, const tf::NodeDef& take, const tf::DataTypeVector& types,
                  const std::vector<tf::PartialTensorShape>& shapes, const std::vector<Group>& groups) {
    NodeMaker next = node(folder + "next", "IteratorGetNextAsOptional");
    next.input(take.input(0)).attr("output_types", types).attr("output_shapes", shapes);
    // One after the other, as the nodes that they stand for.
    if (!previous_.empty()) next.control(previous_ + "next");
    node(folder + "has_next", "OptionalHasValue").input(folder + "next");
    node(folder + "if_next", "Switch").input(folder + "next").input(folder + "has_next").attr("T", tf::DT_VARIANT);
    node(folder + "values", "OptionalGetValue")
        .input(folder + "if_next:1")
        .attr("output_types", types)
        .attr("output_shapes", shapes);
    add_stage(folder + "has", plan_.host(), {folder + "has_next"}, {tf::DT_BOOL});
    NodeMaker all = node(folder + "stage", "NoOp");
    all.control(folder + "has/stage");
    if (!previous_.empty()) all.control(previous_ + "stage");
    for (const Group& group : groups) {
      if (group.ports.empty()) continue;
      std::vector<std::string> values;
      for (int port : group.ports) values.push_back(TensorRef{folder + "values", port}.text());
      add_stage(group.name, group.device, values, group.types);
      all.control(group.name + "/stage");
    }
  }

  // A step that uses but a part of the batch takes all of it: buffers stay in step with each other.
  void add_advance(const std::string& folder, const std::vector<Group>& groups) {
    NodeMaker advance = node(folder + "advance", "NoOp");
    advance.control(folder + "stage");
    if (!previous_.empty()) advance.control(previous_ + "advance");
    for (const Group& group : groups)
      if (!group.ports.empty()) advance.control(group.name + "/unstage");
    graph_.stages.push_back({folder + "has/unstage", folder + "stage", advance.name()});
    previous_ = folder;
  }

  // The batch is there, or the iterator is read once more: that says how runs end.
  void add_end(const std::string& folder, const std::string& take) {
    NodeMaker has = node(folder + "has/unstage", "Unstage");
    buffer(has, folder + "has", {tf::DT_BOOL});
    if (!previous_.empty()) has.control(previous_ + "ready");
    node(folder + "if_has", "Switch")
        .input(folder + "has/unstage")
        .input(folder + "has/unstage")
        .attr("T", tf::DT_BOOL);
    node(folder + "ended", "Identity").input(folder + "if_has").attr("T", tf::DT_BOOL);
    ends_[take] = folder + "ended";
    node(folder + "after_end", "Identity").input(folder + "if_has").attr("T", tf::DT_BOOL).control(take);
    node(folder + "ready", "Merge")
        .input(folder + "if_has:1")
        .input(folder + "after_end")
        .attr("N", int64_t{2})
        .attr("T", tf::DT_BOOL);
    ready_[take] = folder + "ready";
  }

  void add_unstage(const std::string& folder, const Group& group, const std::string& take,
                   const std::vector<tf::PartialTensorShape>& shapes) {
    if (group.ports.empty()) return;
    NodeMaker values(&graph_.graph, group.name + "/unstage", "Unstage");
    buffer(values, group.name, group.types).device(group.device).control(folder + "ready");
    for (size_t i = 0; i < group.ports.size(); ++i) {
      // The shape, which the buffer forgot: TensorFlow's optimizer chooses layouts by it.
      const std::string name = folder + "output_" + std::to_string(group.ports[i]);
      NodeMaker(&graph_.graph, name, "EnsureShape")
          .input(TensorRef{group.name + "/unstage", static_cast<int>(i)}.text())
          .attr("T", group.types[i])
          .attr("shape", shapes[group.ports[i]])
          .device(group.device);
      graph_.staged[TensorRef{take, group.ports[i]}.text()] = name;
    }
  }

  void add_stage(const std::string& name, const std::string& device, const std::vector<std::string>& values,
                 const tf::DataTypeVector& types) {
    NodeMaker maker(&graph_.graph, name + "/stage", "Stage");
    for (const std::string& value : values) maker.input(value);
    buffer(maker, name, types).device(device);
    NodeMaker clear(&graph_.graph, name + "/clear", "StageClear");
    buffer(clear, name, types).device(device);
    clears_.push_back(clear.name());
  }

  NodeMaker& buffer(NodeMaker& maker, const std::string& name, const tf::DataTypeVector& types) {
    return maker.attr("dtypes", types)
        .attr("shared_name", name)
        .attr("container", std::string())
        .attr("capacity", int64_t{0})
        .attr("memory_limit", int64_t{0});
  }

  NodeMaker node(const std::string& name, const std::string& op) {
    return NodeMaker(&graph_.graph, name, op).device(plan_.host());
  }

  bool is_own(const std::string& node) const { return node.rfind(kFolder, 0) == 0; }

  // Who read the iterator's batch reads the staged one; who waited for it waits until that is there.
  void redirect_readers() {
    for (tf::NodeDef& node : *graph_.graph.mutable_node()) {
      if (const auto end = ends_.find(node.name()); end != ends_.end()) {
        const std::string iterator = node.input(0);
        node.clear_input();
        node.add_input(iterator);
        node.add_input("^" + end->second);
        continue;
      }
      if (is_own(node.name())) continue;
      for (std::string& input : *node.mutable_input()) {
        const TensorRef tensor = parse_tensor(input);
        if (const auto ready = ready_.find(tensor.node); ready != ready_.end())
          input = tensor.is_control() ? "^" + ready->second : graph_.staged.at(tensor.text());
      }
    }
  }

  BuiltGraph& graph_;
  const DevicePlan& plan_;
  std::string previous_;                      // folder of the tower before
  std::vector<std::string> takes_;            // the towers' IteratorGetNext
  std::vector<std::string> clears_;           // what empties a buffer
  std::map<std::string, std::string> ends_;   // of each, what runs it at the end only
  std::map<std::string, std::string> ready_;  // of each, what is there when the batch is
};

}  // namespace

void stage_input(BuiltGraph* graph, const DevicePlan& plan) { InputStaging(graph, plan).run(); }

}  // namespace mox
