// Graphs of MoxConvolution and its gradients, for tests.
#pragma once

#include <gtest/gtest.h>

#include "convolutions/convolution.h"
#include "graph/graph_session.h"
#include "graph/node_defs.h"
#include "tensorflow/core/common_runtime/graph_constructor.h"
#include "tensorflow/core/common_runtime/shape_refiner.h"
#include "tensorflow/core/graph/graph.h"
#include "tensorflow/core/public/session.h"

namespace mox::kernels::testing {

namespace tf = tensorflow;
using Feeds = GraphSession::Feeds;

enum Kind { kForward, kInputGradient, kFilterGradient };
constexpr Kind kKinds[] = {kForward, kInputGradient, kFilterGradient};
constexpr const char* kOurs[] = {"MoxConvolution", "MoxConvolutionInputGradient", "MoxConvolutionFilterGradient"};
constexpr const char* kTheirs[] = {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"};

struct Call {
  Kind kind = kForward;
  tf::DataType type = tf::DT_FLOAT;
  int64_t stride = 1;
  std::string padding = "SAME";
  int num_bias = 0;
  std::string activation;
  bool is_filter_const = false;
  tf::DataType gradient = type;        // of a filter
  bool compact = false;                // the gradient of an input
  std::vector<int64_t> paddings = {};  // with padding EXPLICIT: above, below, left and right

  std::vector<int64_t> explicit_paddings() const {
    if (paddings.empty()) return {};
    return {0, 0, paddings[0], paddings[1], paddings[2], paddings[3], 0, 0};
  }
};

// Placeholders "in0" to "in2", float32 or sizes, to "ours"; nothing is known of their shapes, so that the operation
// itself sees what is wrong. `shapes`, if given, are known.
inline tf::GraphDef ours(const Call& call, const std::vector<tf::PartialTensorShape>& shapes = {}) {
  tf::GraphDef graph;
  const int sizes_at = call.kind == kInputGradient ? 0 : call.kind == kFilterGradient ? 1 : -1;
  const int inputs = call.kind == kForward ? 2 + call.num_bias : 3;
  for (int i = 0; i < inputs; ++i) {
    const std::string name = "in" + std::to_string(i);
    NodeMaker(&graph, name, "Placeholder")
        .attr("dtype", i == sizes_at ? tf::DT_INT32 : tf::DT_FLOAT)
        .attr("shape", shapes.empty() ? tf::PartialTensorShape() : shapes[i]);
    if (i != sizes_at)
      NodeMaker(&graph, name + "/T", "Cast").input(name).attr("SrcT", tf::DT_FLOAT).attr("DstT", call.type);
  }
  NodeMaker node(&graph, "node", kOurs[call.kind]);
  for (int i = 0; i < inputs; ++i) node.input("in" + std::to_string(i) + (i == sizes_at ? "" : "/T"));
  node.attr("T", call.type).attr("stride", call.stride).attr("padding", call.padding);
  node.attr("explicit_paddings", call.explicit_paddings());
  if (call.kind == kForward)
    node.attr("num_bias", call.num_bias)
        .attr("activation", call.activation)
        .attr("is_filter_const", call.is_filter_const);
  if (call.kind == kInputGradient) node.attr("compact", call.compact);
  if (call.kind == kFilterGradient) node.attr("Tdfilter", call.gradient);
  NodeMaker(&graph, "ours", "Cast")
      .input("node")
      .attr("SrcT", call.kind == kFilterGradient ? call.gradient : call.type)
      .attr("DstT", tf::DT_FLOAT);
  return graph;
}

inline tf::Tensor sizes_of(const tf::TensorShape& shape) {
  tf::Tensor sizes(tf::DT_INT32, {shape.dims()});
  for (int i = 0; i < shape.dims(); ++i) sizes.vec<int32_t>()(i) = static_cast<int32_t>(shape.dim_size(i));
  return sizes;
}

inline absl::Status run(const tf::GraphDef& graph, const Feeds& feeds, const std::vector<std::string>& fetches,
                        std::vector<tf::Tensor>* out, int threads = 0, bool optimize = true) {
  tf::SessionOptions options;
  options.config.mutable_graph_options()->mutable_rewrite_options()->set_disable_meta_optimizer(!optimize);
  options.config.set_intra_op_parallelism_threads(threads);
  options.config.set_use_per_session_threads(true);
  const std::unique_ptr<tf::Session> session(tf::NewSession(options));
  if (absl::Status status = session->Create(graph); !status.ok()) return status;
  return session->Run(feeds, fetches, {}, out);
}

// The shape of an output of "node" before a step runs; what is wrong where it is no valid graph.
inline std::string shape_of(const tf::GraphDef& def, int output = 0) {
  tf::Graph graph(tf::OpRegistry::Global());
  tf::ShapeRefiner refiner(def.versions(), graph.op_registry());
  if (const absl::Status status = tf::ImportGraphDef({}, def, &graph, &refiner); !status.ok())
    return std::string(status.message());
  for (const tf::Node* node : graph.nodes())
    if (node->name() == "node") {
      auto* context = refiner.GetContext(node);
      return context->DebugString(context->output(output));
    }
  return "no node";
}

class ConvolutionOps : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!convolutions::convolution_loops()) GTEST_SKIP() << "this processor has neither AVX2 nor AVX-512";
  }
};

}  // namespace mox::kernels::testing
