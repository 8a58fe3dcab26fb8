// Networks with batch norm behind convolutions, and their values, for tests of folding.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graph/graph_session.h"
#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "moxing/layers.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox::folding {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tensorflow::Output;
using Values = std::vector<std::pair<std::string, tf::Tensor>>;
using Network = std::function<Output(const Scope&, const Output&)>;

// "images" to "output"; variables have numbers in which nothing cancels.
struct Model {
  BuiltGraph built;
  Values values;
  tf::TensorShape images;
};

// In layers that follow each other the images keep about their size.
inline tf::Tensor value_of(const Variable& variable, int seed) {
  if (variable.name.ends_with("moving_variance")) return random_tensor(variable.shape, seed, 0.5f, 1.5f);
  if (variable.name.ends_with("gamma")) return random_tensor(variable.shape, seed, 0.5f, 1);
  if (variable.shape.dims() < 2) return random_tensor(variable.shape, seed, -0.3f, 0.3f);
  const bool depthwise = variable.name.ends_with("depthwise_weights");
  double inputs = 1;
  for (int i = 0; i < variable.shape.dims() - (depthwise ? 2 : 1); ++i) inputs *= variable.shape.dim_size(i);
  const auto limit = static_cast<float>(std::sqrt(6 / inputs));
  return random_tensor(variable.shape, seed, -limit, limit);
}

inline Model build(const Network& network, const std::vector<int64_t>& shape, ModeKeys mode = ModeKeys::PREDICT,
                   tf::DataType type = tf::DT_FLOAT) {
  const Scope s = Scope::new_root();
  const Output images =
      ops::Placeholder(s.WithOpName("images"), tf::DT_FLOAT, ops::Placeholder::Shape(tf::PartialTensorShape(shape)));
  const Scope inner = type == tf::DT_FLOAT ? s : s.var_scope(tf::DT_FLOAT);
  const Output narrow = type == tf::DT_FLOAT ? images : Output(ops::Cast(s, images, type));
  const Output y = network(inner, narrow);
  ops::Cast(s.WithOpName("output"), y, tf::DT_FLOAT);
  check(s, "test");
  Model model;
  model.built.mode = mode;
  model.images = tf::TensorShape(shape);
  s.graph()->ToGraphDef(&model.built.graph);
  int seed = 1;
  for (const Variable& v : s.state().variables) {
    model.built.variables.push_back({v.name, v.handle.node()->name(), v.initializer.node()->name(), v.dtype, v.shape});
    model.values.emplace_back(v.name, value_of(v, seed++));
  }
  if (mode == ModeKeys::EXPORT)
    model.built.export_info.signatures = {{"serving_default", {{"images", "images:0"}}, {{"output", "output:0"}}}};
  return model;
}

inline std::vector<tf::Tensor> run(const Model& model, const tf::Tensor& images,
                                   const std::vector<std::string>& fetches = {"output"}) {
  tf::GraphDef graph = model.built.graph;
  std::vector<std::string> assigns;
  std::vector<std::pair<std::string, tf::Tensor>> feeds;
  for (size_t i = 0; i < model.values.size(); ++i) {
    const std::string name = "test_value_" + std::to_string(i);
    NodeMaker(&graph, name, "Placeholder").attr("dtype", tf::DT_FLOAT).attr("shape", tf::PartialTensorShape());
    NodeMaker(&graph, name + "/assign", "AssignVariableOp")
        .input(model.built.variables[i].handle)
        .input(name)
        .attr("dtype", tf::DT_FLOAT);
    feeds.emplace_back(name, model.values[i].second);
    assigns.push_back(name + "/assign");
  }
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  TF_CHECK_OK(session->Run(feeds, {}, assigns, nullptr));
  std::vector<tf::Tensor> outputs;
  for (int step = 0; step < 2; ++step) TF_CHECK_OK(session->Run({{"images", images}}, fetches, {}, &outputs));
  return outputs;
}

inline int count_of(const tf::GraphDef& graph, const std::string& op) {
  return static_cast<int>(std::count_if(graph.node().begin(), graph.node().end(),
                                        [&](const tf::NodeDef& node) { return node.op() == op; }));
}

inline layers::BatchNormOptions norm_options(bool fused, bool scale = true, bool center = true) {
  return {.center = center, .scale = scale, .is_training = false, .fused = fused};
}

inline Network convolution(const layers::BatchNormOptions& norm, bool depthwise = false) {
  return [=](const Scope& s, const Output& x) {
    if (depthwise)
      return layers::depthwise_conv2d(s, x, 3, "conv",
                                      {.depth_multiplier = 2, .normalizer = layers::batch_normalizer(norm)});
    return layers::conv2d(s, x, 12, 3, "conv", {.normalizer = layers::batch_normalizer(norm)});
  };
}

inline const std::vector<int64_t> kShape = {2, 9, 7, 5};

}  // namespace mox::folding
