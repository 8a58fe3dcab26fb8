#include "moxing/encoded_images.h"

#include <fmt/format.h>

#include "data/dataset_graph.h"
#include "data/decode_image.h"
#include "graph/graph_state.h"
#include "graph/tensor_info.h"
#include "moxing/error.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tensorflow::Output;

namespace {

Output decoded(const Scope& s, const Output& file, int64_t channels) {
  return ops::DecodeImage(s, file, ops::DecodeImage::Channels(channels).ExpandAnimations(false));
}

// What the file has, one to four channels, of which the last of two or of four is how much is there, over `background`.
Output laid_over(const Scope& s, const Output& pixels, int background) {
  const Output values = ops::Cast(s, pixels, tf::DT_INT32);
  const Output channels = ops::GatherV2(s, ops::Shape(s, pixels), 2, 0);
  const Output transparent =
      ops::Cast(s, ops::LogicalOr(s, ops::Equal(s, channels, 2), ops::Equal(s, channels, 4)), tf::DT_INT32);
  const Output colours = ops::Subtract(s, channels, transparent);
  const auto numbers = [&s](int of_sides, const Output& of_channels) -> Output {
    const Output sides = ops::Const(s, of_sides);
    return ops::Stack(s, {sides, sides, of_channels});
  };
  const Output shown = ops::Slice(s, values, numbers(0, ops::Const(s, 0)), numbers(-1, colours));
  const Output last = ops::Slice(s, values, numbers(0, ops::Subtract(s, channels, 1)), numbers(-1, ops::Const(s, 1)));
  const Output share =
      ops::Add(s, ops::Multiply(s, last, transparent), ops::Multiply(s, ops::Subtract(s, 1, transparent), 255));
  const Output behind = ops::Multiply(s, ops::Subtract(s, 255, share), background);
  const Output sum = ops::Add(s, ops::Add(s, ops::Multiply(s, shown, share), behind), 127);
  return ops::Cast(s, ops::Tile(s, ops::Div(s, sum, 255), numbers(1, ops::Div(s, 3, colours))), tf::DT_UINT8);
}

// A map over the rows of `files`.
Output map_rows(const Scope& scope, const Output& files, const data::BodyFunction& function) {
  tf::NameAttrList f;
  f.set_name(function.name);
  tf::NodeBuilder builder(scope.GetUniqueNameForOp("decode_files"), "MapDefun");
  builder.Input(std::vector<tf::NodeBuilder::NodeOut>{{files.node(), files.index()}})
      .Input(std::vector<tf::NodeBuilder::NodeOut>{})
      .Attr("f", f)
      .Attr("output_types", function.types)
      .Attr("output_shapes", function.shapes);
  return Output(data::add_node(scope, builder), 0);
}

tf::PartialTensorShape without_rows(const tf::PartialTensorShape& shape) {
  tf::PartialTensorShape row = shape;
  if (row.dims() > 0) row.RemoveDim(0);
  return row;
}

// `image`, of the shape that all have where it does not tell one itself.
Output as_wanted(const Scope& s, const Output& image, tf::DataType dtype, const tf::PartialTensorShape& shape) {
  const InputTensor is = tensor_info(s.state().refiner, image);
  if (is.dtype != dtype || !is.shape.IsCompatibleWith(shape))
    throw InvalidArgumentError(fmt::format(
        "encoded_images: preprocess returns {} {}, and images are {} {}: expected an image of that dtype and shape",
        tf::DataTypeString(is.dtype), is.shape.DebugString(), tf::DataTypeString(dtype), shape.DebugString()));
  if (is.shape.IsFullyDefined() || !shape.IsFullyDefined()) return image;
  return ops::EnsureShape(s, image, shape);
}

}  // namespace

EncodedImages encoded_images(const Scope& scope, const Output& images, const AugmentationFn& preprocess,
                             const std::string& alpha) {
  if (!preprocess) throw InvalidArgumentError("encoded_images: preprocess is empty, expected a function of an image");
  if (alpha != "drop" && alpha != "white" && alpha != "black")
    throw InvalidArgumentError("encoded_images: alpha is '" + alpha + "', expected drop, white or black");
  const int background = data::background_of(alpha);
  const InputTensor wanted = tensor_info(scope.state().refiner, images);
  const data::DatasetNode file{{}, {tf::DT_STRING}, {tf::PartialTensorShape(std::vector<int64_t>{})}};
  const auto body = [&](const Scope& s, const std::vector<Output>& element, const std::vector<Output>&) {
    const Output pixels =
        background < 0 ? decoded(s, element[0], 3) : laid_over(s, decoded(s, element[0], 0), background);
    // Of an unknown file, the number of channels is known to nobody else.
    const Output image = ops::EnsureShape(s, pixels, tf::PartialTensorShape({-1, -1, 3}));
    return std::vector<Output>{as_wanted(s, preprocess(s, image), wanted.dtype, without_rows(wanted.shape))};
  };
  const data::BodyFunction function = data::add_function(scope, file, body, {});
  const Output files = ops::Placeholder(scope.WithOpName("image_files"), tf::DT_STRING,
                                        ops::Placeholder::Shape(tf::PartialTensorShape({-1})));
  const Output made = map_rows(scope, files, function);
  return {ops::PlaceholderWithDefault(scope.WithOpName("images"), made, wanted.shape), files};
}

}  // namespace mox
