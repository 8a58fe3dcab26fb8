#include "passes/augment_batches.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "graph/node_defs.h"
#include "input/input_options.h"
#include "passes/function_body.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kOperation[] = "MoxDecodeAugment";
// Batches that are under way: while one waits for its last image, the threads are at the next.
constexpr int64_t kBatchesUnderWay = 2;

tf::Tensor int64_scalar(int64_t value) {
  tf::Tensor tensor(tf::DT_INT64, {});
  tensor.scalar<int64_t>()() = value;
  return tensor;
}

// What the thread that asks for elements does on the way. Not MoxImageShape, which decodes what has no size at a fixed
// place.
bool takes_no_time(const tf::FunctionDef& function) {
  return std::all_of(function.node_def().begin(), function.node_def().end(), [](const tf::NodeDef& node) {
    return is_cheap_operation(node.op()) ||
           is_one_of(node.op(), {"MoxCheckExample", "ParseExample", "MoxCheckLabel", "MoxClassOfLabel", "RandomUniform",
                                 "RandomUniformInt"});
  });
}

// The types and shapes of a data set's elements: one component is another, and some come behind.
void change_elements(tf::NodeDef* node, int component, const tf::PartialTensorShape& shape,
                     const tf::DataTypeVector& further) {
  auto& types = *node->mutable_attr()->at("output_types").mutable_list();
  auto& shapes = *node->mutable_attr()->at("output_shapes").mutable_list();
  types.set_type(component, tf::DT_STRING);
  shape.AsProto(shapes.mutable_shape(component));
  for (const tf::DataType type : further) {
    types.add_type(type);
    shapes.add_shape()->set_unknown_rank(true);
  }
}

void add_output(tf::FunctionDef* function, const std::string& name, tf::DataType type, const std::string& value) {
  auto* output = function->mutable_signature()->add_output_arg();
  output->set_name(name);
  output->set_type(type);
  (*function->mutable_ret())[name] = value;
}

class BatchPass {
 public:
  explicit BatchPass(tf::GraphDef* graph) : graph_(graph) {
    for (tf::FunctionDef& function : *graph->mutable_library()->mutable_function())
      functions_[function.signature().name()] = &function;
    for (tf::NodeDef& node : *graph->mutable_node()) {
      nodes_[node.name()] = &node;
      for (const std::string& input : node.input()) readers_[node_of(input)].push_back(&node);
      count_functions(node);
    }
    for (const tf::FunctionDef& function : graph->library().function())
      for (const tf::NodeDef& node : function.node_def()) count_functions(node);
  }

  int run() {
    std::vector<tf::NodeDef*> maps;
    for (const auto& [name, node] : nodes_)
      if (node->op() == "ParallelMapDatasetV2") maps.push_back(node);
    int changed = 0;
    for (tf::NodeDef* map : maps) changed += change(map);
    return changed;
  }

 private:
  // From the map whose function decodes to the batch.
  struct Way {
    std::vector<tf::NodeDef*> passing;  // in between, each with elements of its own
    std::vector<int> components;  // where the image is in the elements of each, of the map first, of the batch last
    tf::NodeDef* skip = nullptr;  // MoxSkipBrokenDataset, if any
    tf::NodeDef* batch = nullptr;
  };

  void count_functions(const tf::NodeDef& node) {
    for (const auto& [name, value] : node.attr())
      if (value.has_func()) ++uses_[value.func().name()];
  }

  // Null where others run it, too.
  tf::FunctionDef* function_of(const tf::NodeDef& node) const {
    const auto f = node.attr().find("f");
    const auto found = f == node.attr().end() ? functions_.end() : functions_.find(f->second.func().name());
    return found == functions_.end() || uses_.at(found->first) != 1 ? nullptr : found->second;
  }

  static tf::NodeDef* operation_in(tf::FunctionDef* function) {
    tf::NodeDef* found = nullptr;
    for (tf::NodeDef& node : *function->mutable_node_def()) {
      if (node.op() != kOperation) continue;
      if (found) return nullptr;
      found = &node;
    }
    return found;
  }

  // The result that is `tensor` and that alone reads it; -1: none.
  static int only_result(const tf::FunctionDef& function, const std::string& tensor) {
    for (const tf::NodeDef& node : function.node_def())
      for (const std::string& input : node.input())
        if (FunctionBody::owner(input) == FunctionBody::owner(tensor)) return -1;
    int result = -1;
    for (int i = 0; i < function.signature().output_arg_size(); ++i) {
      if (function.ret().at(function.signature().output_arg(i).name()) != tensor) continue;
      if (result >= 0) return -1;
      result = i;
    }
    return result;
  }

  bool leaves_nothing_out(const tf::NodeDef& skip) const {
    const auto limit = nodes_.find(node_of(skip.input(1)));
    tf::Tensor value;
    return limit != nodes_.end() && limit->second->op() == "Const" &&
           tf::GetNodeAttr(*limit->second, "value", &value).ok() && value.dtype() == tf::DT_INT64 &&
           value.NumElements() == 1 && value.flat<int64_t>()(0) == 0;
  }

  // Where component `number` goes through the function of a map; -1: not as it is, or the function takes its time.
  int through(const tf::NodeDef& map, int number) const {
    const tf::FunctionDef* function = function_of(map);
    if (!function || map.attr().at("Targuments").list().type_size() > 0 || !takes_no_time(*function)) return -1;
    if (number >= function->signature().input_arg_size()) return -1;
    return only_result(*function, function->signature().input_arg(number).name());
  }

  // None: no batch.
  Way way_to_batch(tf::NodeDef* map, int component) const {
    Way way;
    way.components.push_back(component);
    for (tf::NodeDef* at = map; !way.batch;) {
      const auto readers = readers_.find(at->name());
      if (readers == readers_.end() || readers->second.size() != 1) return {};
      at = readers->second[0];
      const bool maps = is_one_of(at->op(), {"MapDataset", "ParallelMapDatasetV2", "MapAndBatchDataset"});
      if (maps) component = through(*at, component);
      if (component < 0) return {};
      way.components.push_back(component);
      if (is_one_of(at->op(), {"BatchDatasetV2", "MapAndBatchDataset"})) {
        way.batch = at;
      } else if (at->op() == "MoxSkipBrokenDataset" && !way.skip && leaves_nothing_out(*at)) {
        way.skip = at;
        way.passing.push_back(at);
      } else if (maps || at->op() == "PrefetchDataset") {
        way.passing.push_back(at);
      } else {
        return {};
      }
    }
    return way;
  }

  bool change(tf::NodeDef* map) {
    tf::FunctionDef* function = function_of(*map);
    const tf::NodeDef* operation = function ? operation_in(function) : nullptr;
    if (!operation) return false;
    const Way way = way_to_batch(map, only_result(*function, operation->name() + ":image:0"));
    if (!way.batch) return false;
    operation_ = *operation;
    prefix_ = way.batch->name() + "/mox_augment/";
    further_ = {tf::DT_STRING};
    for (int i = 2; i < operation_.input_size(); ++i)
      further_.push_back(i - 2 < operation_.attr().at("num_integers").i() ? tf::DT_INT32 : tf::DT_FLOAT);
    return_inputs(function, way.components[0]);
    const tf::PartialTensorShape one(std::vector<int64_t>{});
    change_elements(map, way.components[0], one, further_);
    for (tf::NodeDef* at = map; takes_no_time(*function_of(*at));) {
      run_in_asking_thread(at);
      const auto before = nodes_.find(node_of(at->input(0)));
      if (before == nodes_.end() || before->second->op() != "ParallelMapDatasetV2" || !function_of(*before->second) ||
          readers_.at(before->first).size() != 1)
        break;
      at = before->second;
    }
    std::string input = map->name();
    for (size_t i = 0; i < way.passing.size(); ++i) {
      tf::NodeDef* node = way.passing[i];
      if (node->op() == "PrefetchDataset") continue;  // a thread that hands on each file
      node->set_input(0, input);
      input = node->name();
      if (tf::FunctionDef* passes = function_of(*node)) {
        pass_through(passes, way.components[i], way.components[i + 1]);
        if (node->op() == "ParallelMapDatasetV2") run_in_asking_thread(node);
      }
      change_elements(node, way.components[i + 1], one, further_);
    }
    batch_files(way, input);
    return true;
  }

  // What the operation takes, in place of what it makes: the file where the image was, the others behind.
  void return_inputs(tf::FunctionDef* function, int component) const {
    FunctionBody body(function);
    auto* output = function->mutable_signature()->mutable_output_arg(component);
    output->set_type(tf::DT_STRING);
    (*function->mutable_ret())[output->name()] = operation_.input(0);
    for (size_t i = 0; i < further_.size(); ++i)
      add_output(function, further_name(i), further_[i], operation_.input(static_cast<int>(i) + 1));
    body.remove_unread({operation_.name()});
  }

  static std::string further_name(size_t i) { return "mox_augment_" + std::to_string(i); }

  void pass_through(tf::FunctionDef* function, int from, int to) const {
    auto& signature = *function->mutable_signature();
    signature.mutable_input_arg(from)->set_type(tf::DT_STRING);
    signature.mutable_output_arg(to)->set_type(tf::DT_STRING);
    function->mutable_arg_attr()->erase(static_cast<uint32_t>(from));
    for (size_t i = 0; i < further_.size(); ++i) {
      auto* argument = signature.add_input_arg();
      argument->set_name(further_name(i) + "_in");
      argument->set_type(further_[i]);
      add_output(function, further_name(i), further_[i], argument->name());
    }
  }

  // A MapDataset in place of the parallel map.
  static void run_in_asking_thread(tf::NodeDef* map) {
    map->set_op("MapDataset");
    int inputs = 0;  // before what only orders
    while (inputs < map->input_size() && map->input(inputs)[0] != '^') ++inputs;
    map->mutable_input()->DeleteSubrange(inputs - 1, 1);  // how many calls
    for (const char* name : {"deterministic", "use_unbounded_threadpool"}) map->mutable_attr()->erase(name);
    tf::SetAttrValue(false, &(*map->mutable_attr())["use_inter_op_parallelism"]);
  }

  // In place of the batch, under its name: the map that decodes batches, or the data set behind that tells of errors.
  void batch_files(const Way& way, const std::string& input) {
    tf::NodeDef original = *way.batch, files = original;
    const int component = way.components.back();
    const auto& shape = original.attr().at("output_shapes").list().shape(component);
    const tf::PartialTensorShape names({shape.unknown_rank() ? -1 : shape.dim(0).size()});
    files.set_name(prefix_ + "files");
    files.set_op("BatchDatasetV2");
    files.clear_input();
    files.add_input(input);
    if (original.op() == "MapAndBatchDataset") {
      // Batch size, calls and drop_remainder are its last inputs.
      files.set_input(0, map_before(original, input, way));
      const int last = original.input_size() - 1;
      for (const int i : {last - 2, last}) files.add_input(original.input(i));
      for (const char* name : {"f", "Targuments", "preserve_cardinality"}) files.mutable_attr()->erase(name);
    } else {
      for (int i = 1; i < original.input_size(); ++i) files.add_input(original.input(i));
    }
    change_elements(&files, component, names, further_);
    *graph_->add_node() = files;
    decode_batches(way, original, files);
  }

  // The map of a MapAndBatchDataset, alone.
  std::string map_before(const tf::NodeDef& both, const std::string& input, const Way& way) {
    tf::NodeDef* map = graph_->add_node();
    *map = both;
    map->set_name(prefix_ + "elements");
    map->set_op("MapDataset");
    map->clear_input();
    map->add_input(input);
    tf::SetAttrValue(false, &(*map->mutable_attr())["use_inter_op_parallelism"]);
    auto& shapes = *map->mutable_attr()->at("output_shapes").mutable_list();
    for (auto& shape : *shapes.mutable_shape())
      if (!shape.unknown_rank()) shape.mutable_dim()->DeleteSubrange(0, 1);
    change_elements(map, way.components.back(), tf::PartialTensorShape(std::vector<int64_t>{}), further_);
    pass_through(function_of(both), way.components[way.components.size() - 2], way.components.back());
    return map->name();
  }

  void decode_batches(const Way& way, const tf::NodeDef& original, const tf::NodeDef& files) {
    const std::string calls = add_const(graph_, prefix_ + "calls", int64_scalar(kBatchesUnderWay));
    tf::NodeDef decode;
    decode.set_name(way.skip ? prefix_ + "images" : original.name());
    decode.set_op("ParallelMapDatasetV2");
    decode.add_input(files.name());
    decode.add_input(calls);
    auto& attributes = *decode.mutable_attr();
    for (const char* name : {"output_types", "output_shapes"}) attributes[name] = original.attr().at(name);
    tf::NameAttrList f;
    f.set_name(batch_function(way, files));
    tf::SetAttrValue(f, &attributes["f"]);
    tf::SetAttrValue(tf::DataTypeVector{}, &attributes["Targuments"]);
    tf::SetAttrValue(false, &attributes["use_inter_op_parallelism"]);
    tf::SetAttrValue("true", &attributes["deterministic"]);
    tf::SetAttrValue(true, &attributes["preserve_cardinality"]);
    if (!way.skip) {
      *way.batch = decode;
      return;
    }
    *graph_->add_node() = decode;
    // What is said of a broken sample is said where it is found. Whether there is any was asked before.
    tf::Tensor no(tf::DT_BOOL, {});
    no.scalar<bool>()() = false;
    tf::NodeDef skip = *way.skip;
    skip.set_name(original.name());
    skip.set_input(0, decode.name());
    skip.set_input(3, add_const(graph_, prefix_ + "must_deliver", no));
    for (const char* name : {"output_types", "output_shapes"}) (*skip.mutable_attr())[name] = original.attr().at(name);
    *way.batch = skip;
  }

  std::string batch_function(const Way& way, const tf::NodeDef& files) {
    tf::FunctionDef* function = graph_->mutable_library()->add_function();
    auto& signature = *function->mutable_signature();
    signature.set_name(prefix_ + "decode");
    std::replace(signature.mutable_name()->begin(), signature.mutable_name()->end(), '/', '_');
    const auto& types = files.attr().at("output_types").list().type();
    const int component = way.components.back(), results = types.size() - static_cast<int>(further_.size());
    tf::NodeDef node = operation_;
    node.set_name("augment");
    node.clear_input();
    node.add_input("in_" + std::to_string(component));
    for (int i = 0; i < types.size(); ++i) {
      auto* argument = signature.add_input_arg();
      argument->set_name("in_" + std::to_string(i));
      argument->set_type(static_cast<tf::DataType>(types[i]));
      if (i >= results)
        node.add_input(argument->name());
      else if (i == component)
        add_output(function, "out_" + std::to_string(i), tf::DT_FLOAT, "augment:image:0");
      else
        add_output(function, "out_" + std::to_string(i), argument->type(), argument->name());
    }
    *function->add_node_def() = node;
    return signature.name();
  }

  tf::GraphDef* graph_;
  std::map<std::string, tf::FunctionDef*> functions_;
  std::map<std::string, tf::NodeDef*> nodes_;
  std::map<std::string, std::vector<tf::NodeDef*>> readers_;
  std::map<std::string, int> uses_;
  // Of the map that is being changed.
  tf::NodeDef operation_;
  tf::DataTypeVector further_;  // what the operation takes but the file
  std::string prefix_;
};

}  // namespace

int augment_whole_batches(tf::GraphDef* graph) { return BatchPass(graph).run(); }

}  // namespace mox
