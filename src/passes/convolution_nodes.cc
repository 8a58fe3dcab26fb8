#include "passes/convolution_nodes.h"

#include <algorithm>
#include <vector>

#include "passes/filter_shape.h"
#include "tensorflow/core/framework/tensor_shape.pb.h"

namespace mox {

int64_t stride_of(const tensorflow::NodeDef& node) {
  const auto& strides = node.attr().at("strides").list();
  if (strides.i_size() != 4 || strides.i(0) != 1 || strides.i(3) != 1 || strides.i(1) != strides.i(2)) return 0;
  return strides.i(1);
}

bool is_nhwc(const tensorflow::NodeDef& node) {
  const auto format = node.attr().find("data_format");
  return format == node.attr().end() || format->second.s() == "NHWC";
}

bool is_plain_but_for_paddings(const tensorflow::NodeDef& node) {
  if (!is_nhwc(node)) return false;
  if (const auto dilations = node.attr().find("dilations"); dilations != node.attr().end())
    for (const int64_t dilation : dilations->second.list().i())
      if (dilation != 1) return false;
  return true;
}

bool is_plain_convolution(const tensorflow::NodeDef& node) {
  return is_plain_but_for_paddings(node) && is_one_of(node.attr().at("padding").s(), {"SAME", "VALID"});
}

std::optional<ExplicitPaddings> explicit_paddings_of(const tensorflow::NodeDef& node) {
  if (node.attr().at("padding").s() != "EXPLICIT") return std::nullopt;
  const auto found = node.attr().find("explicit_paddings");
  if (found == node.attr().end() || found->second.list().i_size() != 8) return std::nullopt;
  const auto& list = found->second.list().i();
  const bool others = list[0] != 0 || list[1] != 0 || list[6] != 0 || list[7] != 0;
  if (others || std::ranges::any_of(list, [](int64_t padding) { return padding < 0; })) return std::nullopt;
  return ExplicitPaddings{list[2], list[3], list[4], list[5]};
}

void set_paddings(const ExplicitPaddings& p, tensorflow::NodeDef* node) {
  auto& attr = *node->mutable_attr();
  attr.erase("explicit_paddings");
  tensorflow::SetAttrValue("VALID", &attr["padding"]);
  if (p.top + p.bottom + p.left + p.right == 0) return;
  tensorflow::SetAttrValue("EXPLICIT", &attr["padding"]);
  tensorflow::SetAttrValue(std::vector<int64_t>{0, 0, p.top, p.bottom, p.left, p.right, 0, 0},
                           &attr["explicit_paddings"]);
}

std::optional<std::vector<int64_t>> int_constants(const tensorflow::NodeDef* node) {
  tensorflow::Tensor value;
  if (!node || node->op() != "Const" || !value.FromProto(node->attr().at("value").tensor())) return std::nullopt;
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < value.NumElements(); ++i)
    if (value.dtype() == tensorflow::DT_INT32)
      numbers.push_back(value.flat<int32_t>()(i));
    else if (value.dtype() == tensorflow::DT_INT64)
      numbers.push_back(value.flat<int64_t>()(i));
    else
      return std::nullopt;
  return numbers;
}

namespace {

// Whose result has the channels of input 0.
bool keeps_channels(const std::string& op) {
  return is_one_of(op, {"Identity", "Cast", "Relu", "Relu6", "Elu", "LeakyRelu", "Sigmoid", "Tanh", "BiasAdd",
                        "MaxPool", "AvgPool", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "MoxNormalize",
                        "ResizeBilinear", "StopGradient", "CheckNumerics"});
}

int64_t last_of(const tensorflow::TensorShapeProto& shape) { return shape.dim_size() == 4 ? shape.dim(3).size() : -1; }

// Of a source of images.
int64_t channels_of_source(const tensorflow::NodeDef& node, int port) {
  const auto& attr = node.attr();
  if (const auto shapes = attr.find("output_shapes"); shapes != attr.end() && port < shapes->second.list().shape_size())
    return last_of(shapes->second.list().shape(port));
  if (const auto shape = attr.find("shape"); shape != attr.end() && node.op().rfind("Placeholder", 0) == 0)
    return last_of(shape->second.shape());
  if (node.op() == "Const") return last_of(attr.at("value").tensor().tensor_shape());
  return -1;
}

// Nothing where they are not known.
std::vector<int64_t> constant(const NodeIndex& index, const std::string& tensor) {
  const auto found = index.find(node_of(tensor));
  return found == index.end() ? std::vector<int64_t>() : int_constants(found->second).value_or(std::vector<int64_t>());
}

// What changes an image's channels by constants: paddings, a size, an order. `of`: the channels of an input.
template <typename Of>
int64_t channels_of_changed(const NodeIndex& index, const tensorflow::NodeDef& node, const Of& of) {
  if (is_one_of(node.op(), {"Pad", "PadV2", "MirrorPad"})) {
    const std::vector<int64_t> paddings = constant(index, node.input(1));
    return paddings.size() == 8 && of(0) >= 0 ? of(0) + paddings[6] + paddings[7] : -1;
  }
  if (node.op() == "Slice") {
    const std::vector<int64_t> begin = constant(index, node.input(1)), size = constant(index, node.input(2));
    if (size.size() != 4) return -1;
    if (size[3] >= 0) return size[3];
    return begin.size() == 4 && of(0) >= 0 ? of(0) - begin[3] : -1;
  }
  if (node.op() == "Reshape") {
    const std::vector<int64_t> shape = constant(index, node.input(1));
    return shape.size() == 4 ? shape[3] : -1;
  }
  const int last = node.op() == "ConcatV2" ? static_cast<int>(node.attr().at("N").i()) : 0;
  if (last == 0) return -1;
  const std::vector<int64_t> axis = constant(index, node.input(last));
  if (axis.size() != 1) return -1;
  if (axis[0] != 3 && axis[0] != -1) return of(0);
  int64_t sum = 0;
  for (int i = 0; i < last; ++i) {
    const int64_t channels = of(i);
    if (channels < 0) return -1;
    sum += channels;
  }
  return sum;
}

int64_t channels_at(const NodeIndex& index, const std::string& image, int depth) {
  constexpr int kDeep = 16;  // sums have two ways back
  const TensorRef at = parse_tensor(image);
  const auto found = index.find(at.node);
  if (found == index.end() || depth > kDeep) return -1;
  const tensorflow::NodeDef& node = *found->second;
  const auto of = [&](int input) { return channels_at(index, node.input(input), depth + 1); };
  if (node.op() == "Conv2D") {
    const std::vector<int64_t> filter = is_nhwc(node) ? shape_of_filter(index, node.input(1)) : std::vector<int64_t>();
    return filter.size() == 4 ? filter[3] : -1;
  }
  if (node.op() == "DepthwiseConv2dNative") {
    const std::vector<int64_t> filter = is_nhwc(node) ? shape_of_filter(index, node.input(1)) : std::vector<int64_t>();
    return filter.size() == 4 && filter[2] >= 0 && filter[3] >= 0 ? filter[2] * filter[3] : -1;
  }
  if (keeps_channels(node.op())) return is_nhwc(node) ? of(0) : -1;
  if (is_one_of(node.op(), {"Add", "AddV2", "Sub", "Mul", "Maximum", "RealDiv"})) return std::max(of(0), of(1));
  if (node.op() == "AddN") return of(0);
  if (is_one_of(node.op(), {"Pad", "PadV2", "MirrorPad", "Slice", "Reshape", "ConcatV2"}))
    return channels_of_changed(index, node, of);
  return channels_of_source(node, at.port);
}

}  // namespace

int64_t channels_of(const NodeIndex& index, const std::string& image) { return channels_at(index, image, 0); }

}  // namespace mox
