#include "layers/layout.h"
#include "moxing/error.h"
#include "moxing/layers.h"

namespace mox::layers {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

const char* to_string(Padding padding) { return padding == Padding::kSame ? "SAME" : "VALID"; }

// A stride or dilation for every dimension of the format.
std::vector<int> per_dimension(const Size2d& size, const std::string& format) {
  if (format == "NHWC") return {1, size.height, size.width, 1};
  return {1, 1, size.height, size.width};
}

void check_rate(const std::string& name, const Size2d& rate, const Size2d& stride) {
  if ((rate.height > 1 || rate.width > 1) && (stride.height > 1 || stride.width > 1))
    throw InvalidArgumentError("layer " + name + ": a stride and a rate above 1 exclude each other");
}

// What all layers with weights end in.
struct Ending {
  int num_outputs;
  bool use_bias;
  float bias_weight_decay;
  const Initializer& biases_initializer;
  const Normalizer& normalizer;
  const Activation& activation;
};

// Biases are added in the format before our own transpose, where there is one.
tf::Output add_biases(const Scope& scope, const tf::Output& x, const std::string& data_format, const Ending& end) {
  const tf::Output biases = scope.get_variable(
      "biases", {end.num_outputs},
      {.initializer = end.biases_initializer, .weight_decay = end.bias_weight_decay, .dtype = x.type()});
  const tf::Output before = before_transpose(x);
  if (!before.node())
    return ops::BiasAdd(scope.WithOpName("BiasAdd"), x, biases, ops::BiasAdd::DataFormat(data_format));
  return nhwc_to_nchw(scope, ops::BiasAdd(scope.WithOpName("BiasAdd"), before, biases));
}

tf::Output finish_layer(const Scope& scope, tf::Output x, const std::string& data_format, const Ending& end) {
  if (end.normalizer)
    x = end.normalizer(scope, x);
  else if (end.use_bias)
    x = add_biases(scope, x, data_format, end);
  return end.activation ? end.activation(scope, x) : x;
}

// Kernels with a dilation have no gradient on CPUs: the image is cut into `rate` interleaved images instead, each of
// which sees an ordinary convolution.
class Dilation {
 public:
  Dilation(const Scope& scope, const NativeLayout& layout, KernelSize kernel, const Size2d& rate, Padding padding)
      : active_(rate.height > 1 || rate.width > 1), rate_(rate) {
    inputs_ = layout.inputs();
    if (!active_) return;
    inputs_ = layout.format() == "NHWC" ? inputs_ : nchw_to_nhwc(scope, inputs_);
    const std::vector<int64_t> shape = static_shape(scope, inputs_);
    if (shape[1] < 0 || shape[2] < 0)
      throw InvalidArgumentError("a convolution with a rate needs the height and width of " + inputs_.name() +
                                 " while the graph is built; set its shape");
    const auto [top, bottom, bottom_crop] = pads(shape[1], kernel.height, rate.height, padding);
    const auto [left, right, right_crop] = pads(shape[2], kernel.width, rate.width, padding);
    crop_height_ = bottom_crop;
    crop_width_ = right_crop;
    inputs_ = ops::SpaceToBatchND(scope, inputs_, {rate.height, rate.width}, {{top, bottom}, {left, right}});
  }

  bool active() const { return active_; }
  const tf::Output& inputs() const { return inputs_; }
  tf::Output finish(const Scope& scope, const NativeLayout& layout, const tf::Output& x) const {
    if (!active_) return x;
    const tf::Output whole =
        ops::BatchToSpaceND(scope, x, {rate_.height, rate_.width}, {{0, crop_height_}, {0, crop_width_}});
    return layout.format() == "NHWC" ? whole : nhwc_to_nchw(scope, whole);
  }

 private:
  // Rows before and after, and those of the result to cut off again (what rounding up to the rate added).
  static std::tuple<int, int, int> pads(int64_t size, int kernel, int rate, Padding padding) {
    const int total = padding == Padding::kSame ? (kernel - 1) * rate : 0;
    const int before = total / 2;
    const int extra = static_cast<int>((rate - (size + total) % rate) % rate);
    return {before, total - before + extra, extra};
  }

  bool active_;
  Size2d rate_;
  tf::Output inputs_;
  int crop_height_ = 0, crop_width_ = 0;
};

tf::Output plain_conv(const Scope& scope, const tf::Output& x, const tf::Output& weights, const Size2d& stride,
                      const char* padding, const std::string& format) {
  return ops::Conv2D(scope.WithOpName("Conv2D"), x, weights, per_dimension(stride, format), padding,
                     ops::Conv2D::DataFormat(format));
}

// One convolution a group: CPUs have no gradient for grouped kernels.
tf::Output grouped_conv(const Scope& scope, const tf::Output& x, const tf::Output& weights,
                        const Conv2dOptions& options, const char* padding, const std::string& format) {
  const int axis = format == "NHWC" ? 3 : 1;
  const auto inputs = ops::Split(scope.WithOpName("split_inputs"), axis, x, options.groups);
  const auto filters = ops::Split(scope.WithOpName("split_weights"), 3, weights, options.groups);
  std::vector<tf::Output> outputs;
  for (int i = 0; i < options.groups; ++i)
    outputs.push_back(plain_conv(scope, inputs[i], filters[i], options.stride, padding, format));
  return ops::Concat(scope.WithOpName("concat"), outputs, axis);
}

tf::Output depthwise(const Scope& scope, const tf::Output& inputs, KernelSize kernel, const std::string& name,
                     const SeparableConv2dOptions& options, int* num_outputs) {
  check_rate(name, options.rate, options.stride);
  const NativeLayout layout(scope, inputs, options.data_format);
  const int64_t channels = channels_of(scope, layout.inputs(), layout.channel_axis(), name);
  *num_outputs = static_cast<int>(channels) * options.depth_multiplier;
  const tf::Output weights = scope.get_variable(
      "depthwise_weights", {kernel.height, kernel.width, channels, options.depth_multiplier},
      {.initializer = options.weights_initializer, .weight_decay = options.weight_decay, .dtype = inputs.type()});
  const Dilation dilation(scope, layout, kernel, options.rate, options.padding);
  const std::string format = dilation.active() ? "NHWC" : layout.format();
  // The kernels know one stride only.
  if (options.stride.height != options.stride.width)
    throw InvalidArgumentError("layer " + name +
                               ": a depthwise convolution needs the same stride for height and width");
  tf::Output x = ops::DepthwiseConv2dNative(
      scope.WithOpName("depthwise"), dilation.inputs(), weights, per_dimension(options.stride, format),
      dilation.active() ? "VALID" : to_string(options.padding), ops::DepthwiseConv2dNative::DataFormat(format));
  return layout.finish(scope, dilation.finish(scope, layout, x));
}

}  // namespace

tf::Output conv2d(const Scope& outer, const tf::Output& inputs, int num_outputs, KernelSize kernel,
                  const std::string& name, const Conv2dOptions& options) {
  const Scope scope = outer.var_scope(name);
  check_rate(name, options.rate, options.stride);
  const NativeLayout layout(scope, inputs, options.data_format);
  const int64_t channels = channels_of(scope, layout.inputs(), layout.channel_axis(), name);
  if (options.groups < 1 || channels % options.groups || num_outputs % options.groups)
    throw InvalidArgumentError("layer " + name + ": " + std::to_string(channels) + " inputs and " +
                               std::to_string(num_outputs) + " outputs cannot be cut into " +
                               std::to_string(options.groups) + " groups");
  const tf::Output weights = scope.get_variable(
      "weights", {kernel.height, kernel.width, channels / options.groups, num_outputs},
      {.initializer = options.weights_initializer, .weight_decay = options.weight_decay, .dtype = inputs.type()});
  const Dilation dilation(scope, layout, kernel, options.rate, options.padding);
  const char* padding = dilation.active() ? "VALID" : to_string(options.padding);
  const std::string format = dilation.active() ? "NHWC" : layout.format();
  tf::Output x = options.groups == 1 ? plain_conv(scope, dilation.inputs(), weights, options.stride, padding, format)
                                     : grouped_conv(scope, dilation.inputs(), weights, options, padding, format);
  x = layout.finish(scope, dilation.finish(scope, layout, x));
  return finish_layer(scope, x, options.data_format,
                      {num_outputs, options.use_bias, options.bias_weight_decay, options.biases_initializer,
                       options.normalizer, options.activation});
}

tf::Output conv2d_transpose(const Scope& outer, const tf::Output& inputs, int num_outputs, KernelSize kernel,
                            const std::string& name, const Conv2dOptions& options) {
  const Scope scope = outer.var_scope(name);
  if (options.groups != 1 || options.rate.height != 1 || options.rate.width != 1)
    throw InvalidArgumentError("layer " + name + ": a transposed convolution takes neither groups nor a rate");
  const NativeLayout layout(scope, inputs, options.data_format);
  const int64_t channels = channels_of(scope, layout.inputs(), layout.channel_axis(), name);
  const tf::Output weights = scope.get_variable(
      "weights", {kernel.height, kernel.width, num_outputs, channels},
      {.initializer = options.weights_initializer, .weight_decay = options.weight_decay, .dtype = inputs.type()});
  const std::vector<int64_t> shape = static_shape(scope, layout.inputs());
  const auto dynamic = ops::Unstack(scope.WithOpName("sizes"), ops::Shape(scope, layout.inputs()), 4);
  auto grown = [&](int axis, int stride, int size) -> tf::Output {
    const int more = options.padding == Padding::kValid ? std::max(0, size - stride) : 0;
    if (shape[axis] >= 0) return ops::Const(scope, static_cast<int>(shape[axis]) * stride + more);
    return ops::Add(scope, ops::Multiply(scope, dynamic[axis], stride), more);
  };
  const int rows = layout.height_axis();
  std::vector<tf::Output> sizes(4, ops::Const(scope, num_outputs));  // of the channels
  sizes[0] = grown(0, 1, 1);
  sizes[rows] = grown(rows, options.stride.height, kernel.height);
  sizes[rows + 1] = grown(rows + 1, options.stride.width, kernel.width);
  const tf::Output x =
      ops::Conv2DBackpropInput(scope.WithOpName("Conv2DTranspose"), ops::Stack(scope.WithOpName("output_shape"), sizes),
                               weights, layout.inputs(), per_dimension(options.stride, layout.format()),
                               to_string(options.padding), ops::Conv2DBackpropInput::DataFormat(layout.format()));
  return finish_layer(scope, layout.finish(scope, x), options.data_format,
                      {num_outputs, options.use_bias, options.bias_weight_decay, options.biases_initializer,
                       options.normalizer, options.activation});
}

tf::Output depthwise_conv2d(const Scope& outer, const tf::Output& inputs, KernelSize kernel, const std::string& name,
                            const SeparableConv2dOptions& options) {
  const Scope scope = outer.var_scope(name);
  int num_outputs = 0;
  const tf::Output x = depthwise(scope, inputs, kernel, name, options, &num_outputs);
  return finish_layer(
      scope, x, options.data_format,
      {num_outputs, options.use_bias, 0, options.biases_initializer, options.normalizer, options.activation});
}

tf::Output separable_conv2d(const Scope& outer, const tf::Output& inputs, int num_outputs, KernelSize kernel,
                            const std::string& name, const SeparableConv2dOptions& options) {
  const Scope scope = outer.var_scope(name);
  int depth = 0;
  tf::Output x = depthwise(scope, inputs, kernel, name, options, &depth);
  const NativeLayout layout(scope, x, options.data_format);
  const Initializer& initializer =
      options.pointwise_initializer ? options.pointwise_initializer : options.weights_initializer;
  const tf::Output weights =
      scope.get_variable("pointwise_weights", {1, 1, depth, num_outputs},
                         {.initializer = initializer, .weight_decay = options.weight_decay, .dtype = inputs.type()});
  x = layout.finish(scope, plain_conv(scope, layout.inputs(), weights, 1, "VALID", layout.format()));
  return finish_layer(
      scope, x, options.data_format,
      {num_outputs, options.use_bias, 0, options.biases_initializer, options.normalizer, options.activation});
}

tf::Output fully_connected(const Scope& outer, const tf::Output& inputs, int num_outputs, const std::string& name,
                           const FullyConnectedOptions& options) {
  const Scope scope = outer.var_scope(name);
  const std::vector<int64_t> shape = static_shape(scope, inputs);
  if (shape.size() != 2)
    throw InvalidArgumentError("layer " + name + " got " + inputs.name() + " with " + std::to_string(shape.size()) +
                               " dimensions; expected [batch, features]: use layers::flatten before it");
  const tf::Output weights = scope.get_variable(
      "weights", {channels_of(scope, inputs, 1, name), num_outputs},
      {.initializer = options.weights_initializer, .weight_decay = options.weight_decay, .dtype = inputs.type()});
  const tf::Output x = ops::MatMul(scope.WithOpName("MatMul"), inputs, weights);
  return finish_layer(scope, x, "NHWC",
                      {num_outputs, options.use_bias, options.bias_weight_decay, options.biases_initializer,
                       options.normalizer, options.activation});
}

namespace {

template <class Pool>
tf::Output pool2d(const Scope& scope, const tf::Output& inputs, KernelSize kernel, const std::string& name,
                  const PoolOptions& options) {
  const NativeLayout layout(scope, inputs, options.data_format);
  const tf::Output x = Pool(scope.WithOpName(name), layout.inputs(), per_dimension(kernel, layout.format()),
                            per_dimension(options.stride, layout.format()), to_string(options.padding),
                            Pool::DataFormat(layout.format()));
  return layout.finish(scope, x);
}

}  // namespace

tf::Output max_pool2d(const Scope& scope, const tf::Output& inputs, KernelSize kernel, const std::string& name,
                      const PoolOptions& options) {
  return pool2d<ops::MaxPool>(scope, inputs, kernel, name, options);
}

tf::Output avg_pool2d(const Scope& scope, const tf::Output& inputs, KernelSize kernel, const std::string& name,
                      const PoolOptions& options) {
  return pool2d<ops::AvgPool>(scope, inputs, kernel, name, options);
}

}  // namespace mox::layers
