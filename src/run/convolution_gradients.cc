#include "run/convolution_gradients.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "moxing/error.h"
#include "tensorflow/core/framework/node_def_util.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// A gradient's kind, and the convolution's.
struct Kind {
  const char *gradient, *convolution;
  bool knows_image;  // as its input 0, and the filter's sizes as input 1; else the image's sizes and the filter
};
constexpr Kind kKinds[] = {
    {"Conv2DBackpropInput", "Conv2D", false},
    {"Conv2DBackpropFilter", "Conv2D", true},
    {"DepthwiseConv2dNativeBackpropInput", "DepthwiseConv2dNative", false},
    {"DepthwiseConv2dNativeBackpropFilter", "DepthwiseConv2dNative", true},
};

const Kind* kind_of(const tf::Node& node) {
  for (const Kind& kind : kKinds)
    if (node.type_string() == kind.gradient) return &kind;
  return nullptr;
}

bool same(const tf::Edge* a, const tf::Edge* b) {
  return a && b && a->src() == b->src() && a->src_output() == b->src_output();
}

const tf::Edge* input_of(const tf::Node& node, int i) {
  const tf::Edge* edge = nullptr;
  return node.input_edge(i, &edge).ok() ? edge : nullptr;
}

// Of which tensor it is the shape; null: not known.
const tf::Edge* source_of_sizes(const tf::Node& gradient, int i) {
  const tf::Edge* sizes = input_of(gradient, i);
  return sizes && sizes->src()->type_string() == "Shape" ? input_of(*sizes->src(), 0) : nullptr;
}

std::vector<int64_t> numbers(const tf::Node& node, const char* name) {
  std::vector<int64_t> found;
  return tf::TryGetNodeAttr(node.attrs(), name, &found) ? found : std::vector<int64_t>();
}

constexpr const char* kForgotten[] = {"dilations", "explicit_paddings"};

bool is_alike(const tf::Node& a, const tf::Node& b) {
  for (const char* name : kForgotten)
    if (numbers(a, name) != numbers(b, name)) return false;
  return true;
}

// Those that read the same image and filter.
std::vector<const tf::Node*> convolutions_of(const tf::Node& gradient, const Kind& kind) {
  const int known = kind.knows_image ? 0 : 1;
  const tf::Edge *one = input_of(gradient, known), *other = source_of_sizes(gradient, 1 - known);
  std::vector<const tf::Node*> found;
  if (!one) return found;
  for (const tf::Edge* edge : one->src()->out_edges())
    if (edge->dst()->type_string() == kind.convolution && edge->dst_input() == known && same(edge, one) &&
        same(input_of(*edge->dst(), 1 - known), other))
      found.push_back(edge->dst());
  return found;
}

// TensorFlow's kernels of depthwise gradients compute them as if there were no dilations.
void check_kernels(const tf::Node& convolution) {
  const std::vector<int64_t> dilations = numbers(convolution, "dilations");
  if (convolution.type_string() != "DepthwiseConv2dNative" ||
      std::ranges::all_of(dilations, [](int64_t dilation) { return dilation == 1; }))
    return;
  throw InvalidArgumentError(
      fmt::format("gradients: {} is a DepthwiseConv2dNative with dilations [{}], whose gradients TensorFlow computes "
                  "without them; use layers::separable_conv2d with `rate`, or SpaceToBatchND around one without",
                  convolution.name(), fmt::join(dilations, ", ")));
}

}  // namespace

void complete_convolution_gradients(tf::Graph* graph, int first) {
  for (int id = first; id < graph->num_node_ids(); ++id) {
    tf::Node* gradient = graph->FindNodeId(id);
    const Kind* kind = gradient ? kind_of(*gradient) : nullptr;
    if (!kind) continue;
    const std::vector<const tf::Node*> convolutions = convolutions_of(*gradient, *kind);
    for (const tf::Node* convolution : convolutions)
      if (!is_alike(*convolution, *convolutions[0]))
        throw InvalidArgumentError(fmt::format(
            "gradients: the convolutions {} and {} have one image and one filter, but other dilations or explicit "
            "paddings; which of them a gradient belongs to cannot be told: give one of them an Identity of its image",
            convolutions[0]->name(), convolution->name()));
    if (!convolutions.empty()) check_kernels(*convolutions[0]);
    for (const char* name : kForgotten) {
      const std::vector<int64_t> wanted =
          convolutions.empty() ? std::vector<int64_t>() : numbers(*convolutions[0], name);
      if (wanted.empty() || wanted == numbers(*gradient, name)) continue;
      gradient->ClearAttr(name);
      gradient->AddAttr(name, wanted);
    }
  }
}

}  // namespace mox
