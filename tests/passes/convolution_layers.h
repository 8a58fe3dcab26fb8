// What tests of passes/fast_convolutions.h share: a convolution and its gradients as TensorFlow's nodes, and questions
// about nodes.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "graph/graph_session.h"
#include "graph/node_defs.h"
#include "moxing/moxing.h"
#include "passes/processor.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox::testing {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tf::Output;

class FastConvolutions : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_vectors()) GTEST_SKIP() << "this processor has no AVX2";
  }
};

struct Layer {
  std::vector<int64_t> filter = {3, 3, 16, 32};
  int stride = 1;
  std::string padding = "SAME";
  tf::DataType type = tf::DT_FLOAT;
  int width_stride = 0;  // another one
  int dilation = 1;
  std::string format = "NHWC";
  bool known_filter = true;
  int64_t groups = 1;  // the image has so many times the filter's channels, as TensorFlow's own groups have it
};

// "conv" of "x" with the variable "w", its gradients "dx" and "dw".
inline tf::GraphDef convolution(const Layer& layer) {
  const Scope s = Scope::new_root();
  const bool nhwc = layer.format == "NHWC";
  const int64_t channels = layer.filter[2] * layer.groups;
  const tf::TensorShape shape = nhwc ? tf::TensorShape{2, 9, 12, channels} : tf::TensorShape{2, channels, 9, 12};
  const auto x =
      ops::Cast(s.WithOpName("x"), ops::Const(s, tf::Input::Initializer(random_tensor(shape, 1))), layer.type);
  const Output w32 = layer.known_filter ? s.get_variable("w", tf::TensorShape(layer.filter))
                                        : Output(ops::Placeholder(s.WithOpName("w"), tf::DT_FLOAT));
  const auto w = ops::Cast(s.WithOpName("w/T"), w32, layer.type);
  const int across = layer.width_stride ? layer.width_stride : layer.stride, d = layer.dilation;
  const std::vector<int> strides =
      nhwc ? std::vector<int>{1, layer.stride, across, 1} : std::vector<int>{1, 1, layer.stride, across};
  const std::vector<int> dilations = nhwc ? std::vector<int>{1, d, d, 1} : std::vector<int>{1, 1, d, d};
  const std::vector<int> pads =
      layer.padding == "EXPLICIT" ? std::vector<int>{0, 0, 1, 1, 1, 1, 0, 0} : std::vector<int>{};
  const auto y = ops::Conv2D(s.WithOpName("conv"), x, w, strides, layer.padding,
                             ops::Conv2D::Dilations(dilations).DataFormat(layer.format).ExplicitPaddings(pads));
  std::vector<Output> gradients;
  TF_CHECK_OK(tf::AddSymbolicGradients(s, {ops::Mul(s, y, y)}, {x, w}, &gradients));
  ops::Identity(s.WithOpName("dx"), gradients[0]);
  ops::Identity(s.WithOpName("dw"), gradients[1]);
  check(s, "test");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  for (tf::NodeDef& node : *graph.mutable_node())  // TensorFlow's C++ gradients forget it
    if (node.op().rfind("Conv2DBackprop", 0) == 0) {
      tf::SetAttrValue(std::vector<int64_t>{1, d, d, 1}, &(*node.mutable_attr())["dilations"]);
      tf::SetAttrValue(pads, &(*node.mutable_attr())["explicit_paddings"]);
    }
  return graph;
}

inline int count_of(const tf::GraphDef& graph, const std::string& prefix) {
  return static_cast<int>(std::count_if(graph.node().begin(), graph.node().end(),
                                        [&](const tf::NodeDef& node) { return node.op().rfind(prefix, 0) == 0; }));
}

inline const tf::NodeDef& node_of(const tf::GraphDef& graph, const std::string& name) {
  for (const tf::NodeDef& node : graph.node())
    if (node.name() == name) return node;
  ADD_FAILURE() << "no node " << name;
  return graph.node(0);
}

inline std::set<std::string> inputs_of(const tf::GraphDef& graph, const std::string& name) {
  const auto& inputs = node_of(graph, name).input();
  return {inputs.begin(), inputs.end()};
}

}  // namespace mox::testing
