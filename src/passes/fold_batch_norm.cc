#include "passes/fold_batch_norm.h"

#include "base/environment.h"
#include "graph/node_defs.h"
#include "passes/joined.h"
#include "passes/norm_behind_convolution.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kSwitch[] = "MOX_FOLD_BATCH_NORM";

void fold(tf::GraphDef* graph, const NormBehindConvolution& found) {
  const std::string name = found.norm->name() + "/folded", &device = found.convolution->device();
  const std::vector<std::pair<const char*, const std::string*>> optional = {
      {"bias", &found.bias}, {"scale", &found.scale}, {"offset", &found.offset}};
  NodeMaker weights(graph, name + "/weights", "MoxFoldBatchNorm");
  weights.input(found.weights).input(found.mean).input(found.variance);
  for (const auto& [attr, tensor] : optional) {
    if (!tensor->empty()) weights.input(*tensor);
    weights.attr(std::string("num_") + attr, tensor->empty() ? 0 : 1);
  }
  weights.attr("T", found.type)
      .attr("epsilon", found.epsilon)
      .attr("depthwise", found.convolution->op() != "Conv2D")
      .device(device);

  tf::NodeDef* convolution = graph->add_node();
  *convolution = *found.convolution;
  convolution->set_name(name);
  convolution->set_input(1, weights.name());

  become_bias_add(found, name, weights.name() + ":1", found.norm);
  for (tf::NodeDef* node : found.between) mark_joined(node, kSwitch);
}

}  // namespace

int fold_batch_norm(BuiltGraph* graph) {
  if (!bool_in_environment(kSwitch).value_or(true)) return 0;
  const std::vector<NormBehindConvolution> all = norms_behind_convolutions(graph);
  for (const NormBehindConvolution& found : all) fold(&graph->graph, found);
  return static_cast<int>(all.size());
}

}  // namespace mox
