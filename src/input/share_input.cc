#include "input/share_input.h"

#include <limits>
#include <map>
#include <set>

#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "input/input_position.h"
#include "tensorflow/core/framework/function.pb.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kFolder[] = "mox_deal/";
constexpr int64_t kOneByOne = std::numeric_limits<int64_t>::max();  // no block is as large

// An element out for each element in, in the same order.
bool keeps_elements(const std::string& op) {
  return is_one_of(op, {"MapDataset", "ParallelMapDataset", "ParallelMapDatasetV2", "PrefetchDataset", "OptionsDataset",
                        "ModelDataset", "AssertNextDataset"});
}

// A sample is in or out by itself, wherever it stands; only the order or the number of the others changes.
bool keeps_samples(const std::string& op) {
  return is_one_of(op, {"ShuffleDataset", "ShuffleDatasetV3", "ShuffleAndRepeatDataset", "RepeatDataset",
                        "FilterDataset", "ParallelFilterDataset", "IgnoreErrorsDataset"});
}

bool is_batch(const std::string& op) {
  return is_one_of(op, {"BatchDataset", "BatchDatasetV2", "ParallelBatchDataset", "MapAndBatchDataset",
                        "PaddedBatchDataset", "PaddedBatchDatasetV2"});
}

bool shuffles(const std::string& op) {
  return is_one_of(op, {"ShuffleDataset", "ShuffleDatasetV3", "ShuffleAndRepeatDataset", "ShuffleAndRepeatDatasetV2"});
}

// The nodes of a graph, or of a function that returns a data set: they name each other's outputs in other ways.
class Body {
 public:
  explicit Body(tf::GraphDef* graph) : graph_(graph) {
    for (tf::NodeDef& node : *graph->mutable_node()) nodes_[node.name()] = &node;
  }
  explicit Body(tf::FunctionDef* function) : function_(function) {
    for (tf::NodeDef& node : *function->mutable_node_def()) nodes_[node.name()] = &node;
  }

  // nullptr: an argument of the function.
  tf::NodeDef* find(const std::string& tensor) const {
    const size_t start = !tensor.empty() && tensor[0] == '^';
    const auto found = nodes_.find(tensor.substr(start, tensor.find(':') - start));
    return found == nodes_.end() ? nullptr : found->second;
  }
  tf::NodeDef* add(const std::string& name, const std::string& op) {
    tf::NodeDef* node = graph_ ? graph_->add_node() : function_->add_node_def();
    node->set_name(name);
    node->set_op(op);
    return nodes_[name] = node;
  }
  std::string handle_of(const std::string& node) const { return graph_ ? node : node + ":handle:0"; }
  const std::map<std::string, tf::NodeDef*>& nodes() const { return nodes_; }

 private:
  tf::GraphDef* graph_ = nullptr;
  tf::FunctionDef* function_ = nullptr;
  std::map<std::string, tf::NodeDef*> nodes_;
};

int64_t constant_of(const Body& body, const std::string& tensor) {
  const tf::NodeDef* node = body.find(tensor);
  tf::Tensor value;
  if (!node || node->op() != "Const" || !tf::GetNodeAttr(*node, "value", &value).ok() || value.NumElements() != 1 ||
      value.dtype() != tf::DT_INT64)
    return -1;
  return value.flat<int64_t>()(0);
}

// Samples that a batch takes; -1: not known.
int64_t batch_size_of(const Body& body, const tf::NodeDef& batch) {
  int inputs = 0;
  for (const std::string& input : batch.input()) inputs += input[0] != '^';
  // MapAndBatch: the data set, what its function captured, the size, parallel calls, drop_remainder.
  return constant_of(body, batch.input(batch.op() == "MapAndBatchDataset" ? inputs - 3 : 1));
}

bool has_file_name(const Body& body, const tf::NodeDef& cache) {
  const tf::NodeDef* name = body.find(cache.input(1));
  tf::Tensor value;
  return !name || !tf::GetNodeAttr(*name, "value", &value).ok() || value.dtype() != tf::DT_STRING ||
         value.NumElements() != 1 || !value.flat<tf::tstring>()(0).empty();
}

class InputDealer {
 public:
  InputDealer(tf::GraphDef* graph, const ShareOptions& options) : graph_(graph), options_(options) {
    for (tf::FunctionDef& function : *graph->mutable_library()->mutable_function())
      functions_[function.signature().name()] = &function;
  }

  Feeds run() {
    // Nodes that are added would move those that Body knows of: it keeps pointers, which protobuf's nodes keep valid.
    Body body(graph_);
    for (const std::string& name : options_.make_iterators) {
      tf::NodeDef* make = body.find(name);
      if (!make || divides_itself(body, make->input(0))) continue;
      make->set_input(0, deal(&body, make->input(0), std::max<int64_t>(1, options_.batch_size), {share(), seed()}));
    }
    return std::move(feeds_);
  }

 private:
  // How a body names the two that are fed.
  struct Fed {
    std::string share, seed;
  };

  std::string share() { return placeholder(input_position::kShare, tf::Tensor(tf::DT_INT64, {4}), &share_); }
  std::string seed() { return placeholder(input_position::kGroupSeed, tf::Tensor(tf::DT_INT64, {}), &seed_); }

  std::string placeholder(const char* name, tf::Tensor value, std::string* made) {
    if (!made->empty()) return *made;
    value.flat<int64_t>().setZero();
    if (value.NumElements() == 4) value.flat<int64_t>().setValues({0, 0, 1, 1});
    *made = std::string(kFolder) + name;
    NodeMaker(graph_, *made, "Placeholder").attr("dtype", tf::DT_INT64).attr("shape", value.shape());
    feeds_.emplace_back(*made, value);
    return *made;
  }

  // A data set behind `tensor` has its share already.
  bool divides_itself(const Body& body, const std::string& tensor) {
    std::set<const tf::NodeDef*> seen;
    std::vector<std::string> stack{tensor};
    while (!stack.empty()) {
      const tf::NodeDef* node = body.find(stack.back());
      stack.pop_back();
      if (!node || !seen.insert(node).second) continue;
      for (const char* name : {input_position::kShare, input_position::kFirstSample})
        if (input_position::is(node->name(), name)) return true;
      if (is_shard(body, *node)) return true;
      for (const auto& [attribute, value] : node->attr())
        if (value.has_func() && function_divides(value.func().name())) return true;
      stack.insert(stack.end(), node->input().begin(), node->input().end());
    }
    return false;
  }

  static bool is_shard(const Body& body, const tf::NodeDef& node) {
    return node.op() == "AutoShardDataset" || (node.op() == "ShardDataset" && constant_of(body, node.input(1)) != 1);
  }

  bool function_divides(const std::string& name) {
    const auto function = functions_.find(name);
    if (function == functions_.end()) return false;
    const Body body(function->second);
    for (const auto& [node_name, node] : body.nodes())
      if (is_shard(body, *node)) return true;
    return false;
  }

  // One element, again and again (synthetic data): there is nothing to deal out.
  static bool repeats_one(const Body& body, const std::string& tensor) {
    bool repeats = false;
    for (const tf::NodeDef* node = body.find(tensor); node; node = body.find(node->input(0))) {
      if (node->op() == "TensorDataset") return repeats;
      if (!keeps_elements(node->op()) && !keeps_samples(node->op()) && !is_batch(node->op())) return false;
      repeats |= node->op() == "RepeatDataset";
    }
    return false;
  }

  // The data set that stands for `tensor` when it is dealt out, there or further up. `unit`: samples in its elements.
  std::string deal(Body* body, const std::string& tensor, int64_t unit, const Fed& fed) {
    tf::NodeDef* node = body->find(tensor);
    if (repeats_one(*body, tensor)) return tensor;
    if (node && keeps_elements(node->op())) return deal_above(body, tensor, node, unit, fed);
    if (node && is_batch(node->op())) {
      const int64_t size = batch_size_of(*body, *node);
      if (size > 0) return deal_above(body, tensor, node, unit == kOneByOne || unit % size ? unit : unit / size, fed);
    }
    const bool is_cache = node && is_one_of(node->op(), {"CacheDataset", "CacheDatasetV2"});
    if (node && !options_.keep_order && (keeps_samples(node->op()) || (is_cache && !has_file_name(*body, *node))))
      return deal_above(body, tensor, node, kOneByOne, fed);
    if (node && is_one_of(node->op(), {"PartitionedCall", "StatefulPartitionedCall"}) && node->input_size() == 0)
      return deal_in_function(tensor, node, unit, fed);
    shuffle_alike(body, tensor, fed);
    return add_share(body, tensor, unit, fed);
  }

  std::string deal_above(Body* body, const std::string& tensor, tf::NodeDef* node, int64_t unit, const Fed& fed) {
    node->set_input(0, deal(body, node->input(0), unit, fed));
    return tensor;
  }

  // A one-shot iterator's data set is made in a function: a copy of it takes what is fed as arguments.
  std::string deal_in_function(const std::string& tensor, tf::NodeDef* call, int64_t unit, const Fed& fed) {
    const std::string name = call->attr().at("f").func().name();
    const auto original = functions_.find(name);
    if (original == functions_.end()) return tensor;
    tf::FunctionDef* function = graph_->mutable_library()->add_function();
    *function = *original->second;
    function->mutable_signature()->set_name(name + "_dealt_" + std::to_string(copies_++));
    for (const char* argument : {input_position::kShare, input_position::kGroupSeed}) {
      auto* added = function->mutable_signature()->add_input_arg();
      added->set_name(argument);
      added->set_type(tf::DT_INT64);
    }
    Body body(function);
    for (auto& [output, returned] : *function->mutable_ret())
      returned = deal(&body, returned, unit, {input_position::kShare, input_position::kGroupSeed});
    call->add_input(fed.share);
    call->add_input(fed.seed);
    tf::SetAttrValue(tf::DataTypeVector{tf::DT_INT64, tf::DT_INT64}, &(*call->mutable_attr())["Tin"]);
    (*call->mutable_attr())["f"].mutable_func()->set_name(function->signature().name());
    return tensor;
  }

  // What shuffles without a seed, above the share, does it alike on all workers.
  void shuffle_alike(Body* body, const std::string& tensor, const Fed& fed) {
    std::set<tf::NodeDef*> seen;
    std::vector<std::string> stack{tensor};
    while (!stack.empty()) {
      tf::NodeDef* node = body->find(stack.back());
      stack.pop_back();
      if (!node || !seen.insert(node).second) continue;
      if (shuffles(node->op()) && constant_of(*body, node->input(2)) == 0 && constant_of(*body, node->input(3)) == 0)
        node->set_input(2, fed.seed);
      if (node->attr().count("deterministic")) tf::SetAttrValue("true", &(*node->mutable_attr())["deterministic"]);
      stack.insert(stack.end(), node->input().begin(), node->input().end());
    }
  }

  std::string add_share(Body* body, const std::string& tensor, int64_t unit, const Fed& fed) {
    const tf::NodeDef* before = body->find(tensor);
    tf::AttrValue types, shapes;
    if (before && before->attr().count("output_types")) types = before->attr().at("output_types");
    if (before && before->attr().count("output_shapes")) shapes = before->attr().at("output_shapes");
    if (before && before->op() == "TensorSliceDataset") types = before->attr().at("Toutput_types");
    if (before && before->op() == "TensorDataset") types = before->attr().at("Toutput_types");
    if (types.list().type().empty()) {  // it says nothing of its elements: nor need this one
      tf::SetAttrValue(tf::DataTypeVector{tf::DT_VARIANT}, &types);
      tf::SetAttrValue(std::vector<tf::PartialTensorShape>{tf::PartialTensorShape()}, &shapes);
    }
    const std::string name = kFolder + std::string("share_") + std::to_string(shares_++);
    tf::NodeDef* node = body->add(name, "MoxShareDataset");
    node->add_input(tensor);
    node->add_input(fed.share);
    (*node->mutable_attr())["output_types"] = std::move(types);
    (*node->mutable_attr())["output_shapes"] = std::move(shapes);
    tf::SetAttrValue(unit, &(*node->mutable_attr())["unit"]);
    return body->handle_of(name);
  }

  tf::GraphDef* const graph_;
  const ShareOptions& options_;
  std::map<std::string, tf::FunctionDef*> functions_;
  Feeds feeds_;
  std::string share_, seed_;
  int copies_ = 0, shares_ = 0;
};

}  // namespace

Feeds share_input(tf::GraphDef* graph, const ShareOptions& options) { return InputDealer(graph, options).run(); }

}  // namespace mox
