#include "input/lift_input.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "input/input_memory.h"
#include "input/input_options.h"
#include "moxing/error.h"
#include "tensorflow/core/common_runtime/graph_constructor.h"
#include "tensorflow/core/framework/graph_to_functiondef.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/lib/hash/hash.h"

namespace mox {

namespace tf = tensorflow;

namespace {

bool is_get_next(const tf::NodeDef& node) {
  return node.op() == "IteratorGetNext" || node.op() == "IteratorGetNextSync";
}

bool is_placeholder(const tf::NodeDef& node) { return node.op() == "Placeholder" || node.op() == "PlaceholderV2"; }

// Tables, variables and queues stay outside the function and are captured by it.
bool makes_resource(const tf::NodeDef& node) {
  const tf::OpDef* op = nullptr;
  if (!tf::OpRegistry::Global()->LookUpOpDef(node.op(), &op).ok()) return false;
  return op->output_arg_size() == 1 && op->output_arg(0).type() == tf::DT_RESOURCE;
}

tf::Tensor scalar_bool(bool value) {
  tf::Tensor t(tf::DT_BOOL, {});
  t.scalar<bool>()() = value;
  return t;
}

tf::Tensor scalar_int64(int64_t value) {
  tf::Tensor t(tf::DT_INT64, {});
  t.scalar<int64_t>()() = value;
  return t;
}

// An argument of the function: one component of an iterator's element, or a captured resource.
struct Argument {
  TensorRef from;
  tf::DataType dtype;
};

class InputLifter {
 public:
  InputLifter(const InputGraph& input, const LiftOptions& options)
      : input_(input), options_(options), index_(index_nodes(input.graph)) {}

  LiftedInput lift() {
    collect_body();
    std::string dataset = source_dataset();
    dataset = passes_elements_through() ? batch_only(dataset) : mapped(dataset);
    add_iterator(dataset);
    keep_initializers();
    copy_kept_nodes();
    *result_.graph.mutable_versions() = input_.graph.versions();
    result_.feeds = input_.feeds;
    return std::move(result_);
  }

 private:
  const tf::NodeDef& node(const std::string& name) const {
    return require_node(index_, name, "part of input_fn's graph");
  }

  // Walks back from input_fn's outputs: operations go into the function, iterators are its sources.
  void collect_body() {
    std::vector<std::string> stack;
    std::unordered_set<std::string> seen;
    auto push = [&](const std::string& name) {
      if (seen.insert(name).second) stack.push_back(name);
    };
    for (const InputTensor& output : input_.outputs) push(node_of(output.name));
    while (!stack.empty()) {
      const tf::NodeDef& n = node(stack.back());
      stack.pop_back();
      if (is_get_next(n)) {
        sources_.push_back(&n);
        continue;
      }
      if (makes_resource(n)) {
        captured_.push_back(n.name());
        keep(n.name());
        continue;
      }
      if (is_placeholder(n)) reject_placeholder(n);
      body_.push_back(&n);
      for (const std::string& in : n.input()) push(node_of(in));
    }
    // Order of the graph, not of the walk: the same input_fn gives the same function.
    auto by_name = [](const tf::NodeDef* a, const tf::NodeDef* b) { return a->name() < b->name(); };
    std::sort(body_.begin(), body_.end(), by_name);
    std::sort(sources_.begin(), sources_.end(), by_name);
    std::sort(captured_.begin(), captured_.end());
    for (const tf::NodeDef* source : sources_) {
      std::vector<tf::DataType> types;
      throw_if_error(tf::GetNodeAttr(*source, "output_types", &types), "reading iterator " + source->name());
      for (size_t i = 0; i < types.size(); ++i) arguments_.push_back({{source->name(), static_cast<int>(i)}, types[i]});
    }
  }

  [[noreturn]] void reject_placeholder(const tf::NodeDef& n) const {
    throw InvalidArgumentError("input_fn uses the placeholder '" + n.name() +
                               "', which nothing feeds; read the data with tf.data (Dataset.from_generator takes any "
                               "Python data) and return its tensors");
  }

  // Copies a node and all that it needs into the result, as it is.
  void keep(const std::string& name) {
    if (!kept_.insert(name).second) return;
    const tf::NodeDef& n = node(name);
    if (is_placeholder(n) &&
        std::none_of(input_.feeds.begin(), input_.feeds.end(), [&](const auto& feed) { return feed.first == name; }))
      reject_placeholder(n);
    for (const std::string& in : n.input()) keep(node_of(in));
  }

  // The data set that an iterator runs over, as a tensor of the result.
  std::string dataset_of(const tf::NodeDef& get_next, int number) {
    const tf::NodeDef& iterator = node(node_of(get_next.input(0)));
    if (iterator.op() == "OneShotIterator") {
      // Its factory is a function that returns the data set: called in place. Stateful: a data set is no constant that
      // could be folded.
      const std::string name = options_.name + "/source_" + std::to_string(number);
      NodeMaker call(&result_.graph, name, "StatefulPartitionedCall");
      call.attr("f", iterator.attr().at("dataset_factory"))
          .attr("Tin", tf::DataTypeVector{})
          .attr("Tout", tf::DataTypeVector{tf::DT_VARIANT});
      return name;
    }
    for (const tf::NodeDef& n : input_.graph.node()) {
      if (n.op() != "MakeIterator" || node_of(n.input(1)) != iterator.name()) continue;
      keep(node_of(n.input(0)));
      made_iterators_.insert(n.name());
      return n.input(0);
    }
    throw InvalidArgumentError(
        "the iterator '" + iterator.name() + "' (" + iterator.op() +
        ") of input_fn has no data set; use make_one_shot_iterator or make_initializable_iterator");
  }

  std::string source_dataset() {
    const std::string prefix = options_.name + "/";
    if (sources_.empty()) {
      // No data set at all (synthetic data): the function runs for ever on nothing.
      const std::string zero = add_const(&result_.graph, prefix + "nothing", scalar_int64(0));
      const tf::DataTypeVector types{tf::DT_INT64};
      const std::vector<tf::PartialTensorShape> shapes{tf::PartialTensorShape({})};
      NodeMaker(&result_.graph, prefix + "once", "TensorDataset")
          .input(zero)
          .attr("Toutput_types", types)
          .attr("output_shapes", shapes);
      const std::string forever = add_const(&result_.graph, prefix + "forever", scalar_int64(-1));
      NodeMaker(&result_.graph, prefix + "repeat", "RepeatDataset")
          .input(prefix + "once")
          .input(forever)
          .attr("output_types", types)
          .attr("output_shapes", shapes);
      arguments_.push_back({{"", 0}, tf::DT_INT64});
      return prefix + "repeat";
    }
    std::vector<std::string> datasets;
    for (size_t i = 0; i < sources_.size(); ++i) datasets.push_back(dataset_of(*sources_[i], i));
    if (datasets.size() == 1) return datasets[0];
    return zipped(datasets);
  }

  std::string zipped(const std::vector<std::string>& datasets) {
    tf::DataTypeVector types;
    std::vector<tf::PartialTensorShape> shapes;
    for (const tf::NodeDef* source : sources_) {
      tf::DataTypeVector source_types;
      std::vector<tf::PartialTensorShape> source_shapes;
      throw_if_error(tf::GetNodeAttr(*source, "output_types", &source_types), "reading iterator " + source->name());
      throw_if_error(tf::GetNodeAttr(*source, "output_shapes", &source_shapes), "reading iterator " + source->name());
      types.insert(types.end(), source_types.begin(), source_types.end());
      shapes.insert(shapes.end(), source_shapes.begin(), source_shapes.end());
    }
    NodeMaker zip(&result_.graph, options_.name + "/zip", "ZipDataset");
    for (const std::string& dataset : datasets) zip.input(dataset);
    zip.attr("N", static_cast<int64_t>(datasets.size())).attr("output_types", types).attr("output_shapes", shapes);
    return zip.name();
  }

  // input_fn returns the iterator's components, all of them and in order: nothing to map.
  bool passes_elements_through() const {
    if (sources_.empty() || !captured_.empty() || arguments_.size() != input_.outputs.size()) return false;
    for (size_t i = 0; i < arguments_.size(); ++i)
      if (may_be_empty_in_batch(input_.outputs[i]) ||
          parse_tensor(input_.outputs[i].name).text() != arguments_[i].from.text())
        return false;
    return true;
  }

  std::string argument_name(const TensorRef& ref) const {
    for (size_t i = 0; i < arguments_.size(); ++i)
      if (arguments_[i].from.node == ref.node && arguments_[i].from.port == ref.port) return "arg_" + std::to_string(i);
    return "";
  }

  std::string in_body(const std::string& tensor) const {
    const TensorRef ref = parse_tensor(tensor);
    const std::string argument = argument_name(ref);
    return argument.empty() ? ref.text() : argument;
  }

  tf::GraphDef body_graph() {
    tf::GraphDef body;
    *body.mutable_library() = input_.graph.library();
    *body.mutable_versions() = input_.graph.versions();
    for (const std::string& name : captured_) arguments_.push_back({{name, 0}, tf::DT_RESOURCE});
    for (size_t i = 0; i < arguments_.size(); ++i)
      NodeMaker(&body, "arg_" + std::to_string(i), "_Arg")
          .attr("T", arguments_[i].dtype)
          .attr("index", static_cast<int64_t>(i));
    std::unordered_set<std::string> inside;
    for (const tf::NodeDef* n : body_) inside.insert(n->name());
    for (const tf::NodeDef* n : body_) {
      tf::NodeDef* copy = body.add_node();
      *copy = *n;
      copy->clear_input();
      copy->clear_device();
      copy->mutable_attr()->erase("_class");  // colocation with nodes that stay outside
      for (const std::string& in : n->input())
        if (!parse_tensor(in).is_control() || inside.count(node_of(in))) copy->add_input(in_body(in));
    }
    for (size_t i = 0; i < input_.outputs.size(); ++i) {
      std::string result = in_body(input_.outputs[i].name);
      if (may_be_empty_in_batch(input_.outputs[i])) result = checked_element(&body, result, i);
      NodeMaker(&body, "ret_" + std::to_string(i), "_Retval")
          .input(result)
          .attr("T", input_.outputs[i].dtype)
          .attr("index", static_cast<int64_t>(i));
    }
    return body;
  }

  // TensorFlow's batching cannot take tensors without values; see kernels/check_element_op.cc.
  bool may_be_empty_in_batch(const InputTensor& output) const {
    return options_.auto_batch && !(output.shape.IsFullyDefined() && output.shape.num_elements() > 0);
  }

  std::string checked_element(tf::GraphDef* body, const std::string& tensor, size_t number) const {
    const std::string name = "checked_" + std::to_string(number);
    tf::Tensor no_name(tf::DT_STRING, {});
    const std::string unnamed = add_const(body, name + "/name", no_name);
    NodeMaker(body, name, "MoxCheckElement")
        .input(tensor)
        .input(unnamed)
        .attr("T", input_.outputs[number].dtype)
        .attr("what", "output " + std::to_string(number) + " of input_fn");
    return name;
  }

  // The per-element operations as a function of the result's library.
  tf::NameAttrList per_element_function() {
    const tf::GraphDef body = body_graph();
    tf::Graph graph(tf::OpRegistry::Global());
    tf::GraphConstructorOptions construct;
    construct.allow_internal_ops = true;
    throw_if_error(tf::ConvertGraphDefToGraph(construct, body, &graph), "lifting input_fn's operations");
    const std::string name = "mox_input_" + std::to_string(tf::Hash64(body.SerializeAsString()));
    throw_if_error(tf::GraphToFunctionDef(graph, name, result_.graph.mutable_library()->add_function()),
                   "lifting input_fn's operations");
    tf::NameAttrList f;
    f.set_name(name);
    return f;
  }

  tf::DataTypeVector output_types() const {
    tf::DataTypeVector types;
    for (const InputTensor& output : input_.outputs) types.push_back(output.dtype);
    return types;
  }

  std::vector<tf::PartialTensorShape> output_shapes(bool batched) const {
    std::vector<tf::PartialTensorShape> shapes;
    for (const InputTensor& output : input_.outputs) {
      const int64_t batch = options_.drop_remainder ? options_.batch_size : -1;
      shapes.push_back(batched ? tf::PartialTensorShape({batch}).Concatenate(output.shape) : output.shape);
    }
    return shapes;
  }

  std::string batch_only(const std::string& dataset) {
    if (!options_.auto_batch) return dataset;
    const std::string prefix = options_.name + "/";
    const std::string size = add_const(&result_.graph, prefix + "batch_size", scalar_int64(options_.batch_size));
    const std::string drop = add_const(&result_.graph, prefix + "drop_remainder", scalar_bool(options_.drop_remainder));
    NodeMaker(&result_.graph, prefix + "batch", "BatchDatasetV2")
        .input(dataset)
        .input(size)
        .input(drop)
        .attr("output_types", output_types())
        .attr("output_shapes", output_shapes(true));
    return prefix + "batch";
  }

  std::string mapped(const std::string& dataset) {
    const std::string prefix = options_.name + "/";
    const tf::NameAttrList f = per_element_function();
    const std::string parallel = add_const(&result_.graph, prefix + "parallelism", scalar_int64(options_.parallelism));
    NodeMaker map(&result_.graph, prefix + "map", options_.auto_batch ? "MapAndBatchDataset" : "ParallelMapDatasetV2");
    map.input(dataset);
    for (const std::string& name : captured_) map.input(name);
    if (options_.auto_batch) {
      map.input(add_const(&result_.graph, prefix + "batch_size", scalar_int64(options_.batch_size)));
      map.input(parallel);
      map.input(add_const(&result_.graph, prefix + "drop_remainder", scalar_bool(options_.drop_remainder)));
    } else {
      map.input(parallel).attr("deterministic", "true");
    }
    // An operation of input_fn that reports OutOfRange has failed; it does not end the data.
    map.attr("preserve_cardinality", true)
        .attr("f", f)
        .attr("Targuments", tf::DataTypeVector(captured_.size(), tf::DT_RESOURCE))
        .attr("output_types", output_types())
        .attr("output_shapes", output_shapes(options_.auto_batch));
    return map.name();
  }

  void add_iterator(const std::string& dataset) {
    const std::string prefix = options_.name + "/";
    const auto types = output_types();
    const auto shapes = output_shapes(options_.auto_batch);
    const std::string ahead = add_const(&result_.graph, prefix + "buffer_size", scalar_int64(2 * options_.num_towers));
    NodeMaker(&result_.graph, prefix + "prefetch", "PrefetchDataset")
        .input(dataset)
        .input(ahead)
        .attr("output_types", types)
        .attr("output_shapes", shapes);
    std::string last = prefix + "prefetch";
    if (!sets_input_options(input_.graph))
      last = add_input_options(&result_.graph, last, {.name = prefix + "options", .types = types, .shapes = shapes});
    NodeMaker(&result_.graph, prefix + "iterator", "IteratorV2")
        .attr("shared_name", options_.name)
        .attr("container", "")
        .attr("output_types", types)
        .attr("output_shapes", shapes);
    NodeMaker(&result_.graph, prefix + "make_iterator", "MakeIterator").input(last).input(prefix + "iterator");
    result_.initializers.push_back(prefix + "make_iterator");
    std::string previous;
    for (int tower = 0; tower < options_.num_towers; ++tower) {
      NodeMaker next(&result_.graph, prefix + "get_next_" + std::to_string(tower), "IteratorGetNext");
      next.input(prefix + "iterator").attr("output_types", types).attr("output_shapes", shapes);
      // One after the other: device 0 gets the earlier batch, in every step.
      if (!previous.empty()) next.control(previous);
      previous = next.name();
      auto& names = result_.tower_inputs.emplace_back();
      for (size_t i = 0; i < types.size(); ++i) names.push_back(next.name() + ":" + std::to_string(i));
    }
    for (size_t i = 0; i < types.size(); ++i) result_.batch.push_back({input_.outputs[i].name, types[i], shapes[i]});
  }

  void keep_initializers() {
    std::vector<std::string> before;
    for (const std::string& name : input_.initializers) {
      if (made_iterators_.count(name)) continue;  // replaced by our own iterator
      keep(name);
      before.push_back(name);
    }
    result_.initializers.insert(result_.initializers.begin(), before.begin(), before.end());
  }

  void copy_kept_nodes() {
    for (const tf::NodeDef& n : input_.graph.node())
      if (kept_.count(n.name())) *result_.graph.add_node() = n;
    for (const auto& function : input_.graph.library().function())
      *result_.graph.mutable_library()->add_function() = function;
    *result_.graph.mutable_library()->mutable_gradient() = input_.graph.library().gradient();
  }

  const InputGraph& input_;
  const LiftOptions& options_;
  const NodeIndex index_;
  LiftedInput result_;
  std::vector<const tf::NodeDef*> body_, sources_;
  std::vector<std::string> captured_;
  std::vector<Argument> arguments_;
  std::set<std::string> kept_, made_iterators_;
};

}  // namespace

LiftedInput lift_input(const InputGraph& input, const LiftOptions& options) {
  check_input_memory(input, options);
  return InputLifter(input, options).lift();
}

}  // namespace mox
