#include "input/stateless_input.h"

#include <limits>
#include <map>
#include <unordered_set>

#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "graph/random_ops.h"
#include "input/input_position.h"
#include "tensorflow/core/framework/function.pb.h"
#include "tensorflow/core/lib/hash/hash.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kIndex[] = "mox_index";  // the argument that functions get

bool is_map(const std::string& op) {
  return is_one_of(op, {"MapDataset", "ParallelMapDataset", "ParallelMapDatasetV2", "MapAndBatchDataset"});
}

bool repeats(const std::string& op) { return is_one_of(op, {"RepeatDataset", "CacheDataset", "CacheDatasetV2"}); }

bool is_branch(const std::string& op) { return is_one_of(op, {"If", "StatelessIf", "Case", "StatelessCase"}); }

bool is_call(const std::string& op) {
  return is_branch(op) || is_one_of(op, {"PartitionedCall", "StatefulPartitionedCall"});
}

// The functions that a call may run.
std::vector<tf::NameAttrList*> callees(tf::NodeDef* call) {
  std::vector<tf::NameAttrList*> found;
  auto& attributes = *call->mutable_attr();
  for (const char* name : {"f", "then_branch", "else_branch"})
    if (const auto at = attributes.find(name); at != attributes.end()) found.push_back(at->second.mutable_func());
  if (const auto at = attributes.find("branches"); at != attributes.end())
    for (tf::NameAttrList& branch : *at->second.mutable_list()->mutable_func()) found.push_back(&branch);
  return found;
}

tf::Tensor int64_scalar(int64_t value) {
  tf::Tensor t(tf::DT_INT64, {});
  t.scalar<int64_t>()() = value;
  return t;
}

void insert_input(tf::NodeDef* node, int at, const std::string& input) {
  node->add_input(input);
  for (int i = node->input_size() - 1; i > at; --i) node->mutable_input()->SwapElements(i, i - 1);
}

template <typename Map>
void shift_arguments(Map* attributes) {
  const Map old = *attributes;
  attributes->clear();
  for (const auto& [argument, value] : old) (*attributes)[argument + 1] = value;
}

// Copies of functions whose first argument is the place, and whose random operations follow it.
class IndexedFunctions {
 public:
  explicit IndexedFunctions(tf::FunctionDefLibrary* library) : library_(library) {
    for (tf::FunctionDef& function : *library->mutable_function()) by_name_[function.signature().name()] = &function;
  }

  // The function, or one that it calls, has seeded random operations.
  bool is_random(const std::string& name) {
    const auto function = by_name_.find(name);
    if (function == by_name_.end()) return false;
    if (const auto known = random_.find(name); known != random_.end()) return known->second;
    random_[name] = false;
    bool random = false;
    for (tf::NodeDef& node : *function->second->mutable_node_def()) {
      random = random || is_seeded_random_op(node);
      if (!is_call(node.op())) continue;
      for (const tf::NameAttrList* callee : callees(&node)) random = random || is_random(callee->name());
    }
    return random_[name] = random;
  }

  // Its name. The original stays.
  std::string copy_of(const std::string& name) {
    if (const auto known = copies_.find(name); known != copies_.end()) return known->second;
    const std::string copy_name = copies_[name] = name + "_indexed";
    tf::FunctionDef* copy = library_->add_function();
    *copy = *by_name_.at(name);
    copy->mutable_signature()->set_name(copy_name);
    auto& arguments = *copy->mutable_signature()->mutable_input_arg();
    auto* index = arguments.Add();
    index->set_name(kIndex);
    index->set_type(tf::DT_INT64);
    for (int i = arguments.size() - 1; i > 0; --i) arguments.SwapElements(i, i - 1);
    shift_arguments(copy->mutable_arg_attr());
    shift_arguments(copy->mutable_resource_arg_unique_id());
    const int nodes = copy->node_def_size();
    for (int i = 0; i < nodes; ++i) {
      if (is_seeded_random_op(copy->node_def(i)))
        follow_index(copy, i);
      else if (is_call(copy->node_def(i).op()))
        pass_index(copy, i);
    }
    by_name_[copy_name] = copy;
    return copy_name;
  }

 private:
  static tf::NodeDef* add(tf::FunctionDef* function, const std::string& name, const std::string& op) {
    tf::NodeDef* node = function->add_node_def();
    node->set_name(name);
    node->set_op(op);
    return node;
  }

  // Returns the tensor.
  static std::string add_int64(tf::FunctionDef* function, const std::string& name, const tf::Tensor& value) {
    tf::NodeDef* node = add(function, name, "Const");
    tf::SetAttrValue(value, &(*node->mutable_attr())["value"]);
    tf::SetAttrValue(value.dtype(), &(*node->mutable_attr())["dtype"]);
    return name + ":output:0";
  }

  void follow_index(tf::FunctionDef* function, int i) {
    const std::string name = function->node_def(i).name();
    const std::string key = add_int64(function, name + "_mox_key", random_key(function->node_def(i)));
    tf::NodeDef* seed = add(function, name + "_mox_seed", "Pack");
    seed->add_input(key);
    seed->add_input(kIndex);
    tf::SetAttrValue(int64_t{2}, &(*seed->mutable_attr())["N"]);
    tf::SetAttrValue(tf::DT_INT64, &(*seed->mutable_attr())["T"]);
    tf::SetAttrValue(int64_t{0}, &(*seed->mutable_attr())["axis"]);
    make_stateless(function->mutable_node_def(i), seed->name() + ":output:0");
  }

  void pass_index(tf::FunctionDef* function, int i) {
    bool random = false;
    for (const tf::NameAttrList* callee : callees(function->mutable_node_def(i)))
      random = random || is_random(callee->name());
    if (!random) return;
    // Two calls of one function are not the same numbers twice.
    const std::string name = function->node_def(i).name();
    const std::string place = add_int64(function, name + "_mox_place", int64_scalar(tf::Hash64(name)));
    tf::NodeDef* index = add(function, name + "_mox_index", "BitwiseXor");
    index->add_input(kIndex);
    index->add_input(place);
    tf::SetAttrValue(tf::DT_INT64, &(*index->mutable_attr())["T"]);
    tf::NodeDef* call = function->mutable_node_def(i);
    insert_input(call, is_branch(call->op()) ? 1 : 0, index->name() + ":z:0");
    auto& types = *(*call->mutable_attr())["Tin"].mutable_list()->mutable_type();
    types.Add(tf::DT_INT64);
    for (int t = types.size() - 1; t > 0; --t) types.SwapElements(t, t - 1);
    for (tf::NameAttrList* callee : callees(call)) callee->set_name(copy_of(callee->name()));
  }

  tf::FunctionDefLibrary* library_;
  std::unordered_map<std::string, tf::FunctionDef*> by_name_;
  std::map<std::string, bool> random_;
  std::map<std::string, std::string> copies_;
};

class InputPass {
 public:
  explicit InputPass(tf::GraphDef* graph) : graph_(graph), functions_(graph->mutable_library()) {
    for (tf::NodeDef& node : *graph->mutable_node()) nodes_[node.name()] = &node;
  }

  void run(const std::string& make_iterator) {
    std::vector<tf::NodeDef*> maps;
    std::unordered_set<std::string> seen;
    std::vector<std::string> stack{node_of(nodes_.at(make_iterator)->input(0))};
    while (!stack.empty()) {
      const auto found = nodes_.find(stack.back());
      stack.pop_back();
      if (found == nodes_.end() || !seen.insert(found->first).second || repeats(found->second->op())) continue;
      tf::NodeDef* node = found->second;
      if (is_map(node->op()) && functions_.is_random(node->attr().at("f").func().name())) maps.push_back(node);
      for (const std::string& input : node->input()) stack.push_back(node_of(input));
    }
    for (tf::NodeDef* map : maps) add_index(map);
  }

 private:
  // The placeholder of the place where the data set behind `node` begins, or of its share; "" when there is none.
  std::string position_of(const std::string& node) const {
    std::unordered_set<std::string> seen;
    std::vector<std::string> stack{node};
    while (!stack.empty()) {
      const std::string name = stack.back();
      stack.pop_back();
      if (!nodes_.count(name) || !seen.insert(name).second) continue;
      for (const char* position : {input_position::kFirstSample, input_position::kShare})
        if (input_position::is(name, position)) return name;
      for (const std::string& input : nodes_.at(name)->input()) stack.push_back(node_of(input));
    }
    return "";
  }

  int64_t constant(const std::string& tensor) const {
    const auto node = nodes_.find(node_of(tensor));
    tf::Tensor value;
    if (node == nodes_.end() || node->second->op() != "Const" ||
        !tf::GetNodeAttr(*node->second, "value", &value).ok() || value.dtype() != tf::DT_INT64 ||
        value.NumElements() != 1)
      return 1;
    return value.flat<int64_t>()(0);
  }

  // Samples in an element of the data set.
  int64_t samples_of(const std::string& dataset) const {
    const auto found = nodes_.find(node_of(dataset));
    if (found == nodes_.end() || found->second->input_size() == 0) return 1;
    const tf::NodeDef& node = *found->second;
    if (is_one_of(node.op(), {"UnbatchDataset", "FlatMapDataset"})) return 1;
    if (node.op() == "RangeDataset") return constant(node.input(2));
    return (node.op() == "BatchDatasetV2" ? constant(node.input(1)) : 1) * samples_of(node.input(0));
  }

  void add_index(tf::NodeDef* map) {
    const std::string dataset = map->input(0), position = position_of(node_of(dataset));
    const tf::NodeDef& before = *nodes_.at(node_of(dataset));
    const auto types = before.attr().find("output_types"), shapes = before.attr().find("output_shapes");
    if (position.empty() || types == before.attr().end() || shapes == before.attr().end()) return;
    const std::string prefix = map->name() + "/mox_index/";
    const tf::DataTypeVector number{tf::DT_INT64};
    const std::vector<tf::PartialTensorShape> scalar{tf::PartialTensorShape({})};
    if (input_position::is(position, input_position::kShare))
      NodeMaker(graph_, prefix + "places", "MoxPlacesDataset")
          .input(position)
          .attr("unit", samples_of(dataset))
          .attr("output_types", number)
          .attr("output_shapes", scalar);
    else
      NodeMaker(graph_, prefix + "places", "RangeDataset")
          .input(position)
          .input(add_const(graph_, prefix + "end", int64_scalar(std::numeric_limits<int64_t>::max())))
          .input(add_const(graph_, prefix + "step", int64_scalar(samples_of(dataset))))
          .attr("output_types", number)
          .attr("output_shapes", scalar);
    tf::DataTypeVector all_types = number;
    std::vector<tf::PartialTensorShape> all_shapes = scalar;
    for (const int type : types->second.list().type()) all_types.push_back(static_cast<tf::DataType>(type));
    for (const auto& shape : shapes->second.list().shape()) all_shapes.emplace_back(shape);
    NodeMaker(graph_, prefix + "zip", "ZipDataset")
        .input(prefix + "places")
        .input(dataset)
        .attr("N", int64_t{2})
        .attr("output_types", all_types)
        .attr("output_shapes", all_shapes);
    map->set_input(0, prefix + "zip");
    tf::NameAttrList* f = (*map->mutable_attr())["f"].mutable_func();
    f->set_name(functions_.copy_of(f->name()));
  }

  tf::GraphDef* graph_;
  IndexedFunctions functions_;
  std::unordered_map<std::string, tf::NodeDef*> nodes_;
};

}  // namespace

void make_input_stateless(tf::GraphDef* graph, const std::vector<std::string>& make_iterators) {
  InputPass pass(graph);
  for (const std::string& name : make_iterators) pass.run(name);
}

}  // namespace mox
