// Graphs whose inputs come from operations, for tests of what works in place, and what tests of batch norm compare.
#pragma once

#include <cmath>
#include <cstring>
#include <map>

#include "kernels/convolution_graphs.h"

namespace mox::kernels::testing {

// A step of `graph` in a session of its own without TensorFlow's optimizers. `metadata`, if given: of all its outputs.
inline absl::Status run_plainly(const tf::GraphDef& graph, const Feeds& feeds, const std::vector<std::string>& fetches,
                                std::vector<tf::Tensor>* out, int threads = 0, tf::RunMetadata* metadata = nullptr) {
  tf::SessionOptions options;
  options.config.mutable_graph_options()->mutable_rewrite_options()->set_disable_meta_optimizer(true);
  options.config.mutable_graph_options()->mutable_optimizer_options()->set_opt_level(tf::OptimizerOptions::L0);
  options.config.set_intra_op_parallelism_threads(threads);
  options.config.set_use_per_session_threads(true);
  const std::unique_ptr<tf::Session> session(tf::NewSession(options));
  if (absl::Status status = session->Create(graph); !status.ok()) return status;
  if (!metadata) return session->Run(feeds, fetches, {}, out);
  tf::RunOptions traced;
  traced.set_trace_level(tf::RunOptions::FULL_TRACE);
  return session->Run(traced, feeds, fetches, {}, out, metadata);
}

// Where outputs of a step lay: "node:0" and so on.
inline std::map<std::string, uint64_t> places_of(const tf::RunMetadata& metadata) {
  std::map<std::string, uint64_t> places;
  for (const auto& device : metadata.step_stats().dev_stats())
    for (const auto& node : device.node_stats())
      for (const auto& output : node.output())
        places[node.node_name() + ":" + std::to_string(output.slot())] =
            output.tensor_description().allocation_description().ptr();
  return places;
}

// Placeholder `name` of float32, and "name/T": minus it, as `type`. Feed `negated`. Who reads "name/T" alone may write
// there.
inline std::string add_input(tf::GraphDef* graph, const std::string& name, tf::DataType type) {
  NodeMaker(graph, name, "Placeholder").attr("dtype", tf::DT_FLOAT).attr("shape", tf::PartialTensorShape());
  NodeMaker(graph, name + "/cast", "Cast").input(name).attr("SrcT", tf::DT_FLOAT).attr("DstT", type);
  NodeMaker(graph, name + "/T", "Neg").input(name + "/cast").attr("T", type);
  return name + "/T";
}
inline tf::Tensor negated(const tf::Tensor& of) {
  tf::Tensor to(tf::DT_FLOAT, of.shape());
  to.flat<float>() = -of.flat<float>();
  return to;
}

// "tensor" as float32: the name of it.
inline std::string add_float(tf::GraphDef* graph, const std::string& name, const std::string& tensor,
                             tf::DataType type) {
  NodeMaker(graph, name, "Cast").input(tensor).attr("SrcT", type).attr("DstT", tf::DT_FLOAT);
  return name;
}

// Of float32; NaNs and zeros of either sign as well.
inline bool same_bits(const tf::Tensor& a, const tf::Tensor& b) {
  return a.shape() == b.shape() && a.tensor_data() == b.tensor_data();
}

}  // namespace mox::kernels::testing
