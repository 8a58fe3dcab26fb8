#include "input/input_options.h"

#include <algorithm>
#include <thread>
#include <unordered_set>

#include "graph/node_defs.h"
#include "tensorflow/core/framework/dataset_options.pb.h"

namespace mox {

namespace tf = tensorflow;

namespace {

tf::data::Options options_of(const tf::NodeDef& node) {
  tf::data::Options options;
  options.ParseFromString(node.attr().at("serialized_options").s());
  return options;
}

bool chooses(const tf::NodeDef& node) {
  if (node.op() != "OptionsDataset") return false;
  const tf::data::Options options = options_of(node);
  return options.autotune_options().optional_enabled_case() == tf::data::AutotuneOptions::kEnabled ||
         options.has_threading_options();
}

}  // namespace

bool is_cheap_operation(const std::string& op) {
  static const std::unordered_set<std::string> kCheap = {
      "Add",          "AddV2",        "Cast",           "Const",     "DivNoNan",
      "ExpandDims",   "Fill",         "GatherV2",       "Identity",  "Maximum",
      "Minimum",      "Mul",          "NoOp",           "OneHot",    "Pack",
      "RealDiv",      "Reshape",      "Shape",          "Squeeze",   "Sub",
      "Prod",         "Slice",        "Range",          "FloorMod",  "Less",
      "StridedSlice", "_Arg",         "_Retval",        "ZerosLike", "RandomIndexShuffle",
      "LogicalAnd",   "GreaterEqual", "FloorDiv",       "Select",    "SelectV2",
      "ConcatV2",     "Equal",        "MoxCheckElement"};
  return kCheap.count(op) > 0;
}

namespace {

bool is_source(const std::string& op) {  // data sets that read nothing from outside the process
  static const std::unordered_set<std::string> kDatasets = {
      "BatchDatasetV2",       "MapAndBatchDataset", "MapDataset",    "OptionsDataset",
      "ParallelMapDatasetV2", "PrefetchDataset",    "RangeDataset",  "RepeatDataset",
      "ShuffleDatasetV3",     "TensorSliceDataset", "TensorDataset", "TakeDataset",
      "ShardDataset",         "UnbatchDataset",     "ZipDataset",    "ShuffleAndRepeatDatasetV2",
      "FilterDataset",        "ShuffleDataset",     "SkipDataset",   "ConcatenateDataset"};
  return kDatasets.count(op) > 0;
}

bool is_dataset(const std::string& op) { return op.find("Dataset") != std::string::npos; }

bool is_cheap_input(const tf::GraphDef& graph) {
  auto cheap_function = [](const tf::FunctionDef& f) {
    return std::all_of(f.node_def().begin(), f.node_def().end(), [](const tf::NodeDef& n) {
      return is_dataset(n.op()) ? is_source(n.op()) : is_cheap_operation(n.op());
    });
  };
  const auto& functions = graph.library().function();
  return std::all_of(functions.begin(), functions.end(), cheap_function) &&
         std::all_of(graph.node().begin(), graph.node().end(),
                     [](const tf::NodeDef& n) { return !is_dataset(n.op()) || is_source(n.op()); });
}

}  // namespace

bool sets_input_options(const tf::GraphDef& graph) {
  auto any = [](const auto& nodes) { return std::any_of(nodes.begin(), nodes.end(), chooses); };
  const auto& functions = graph.library().function();
  return any(graph.node()) ||
         std::any_of(functions.begin(), functions.end(), [&](const auto& f) { return any(f.node_def()); });
}

std::string add_input_options(tf::GraphDef* graph, const std::string& dataset, const InputOptionsNode& node) {
  tf::data::Options options;
  options.mutable_autotune_options()->set_enabled(false);
  options.mutable_threading_options()->set_max_intra_op_parallelism(1);
  NodeMaker(graph, node.name, "OptionsDataset")
      .input(dataset)
      .attr("serialized_options", options.SerializeAsString())
      .attr("output_types", node.types)
      .attr("output_shapes", node.shapes);
  return node.name;
}

void end_only_with_the_data(tf::GraphDef* graph) {
  const auto change = [](auto* nodes) {
    for (tf::NodeDef& node : *nodes)
      if (node.attr().count("preserve_cardinality")) (*node.mutable_attr())["preserve_cardinality"].set_b(true);
  };
  change(graph->mutable_node());
  for (tf::FunctionDef& function : *graph->mutable_library()->mutable_function()) change(function.mutable_node_def());
}

bool give_input_own_threads(tf::GraphDef* graph) {
  const int threads = is_cheap_input(*graph) ? 1 : std::max(1u, std::thread::hardware_concurrency());
  bool changed = false;
  for (tf::NodeDef& node : *graph->mutable_node()) {
    if (!chooses(node)) continue;
    tf::data::Options options = options_of(node);
    if (options.autotune_options().enabled() || options.threading_options().max_intra_op_parallelism() != 1)
      return false;
    options.mutable_threading_options()->set_private_threadpool_size(threads);
    tf::SetAttrValue(options.SerializeAsString(), &(*node.mutable_attr())["serialized_options"]);
    changed = true;
  }
  if (!changed) return false;
  for (tf::NodeDef& node : *graph->mutable_node())
    if (node.op() == "IteratorGetNext") node.set_op("IteratorGetNextSync");
  return true;
}

}  // namespace mox
