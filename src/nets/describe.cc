#include <set>

#include "moxing/error.h"
#include "moxing/network_description.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

int64_t product(const std::vector<int64_t>& shape, size_t from = 0) {
  int64_t result = 1;
  for (size_t i = from; i < shape.size(); ++i) result *= shape[i];
  return result;
}

// Names of the variables that a regularization loss reads: weight_decay * L2Loss(read(variable)), or of the
// concatenation of several.
std::set<std::string> regularized_variables(const Scope& scope) {
  std::set<std::string> names;
  for (const tf::Output& loss : get_collection(scope, collections::kRegularizationLosses)) {
    const tf::Operation l2 = loss.op().input(0).op();
    const tf::Operation value = l2.input(0).op();
    if (value.node()->type_string() != "ConcatV2") {
      names.insert(value.input(0).node()->name());
      continue;
    }
    for (int i = 0; i + 1 < value.num_inputs(); ++i) names.insert(value.input(i).op().input(0).node()->name());
  }
  return names;
}

// Multiply-adds for one image: elements of the result times the length of the sum that each is.
int64_t multiply_adds(const Scope& scope, tf::Node& node, const std::vector<int64_t>& result) {
  const std::string& type = node.type_string();
  const std::vector<int64_t> w = static_shape(scope, tf::Operation(&node).input(1));
  const int64_t elements = product(result, 1);
  if (type == "Conv2D") return elements * w[0] * w[1] * w[2];
  if (type == "DepthwiseConv2dNative") return elements * w[0] * w[1];
  return elements * w[0];  // MatMul
}

bool is_layer(const tf::Node& node) {
  static const std::set<std::string> kTypes = {"Conv2D", "DepthwiseConv2dNative", "MatMul", "MaxPool", "AvgPool"};
  return kTypes.count(node.type_string()) > 0;
}

void add_layers(const Scope& scope, NetworkDescription& description) {
  for (tf::Node* node : scope.graph()->op_nodes()) {
    if (!is_layer(*node)) continue;
    NetworkDescription::Layer layer;
    layer.name = node->name();
    layer.type = node->type_string();
    layer.shape = static_shape(scope, tf::Output(node, 0));
    if (layer.type != "MaxPool" && layer.type != "AvgPool")
      layer.multiply_adds = multiply_adds(scope, *node, layer.shape);
    description.multiply_adds += layer.multiply_adds;
    description.layers.push_back(std::move(layer));
  }
}

}  // namespace

NetworkDescription describe_network(const std::string& name, const DescribeOptions& options) {
  NetworkDescription description;
  description.name = name;
  description.meta = get_model_meta(name);
  const bool small = description.meta.default_image_size <= 32;
  description.num_classes = options.num_classes > 0 ? options.num_classes : (small ? 10 : 1000);
  const int size = options.image_size > 0 ? options.image_size : description.meta.default_image_size;
  const Scope root = Scope::new_root();
  const tf::Output images =
      ops::Placeholder(root.WithOpName("images"), tf::DT_FLOAT,
                       ops::Placeholder::Shape({options.batch_size, size, size, description.meta.default_channels}));
  const NetworkFn network =
      get_model_fn(name, options.mode, description.num_classes,
                   {.weight_decay = 1, .data_format = options.data_format, .batch_norm_fused = true});
  const NetworkOutput output = network(root, images);
  const std::set<std::string> regularized = regularized_variables(root);
  for (const Variable& v : global_variables(root)) {
    NetworkDescription::VariableInfo info{v.name, {}, v.trainable, regularized.count(v.name) > 0};
    for (int i = 0; i < v.shape.dims(); ++i) info.shape.push_back(v.shape.dim_size(i));
    if (v.trainable) description.parameters += product(info.shape);
    description.variables.push_back(std::move(info));
  }
  for (const auto& [key, tensor] : output.end_points)
    description.end_points.push_back({key, static_shape(root, tensor)});
  add_layers(root, description);
  return description;
}

}  // namespace mox
