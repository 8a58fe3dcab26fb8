#include "data/dataset_graph.h"

#include <atomic>

#include "graph/graph_state.h"
#include "moxing/error.h"
#include "tensorflow/cc/ops/array_ops.h"
#include "tensorflow/core/framework/dataset_options.pb.h"
#include "tensorflow/core/framework/graph_to_functiondef.h"

namespace mox::data {

namespace tf = tensorflow;
using NodeOut = tf::NodeBuilder::NodeOut;

tf::Node* add_node(const Scope& scope, tf::NodeBuilder& builder) {
  scope.UpdateBuilder(&builder);
  tf::Node* node = nullptr;
  throw_if_error(builder.Finalize(scope.graph(), &node), "building the input pipeline");
  throw_if_error(scope.DoShapeInference(node), "building the input pipeline");
  return node;
}

namespace {

tf::NodeBuilder builder_for(const Scope& scope, const char* op) {
  return tf::NodeBuilder(scope.GetUniqueNameForOp(op), op);
}

template <typename T>
tf::Output constant(const Scope& scope, T value) {
  return tf::ops::Const(scope, value);
}

NodeOut out(const tf::Output& output) { return NodeOut(output.node(), output.index()); }

std::vector<NodeOut> outs(const std::vector<tf::Output>& outputs) {
  std::vector<NodeOut> result;
  for (const auto& output : outputs) result.push_back(out(output));
  return result;
}

tf::PartialTensorShape partial_shape(const Scope& scope, const tf::Output& output) {
  auto* context = scope.state().refiner.GetContext(output.node());
  if (!context) return {};
  auto handle = context->output(output.index());
  if (!context->RankKnown(handle)) return {};
  std::vector<int64_t> sizes;
  for (int i = 0; i < context->Rank(handle); ++i) {
    auto dim = context->Dim(handle, i);
    sizes.push_back(context->ValueKnown(dim) ? context->Value(dim) : -1);
  }
  return tf::PartialTensorShape(sizes);
}

std::vector<tf::DataType> types_of(const std::vector<tf::Output>& outputs) {
  std::vector<tf::DataType> types;
  for (const auto& output : outputs) types.push_back(output.type());
  return types;
}

}  // namespace

DatasetNode dataset_op(const Scope& scope, const DatasetNode* input, const OpSpec& spec) {
  DatasetNode node{{}, spec.types, spec.shapes};
  if (input && spec.types.empty()) {
    node.types = input->types;
    node.shapes = input->shapes;
  }
  auto builder = builder_for(scope, spec.op);
  if (input) builder.Input(out(input->variant));
  for (const auto& extra : spec.inputs) builder.Input(out(extra));
  const tf::OpDef* def = nullptr;
  throw_if_error(tf::OpRegistry::Global()->LookUpOpDef(spec.op, &def), "building the input pipeline");
  for (const auto& attr : def->attr()) {
    if (attr.name() == "output_types") builder.Attr("output_types", node.types);
    if (attr.name() == "output_shapes") builder.Attr("output_shapes", node.shapes);
  }
  node.variant = tf::Output(add_node(scope, builder), 0);
  return node;
}

DatasetNode range(const Scope& scope, const tf::Input& begin, const tf::Input& end, int64_t step) {
  const auto tensor = [&](const tf::Input& input) {
    return input.node() ? tf::Output(input.node(), input.index()) : tf::ops::Const(scope, input.tensor());
  };
  return dataset_op(scope, nullptr,
                    {.op = "RangeDataset",
                     .inputs = {tensor(begin), tensor(end), constant(scope, step)},
                     .types = {tf::DT_INT64},
                     .shapes = {tf::PartialTensorShape(std::vector<int64_t>{})}});
}

DatasetNode tensor_slices(const Scope& scope, const std::vector<tf::Output>& components) {
  DatasetNode node;
  for (const auto& component : components) {
    tf::PartialTensorShape shape = partial_shape(scope, component);
    if (!shape.unknown_rank()) shape.RemoveDim(0);
    node.types.push_back(component.type());
    node.shapes.push_back(shape);
  }
  auto builder = builder_for(scope, "TensorSliceDataset");
  builder.Input(outs(components)).Attr("Toutput_types", node.types).Attr("output_shapes", node.shapes);
  node.variant = tf::Output(add_node(scope, builder), 0);
  return node;
}

DatasetNode shuffle(const Scope& scope, const DatasetNode& input, const tf::Output& buffer_size, const tf::Output& seed,
                    const tf::Output& seed2) {
  auto builder = builder_for(scope, "ShuffleDataset");  // V1: seeds are plain numbers, no generator resource
  builder.Input(out(input.variant))
      .Input(out(buffer_size))
      .Input(out(seed))
      .Input(out(seed2))
      .Attr("reshuffle_each_iteration", false)
      .Attr("output_types", input.types)
      .Attr("output_shapes", input.shapes);
  return {tf::Output(add_node(scope, builder), 0), input.types, input.shapes};
}

DatasetNode batch(const Scope& scope, const DatasetNode& input, int64_t size, bool drop_remainder) {
  std::vector<tf::PartialTensorShape> shapes;
  for (const auto& shape : input.shapes)
    shapes.push_back(tf::PartialTensorShape({drop_remainder ? size : -1}).Concatenate(shape));
  return dataset_op(scope, &input,
                    {.op = "BatchDatasetV2",
                     .inputs = {constant(scope, size), constant(scope, drop_remainder)},
                     .types = input.types,
                     .shapes = shapes});
}

DatasetNode unbatch(const Scope& scope, const DatasetNode& input) {
  std::vector<tf::PartialTensorShape> shapes;
  for (tf::PartialTensorShape shape : input.shapes) {
    shape.RemoveDim(0);
    shapes.push_back(shape);
  }
  return dataset_op(scope, &input, {.op = "UnbatchDataset", .inputs = {}, .types = input.types, .shapes = shapes});
}

DatasetNode prefetch(const Scope& scope, const DatasetNode& input, int64_t elements) {
  return dataset_op(scope, &input,
                    {.op = "PrefetchDataset", .inputs = {constant(scope, elements)}, .types = {}, .shapes = {}});
}

DatasetNode private_threads(const Scope& scope, const DatasetNode& input, int64_t threads) {
  return dataset_op(
      scope, &input,
      {.op = "PrivateThreadPoolDataset", .inputs = {constant(scope, threads)}, .types = {}, .shapes = {}});
}

DatasetNode unrewritten(const Scope& scope, const DatasetNode& input) {
  tf::data::Options options;
  options.mutable_optimization_options()->set_apply_default_optimizations(false);
  auto builder = builder_for(scope, "OptionsDataset");
  builder.Input(out(input.variant))
      .Attr("serialized_options", options.SerializeAsString())
      .Attr("output_types", input.types)
      .Attr("output_shapes", input.shapes);
  return {tf::Output(add_node(scope, builder), 0), input.types, input.shapes};
}

BodyFunction add_function(const Scope& scope, const DatasetNode& input, const MapBody& body,
                          const std::vector<tf::Output>& captured) {
  Scope inner = Scope::new_root();
  inner.state().seed = scope.state().seed == 0 ? 0 : scope.next_seed().first + scope.next_seed().second;
  std::vector<tf::Output> args;
  auto add_arg = [&](tf::DataType type, const tf::PartialTensorShape& shape) {
    auto builder = builder_for(inner, "_Arg");
    builder.Attr("T", type).Attr("index", static_cast<int>(args.size()));
    tf::Node* node = add_node(inner, builder);
    auto* context = inner.state().refiner.GetContext(node);
    tf::shape_inference::ShapeHandle handle;
    throw_if_error(context->MakeShapeFromPartialTensorShape(shape, &handle), "building the input pipeline");
    context->set_output(0, handle);
    args.emplace_back(node, 0);
  };
  for (size_t i = 0; i < input.types.size(); ++i) add_arg(input.types[i], input.shapes[i]);
  for (const auto& tensor : captured) add_arg(tensor.type(), partial_shape(scope, tensor));
  const auto split = args.begin() + static_cast<std::ptrdiff_t>(input.types.size());
  const auto results = body(inner, {args.begin(), split}, {split, args.end()});
  check(inner, "building a function of the input pipeline");
  if (!inner.state().variables.empty())
    throw InvalidArgumentError("a function of the input pipeline made the variable " + inner.state().variables[0].name +
                               "; variables belong to model_fn");

  BodyFunction function;
  for (size_t i = 0; i < results.size(); ++i) {
    auto builder = builder_for(inner, "_Retval");
    builder.Input(out(results[i])).Attr("T", results[i].type()).Attr("index", static_cast<int>(i));
    add_node(inner, builder);
    function.types.push_back(results[i].type());
    function.shapes.push_back(partial_shape(inner, results[i]));
  }
  // The name counts over the process: two graphs may meet in one session.
  static std::atomic<int64_t> count{0};
  function.name = "mox_data_" + std::to_string(++count);
  tf::FunctionDefLibrary library = inner.graph()->flib_def().ToProto();
  tf::FunctionDef* def = library.add_function();
  throw_if_error(tf::GraphToFunctionDef(*inner.graph(), function.name, def),
                 "building a function of the input pipeline");
  throw_if_error(scope.graph()->AddFunctionLibrary(library), "building the input pipeline");
  return function;
}

DatasetNode map(const Scope& scope, const DatasetNode& input, const MapBody& body, const MapOptions& options) {
  if (options.in_asking_thread && options.parallel > 0)
    throw InvalidArgumentError("a map of a data set: parallel is " + std::to_string(options.parallel) +
                               ", and in_asking_thread is true; expected one of the two");
  const BodyFunction function = add_function(scope, input, body, options.captured);
  tf::NameAttrList f;
  f.set_name(function.name);
  auto builder = builder_for(scope, options.parallel > 0 ? "ParallelMapDatasetV2" : "MapDataset");
  builder.Input(out(input.variant)).Input(outs(options.captured));
  if (options.parallel > 0)
    builder.Input(out(constant(scope, options.parallel)))
        .Attr("deterministic", options.deterministic ? "true" : "false");
  // An operation of the function that reports OutOfRange has failed; it does not end the data.
  builder.Attr("preserve_cardinality", true)
      .Attr("use_inter_op_parallelism", !options.in_asking_thread)
      .Attr("f", f)
      .Attr("Targuments", types_of(options.captured))
      .Attr("output_types", function.types)
      .Attr("output_shapes", function.shapes);
  return {tf::Output(add_node(scope, builder), 0), function.types, function.shapes};
}

DatasetNode rows_of(const Scope& scope, const DatasetNode& numbers, const MapOptions& columns) {
  return map(
      scope, numbers,
      [](const Scope& s, const std::vector<tf::Output>& element, const std::vector<tf::Output>& tensors) {
        std::vector<tf::Output> outputs;
        for (const tf::Output& tensor : tensors) outputs.push_back(tf::ops::GatherV2(s, tensor, element[0], 0));
        return outputs;
      },
      columns);
}

DatasetNode flat_map(const Scope& scope, const DatasetNode& input, const FlatMapBody& body,
                     const std::vector<tf::Output>& captured) {
  DatasetNode inner;
  const MapBody make = [&](const Scope& s, const std::vector<tf::Output>& element,
                           const std::vector<tf::Output>& tensors) {
    inner = body(s, element, tensors);
    return std::vector<tf::Output>{inner.variant};
  };
  tf::NameAttrList f;
  f.set_name(add_function(scope, input, make, captured).name);
  auto builder = builder_for(scope, "FlatMapDataset");
  builder.Input(out(input.variant))
      .Input(outs(captured))
      .Attr("f", f)
      .Attr("Targuments", types_of(captured))
      .Attr("output_types", inner.types)
      .Attr("output_shapes", inner.shapes);
  return {tf::Output(add_node(scope, builder), 0), inner.types, inner.shapes};
}

tf::Output not_empty(const Scope& scope, const tf::Output& element, const tf::Output& name, const std::string& what) {
  const tf::PartialTensorShape shape = partial_shape(scope, element);
  if (shape.IsFullyDefined() && shape.num_elements() > 0) return element;
  auto builder = builder_for(scope, "MoxCheckElement");
  builder.Input(out(element)).Input(out(name)).Attr("what", what);
  return tf::Output(add_node(scope, builder), 0);
}

tf::Output fed_tensor(const Scope& scope, const std::string& name, const tf::Tensor& value) {
  auto builder = tf::NodeBuilder(scope.GetUniqueNameForOp(name), "Placeholder");
  // Rows are left open: TensorFlow's optimizer makes a tensor of a placeholder's full shape, and keeps its memory.
  tf::PartialTensorShape shape(value.shape());
  if (shape.dims() > 0) shape.set_dim(0, -1);
  builder.Attr("dtype", value.dtype()).Attr("shape", shape);
  tf::Node* node = add_node(scope, builder);
  scope.state().iterator_feeds.emplace_back(node->name(), value);
  return tf::Output(node, 0);
}

std::vector<tf::Output> iterate(const Scope& scope, const DatasetNode& input) {
  auto iterator = builder_for(scope, "IteratorV2");
  // Resources outlive a session on a cluster's server: the name counts over the process.
  static std::atomic<int64_t> count{0};
  iterator.Attr("shared_name", "mox_iterator_" + std::to_string(++count))
      .Attr("container", "")
      .Attr("output_types", input.types)
      .Attr("output_shapes", input.shapes);
  tf::Node* handle = add_node(scope, iterator);
  auto make = builder_for(scope, "MakeIterator");
  make.Input(out(input.variant)).Input(handle);
  scope.state().iterator_initializers.push_back(add_node(scope, make)->name());
  auto next = builder_for(scope, "IteratorGetNext");
  next.Input(handle).Attr("output_types", input.types).Attr("output_shapes", input.shapes);
  tf::Node* node = add_node(scope, next);
  std::vector<tf::Output> outputs;
  for (size_t i = 0; i < input.types.size(); ++i) outputs.emplace_back(node, static_cast<int>(i));
  return outputs;
}

}  // namespace mox::data
