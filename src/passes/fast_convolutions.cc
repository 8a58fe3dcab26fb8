#include "passes/fast_convolutions.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/environment.h"
#include "convolutions/convolution.h"
#include "convolutions/depthwise.h"
#include "graph/graph_shapes.h"
#include "graph/node_defs.h"
#include "passes/convolution_nodes.h"
#include "passes/filter_shape.h"
#include "passes/joined.h"
#include "tensorflow/core/platform/cpu_info.h"

namespace mox {

namespace tf = tensorflow;

namespace {

const char* fast_kind(const tf::NodeDef& node) {
  if (node.op() == "Conv2D") return "MoxConvolution";
  if (node.op() == "Conv2DBackpropInput") return "MoxConvolutionInputGradient";
  if (node.op() == "Conv2DBackpropFilter") return "MoxConvolutionFilterGradient";
  if (node.op() == "DepthwiseConv2dNative") return "MoxDepthwiseConvolution";
  if (node.op() == "DepthwiseConv2dNativeBackpropInput") return "MoxDepthwiseConvolutionInputGradient";
  if (node.op() == "DepthwiseConv2dNativeBackpropFilter") return "MoxDepthwiseConvolutionFilterGradient";
  return nullptr;
}

bool is_depthwise(const tf::NodeDef& node) { return node.op().rfind("Depthwise", 0) == 0; }

bool is_forward(const tf::NodeDef& node) { return is_one_of(node.op(), {"Conv2D", "DepthwiseConv2dNative"}); }

// Of Conv2D and its gradients.
convolutions::Direction direction_of(const tf::NodeDef& node) {
  if (node.op() == "Conv2D") return convolutions::Direction::kForward;
  return node.op() == "Conv2DBackpropInput" ? convolutions::Direction::kInputGradient
                                            : convolutions::Direction::kFilterGradient;
}

// The channels of an image that are not seen from the nodes before it; -1: not known.
using FurtherChannels = std::function<int64_t(const std::string& image)>;

// Whether the image is seen to have more channels than the filter. The gradient of the input has the image's sizes.
bool is_in_groups(const NodeIndex& index, const FurtherChannels& further, const tf::NodeDef& node, int64_t channels) {
  std::string image = node.input(0);
  if (node.op() == "Conv2DBackpropInput") {
    const auto sizes = index.find(node_of(image));
    if (sizes == index.end()) return false;
    const tf::NodeDef& of = *sizes->second;
    if (const std::vector<int64_t> given = shape_of_filter(index, image); of.op() == "Const" && given.size() == 4)
      return given[3] != channels;
    if (!is_one_of(of.op(), {"Shape", "ShapeN"})) return false;
    image = of.input(of.op() == "ShapeN" ? parse_tensor(image).port : 0);
  }
  int64_t seen = channels_of(index, image);
  if (seen < 0 && further) seen = further(image);
  return seen >= 0 && seen != channels;
}

bool is_fast(const NodeIndex& index, const FurtherChannels& further, const tf::NodeDef& node) {
  if (!fast_kind(node) || !is_plain_but_for_paddings(node)) return false;
  const std::optional<ExplicitPaddings> paddings = explicit_paddings_of(node);
  if (!is_plain_convolution(node) && (is_depthwise(node) || !paddings)) return false;
  const tf::DataType type = node.attr().at("T").type();
  if (type != tf::DT_FLOAT && type != tf::DT_BFLOAT16) return false;
  const std::vector<int64_t> filter = shape_of_filter(index, node.input(1));
  const int64_t stride = stride_of(node);
  if (filter.size() != 4 || stride == 0) return false;
  if (is_depthwise(node))
    return filter[0] == filter[1] && filter[3] == 1 &&
           convolutions::is_fast({.channels = filter[2], .size = filter[0], .stride = stride});
  if (is_in_groups(index, further, node, filter[2])) return false;
  // Matrix instructions of bfloat16 are faster than any product of float32.
  if (type == tf::DT_BFLOAT16 && tf::port::TestCPUFeature(tf::port::AMX_BF16)) return false;
  const convolutions::Convolution convolution{.channels = filter[2],
                                              .filters = filter[3],
                                              .filter_height = filter[0],
                                              .filter_width = filter[1],
                                              .stride = stride};
  return (!paddings || takes_paddings(convolution, paddings->top, paddings->bottom, paddings->left, paddings->right)) &&
         convolutions::is_fast(direction_of(node), convolution, type == tf::DT_FLOAT);
}

bool is_on() {
  return convolutions::convolution_loops() && bool_in_environment(kFastConvolutionsSwitch).value_or(true);
}

// What follows a convolution and nothing else reads; of the gradient of a filter, the cast of bfloat16 to float32.
struct Followers {
  tf::NodeDef *bias = nullptr, *sum = nullptr, *activation = nullptr, *cast = nullptr;
  int side = 0;  // which input of the sum is added
};

bool is_widening(const tf::NodeDef& cast) {
  return cast.attr().at("SrcT").type() == tf::DT_BFLOAT16 && cast.attr().at("DstT").type() == tf::DT_FLOAT;
}

class Readers {
 public:
  explicit Readers(tf::GraphDef* graph) : graph_(*graph) {
    for (tf::NodeDef& node : *graph->mutable_node())
      for (const std::string& input : node.input()) readers_[parse_tensor(input).text()].push_back(&node);
  }
  // The only reader of output 0 if it is one of these kinds.
  tf::NodeDef* only_reader_of(const tf::NodeDef& node, std::initializer_list<const char*> kinds) const {
    const auto found = readers_.find(node.name());
    if (found == readers_.end() || found->second.size() != 1) return nullptr;
    return is_one_of(found->second[0]->op(), kinds) ? found->second[0] : nullptr;
  }
  // As its first input.
  tf::NodeDef* only_reader(const tf::NodeDef& node, std::initializer_list<const char*> kinds) const {
    tf::NodeDef* reader = only_reader_of(node, kinds);
    return reader && parse_tensor(reader->input(0)).text() == node.name() ? reader : nullptr;
  }
  Followers followers(const tf::NodeDef& convolution) {
    Followers found;
    if (convolution.op() == "Conv2DBackpropFilter") {
      found.cast = only_reader(convolution, {"Cast"});
      // On another device the narrow numbers are what is sent there.
      if (found.cast && (!is_widening(*found.cast) || found.cast->device() != convolution.device()))
        found.cast = nullptr;
    }
    if (!is_forward(convolution)) return found;
    found.bias = only_reader(convolution, {"BiasAdd"});
    if (found.bias && !is_nhwc(*found.bias)) found.bias = nullptr;
    if (!found.bias) return found;
    if (convolution.op() == "Conv2D") found.sum = sum_of_two(*found.bias);
    if (found.sum) found.side = parse_tensor(found.sum->input(0)).text() == found.bias->name() ? 1 : 0;
    found.activation = only_reader(found.sum ? *found.sum : *found.bias, {"Relu", "Relu6"});
    return found;
  }

 private:
  // Of what a residual adds; each sum goes with one of the convolutions that it adds.
  tf::NodeDef* sum_of_two(const tf::NodeDef& bias) {
    tf::NodeDef* sum = only_reader_of(bias, {"AddV2", "Add"});
    if (!sum || sum->device() != bias.device() || taken_.count(sum) > 0) return nullptr;
    if (!shapes_) shapes_ = std::make_unique<GraphShapes>(graph_);
    if (!shapes_->equal_inputs(sum->name())) return nullptr;
    taken_.insert(sum);
    return sum;
  }

  const tf::GraphDef& graph_;
  std::map<std::string, std::vector<tf::NodeDef*>> readers_;
  std::set<const tf::NodeDef*> taken_;
  std::unique_ptr<GraphShapes> shapes_;  // to tell a residual from a broadcast
};

// `last`, the convolution itself or the last of its followers, becomes the fast one, and waits for what any of them
// waits for.
void become_fast(const tf::NodeDef convolution, const Followers& followers, tf::NodeDef* last) {
  tf::NodeDef fast;
  fast.set_name(last->name());
  fast.set_op(fast_kind(convolution));
  fast.set_device(convolution.device());
  for (const std::string& input : convolution.input())
    if (!parse_tensor(input).is_control()) fast.add_input(input);
  if (followers.bias) fast.add_input(followers.bias->input(1));
  if (followers.sum) fast.add_input(followers.sum->input(followers.side));
  std::set<std::string> control;
  for (const tf::NodeDef* node : std::initializer_list<const tf::NodeDef*>{&convolution, followers.bias, followers.sum,
                                                                           followers.activation, followers.cast})
    for (int i = 0; node && i < node->input_size(); ++i)
      if (parse_tensor(node->input(i)).is_control()) control.insert(node->input(i));
  for (const std::string& input : control) fast.add_input(input);
  auto& attr = *fast.mutable_attr();
  attr["T"] = convolution.attr().at("T");
  attr["padding"] = convolution.attr().at("padding");
  if (explicit_paddings_of(convolution)) attr["explicit_paddings"] = convolution.attr().at("explicit_paddings");
  tf::SetAttrValue(stride_of(convolution), &attr["stride"]);
  if (is_forward(convolution)) {
    tf::SetAttrValue(followers.bias ? 1 : 0, &attr["num_bias"]);
    if (followers.sum) tf::SetAttrValue(1, &attr["num_side"]);
    tf::SetAttrValue(followers.activation ? followers.activation->op() : std::string(), &attr["activation"]);
  }
  if (convolution.op() == "Conv2DBackpropFilter")
    attr["Tdfilter"] = followers.cast ? followers.cast->attr().at("DstT") : convolution.attr().at("T");
  *last = std::move(fast);
}

}  // namespace

bool becomes_fast(const NodeIndex& index, const tf::NodeDef& node) { return is_on() && is_fast(index, {}, node); }

int make_convolutions_fast(tf::GraphDef* graph) {
  if (!is_on()) return 0;
  std::vector<tf::NodeDef*> fast;
  {
    const NodeIndex index = index_nodes(*graph);
    std::unique_ptr<GraphShapes> shapes;  // takes its time: only where it is needed
    const FurtherChannels further = [&](const std::string& image) {
      if (!shapes) shapes = std::make_unique<GraphShapes>(*graph);
      const std::vector<int64_t> shape = shapes->of(image);
      return shape.size() == 4 ? shape[3] : -1;
    };
    // What was left behind is for who asks for it by name, and keeps its mark.
    for (tf::NodeDef& node : *graph->mutable_node())
      if (joined_by(node).empty() && is_fast(index, further, node)) fast.push_back(&node);
  }
  Readers readers(graph);
  std::vector<Followers> followers;
  for (const tf::NodeDef* node : fast) followers.push_back(readers.followers(*node));
  for (size_t i = 0; i < fast.size(); ++i) {
    const std::vector<tf::NodeDef*> chain{fast[i], followers[i].bias, followers[i].sum, followers[i].activation,
                                          followers[i].cast};
    // What is not the last stays where it is, for who asks for it by name; nobody else runs it.
    tf::NodeDef* last = fast[i];
    for (tf::NodeDef* follower : chain)
      if (follower) last = follower;
    for (tf::NodeDef* passed : chain)
      if (passed && passed != last) mark_joined(passed, kFastConvolutionsSwitch);
    become_fast(*fast[i], followers[i], last);
  }
  return static_cast<int>(fast.size());
}

}  // namespace mox
