// Layers of networks with batch norm whose convolutions are ours.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph_session.h"
#include "graph/node_defs.h"
#include "moxing/layers.h"
#include "passes/fast_convolutions.h"
#include "passes/fuse_batch_norm.h"
#include "passes/norm_networks.h"

namespace mox::testing {

// The weights of one seed are the same in both types, and exact.
inline Initializer weights(int seed) {
  return [seed](const Scope& s, const tf::TensorShape& shape, tf::DataType type) -> Output {
    tf::Tensor values = random_tensor(shape, seed, -4.5f, 4.5f);
    auto flat = values.flat<float>();
    for (int64_t i = 0; i < flat.size(); ++i) flat(i) = std::round(flat(i)) / 8;
    return ops::Cast(s, ops::Const(s, tf::Input::Initializer(values)), type);
  };
}

inline Output conv(const Scope& s, const Output& x, int filters, const std::string& name, int stride = 1,
                   int size = 1) {
  layers::Conv2dOptions options;
  options.stride = stride;
  options.activation = nullptr;
  options.use_bias = false;
  options.weights_initializer = weights(static_cast<int>(name.size()) + filters);
  return layers::conv2d(s, x, filters, size, name, options);
}

inline Output depthwise(const Scope& s, const Output& x, const std::string& name, int stride = 1) {
  layers::SeparableConv2dOptions options;
  options.stride = stride;
  options.activation = nullptr;
  options.use_bias = false;
  options.weights_initializer = weights(static_cast<int>(name.size()));
  return layers::depthwise_conv2d(s, x, 3, name, options);
}

// `gamma` 8: so that ReLU6 has something to cut off.
inline Output norm(const Scope& s, const Output& x, const std::string& name, float gamma = 1.25f) {
  layers::BatchNormOptions options;
  options.scale = true;
  options.fused = true;
  options.gamma_initializer = constant_initializer(gamma);
  return layers::batch_norm(s, x, name, options);
}

// The offsets are no 0, since what a convolution gives here often is its mean to the last bit: on which side of the
// ReLU that is would be an accident.
inline Model model_of(const std::vector<int>& shape, tf::DataType type, const Network& network,
                      const std::vector<int>& y_shape = {}, float mean = 0) {
  Model model = build(shape, type, network, {.mean = mean, .y_shape = y_shape, .random = true});
  std::vector<std::pair<std::string, tf::TensorShape>> offsets;  // node of the value, of which shape
  for (const tf::NodeDef& node : model.graph.node())
    if (node.op() == "VarHandleOp" && node.name().ends_with("/beta"))
      offsets.emplace_back(node.name() + "/value", node.attr().at("shape").shape());
  EXPECT_FALSE(offsets.empty());
  for (tf::NodeDef& node : *model.graph.mutable_node())
    if (node.op() == "AssignVariableOp" && node.input(0).ends_with("/beta"))
      node.set_input(1, node.input(0) + "/value");
  for (const auto& [name, shape_of_value] : offsets) {
    tf::Tensor value(tf::DT_FLOAT, shape_of_value);
    value.flat<float>().setConstant(0.0371f);
    NodeMaker(&model.graph, name, "Const").attr("dtype", tf::DT_FLOAT).attr("value", value);
  }
  return model;
}

// Ours, each on its own.
inline void take(Model* model) {
  fuse_batch_norm(&model->graph);
  take_lone_batch_norms(&model->graph);
  make_convolutions_fast(&model->graph);
}

inline int count_of(const tf::GraphDef& graph, const std::string& op) {
  return static_cast<int>(std::count_if(graph.node().begin(), graph.node().end(),
                                        [&](const tf::NodeDef& node) { return node.op() == op; }));
}

}  // namespace mox::testing
