// Layers over a mox::Scope, with TF-slim's names, defaults and initial values, so that TF-slim's checkpoints fit.
//
// A layer makes its variables under `<variable scope>/name` and computes in the dtype of its input. Images are
// [batch, height, width, channels] ("NHWC", the default) or [batch, channels, height, width] ("NCHW"). Where the
// machine has no kernel for NCHW (every CPU) a layer computes in NHWC between transposes; a transpose that only undoes
// the one before it is not made.
//
// Errors: InvalidArgumentError, with the layer's name and what was got, for an input of another number of dimensions
// than the layer takes, for channels or features whose number the graph does not know, for a data_format that is
// neither of the two, for options that exclude each other, and as Scope::get_variable. Shapes that do not fit otherwise
// are reported by mox::check, or when the graph is run.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "moxing/export.h"
#include "moxing/initializers.h"
#include "moxing/scope.h"

namespace mox::layers {

// [height, width]; one number stands for both.
struct Size2d {
  int height = 1;
  int width = 1;
  Size2d(int size) : height(size), width(size) {}  // NOLINT: `3` is meant to read as 3x3
  Size2d(int h, int w) : height(h), width(w) {}
};
using KernelSize = Size2d;

enum class Padding { kSame, kValid };

// Element by element; nullptr: none.
using Activation = std::function<tensorflow::Output(const Scope&, const tensorflow::Output&)>;
// max(x, 0). This and the next three take any shape.
MOX_EXPORT tensorflow::Output relu(const Scope& scope, const tensorflow::Output& x);
// min(max(x, 0), 6).
MOX_EXPORT tensorflow::Output relu6(const Scope& scope, const tensorflow::Output& x);
// 1 / (1 + exp(-x)).
MOX_EXPORT tensorflow::Output sigmoid(const Scope& scope, const tensorflow::Output& x);
// The hyperbolic tangent.
MOX_EXPORT tensorflow::Output tanh(const Scope& scope, const tensorflow::Output& x);

// Takes the place of the biases; called with the layer's scope. nullptr: none.
using Normalizer = std::function<tensorflow::Output(const Scope&, const tensorflow::Output&)>;

struct BatchNormOptions {
  float decay = 0.999f;     // of the moving averages
  float epsilon = 0.001f;   // joins the variance
  bool center = true;       // adds `beta`
  bool scale = false;       // multiplies with `gamma`
  bool is_training = true;  // the batch's moments, and updates of the averages; else the averages
  bool fused = false;       // one kernel (images only; not with renorm)
  bool renorm = false;      // batch renormalization, Ioffe 2017
  float renorm_decay = 0.99f;
  float renorm_rmax = 3;               // r stays within [1/rmax, rmax]
  float renorm_dmax = 5;               // d stays within [-dmax, dmax]
  Initializer gamma_initializer = {};  // default: ones
  Activation activation = {};          // default: none
  std::string data_format = "NHWC";
};

// Variables beta, gamma, moving_mean, moving_variance, always in 32 bits. When training, the updates of the moving
// averages join collections::kUpdateOps (operations without outputs: take Output::node()); run them with each step.
// Images, or [batch, features]. InvalidArgumentError when fused and renorm are both on.
MOX_EXPORT tensorflow::Output batch_norm(const Scope& scope, const tensorflow::Output& inputs,
                                         const std::string& name = "BatchNorm", const BatchNormOptions& options = {});
// batch_norm(…, "BatchNorm", options) as a layer's normalizer.
MOX_EXPORT Normalizer batch_normalizer(const BatchNormOptions& options = {});

struct Conv2dOptions {
  Size2d stride = 1;
  Padding padding = Padding::kSame;
  Size2d rate = 1;  // dilation; not together with a stride
  int groups = 1;   // each group of outputs sees its own group of input channels
  Activation activation = relu;
  Normalizer normalizer = {};  // given: no biases
  bool use_bias = true;
  float weight_decay = 0;                // of weights
  float bias_weight_decay = 0;           // of biases
  Initializer weights_initializer = {};  // default: Xavier, uniform
  Initializer biases_initializer = {};   // default: zeros
  std::string data_format = "NHWC";
};

// Images -> images of num_outputs channels, height and width divided by the stride. Variables `weights` [kernel height,
// kernel width, input channels / groups, num_outputs], `biases`. InvalidArgumentError for a stride together with a
// rate, and where channels are no multiple of groups.
MOX_EXPORT tensorflow::Output conv2d(const Scope& scope, const tensorflow::Output& inputs, int num_outputs,
                                     KernelSize kernel_size, const std::string& name,
                                     const Conv2dOptions& options = {});

// The gradient of a convolution as a layer of its own: images grow by the stride. Variables `weights` [kernel height,
// kernel width, num_outputs, input channels], `biases`. `rate` and `groups` must be 1.
MOX_EXPORT tensorflow::Output conv2d_transpose(const Scope& scope, const tensorflow::Output& inputs, int num_outputs,
                                               KernelSize kernel_size, const std::string& name,
                                               const Conv2dOptions& options = {});

struct SeparableConv2dOptions {
  int depth_multiplier = 1;  // outputs of the depthwise step per input channel
  Size2d stride = 1;         // of the depthwise step
  Padding padding = Padding::kSame;
  Size2d rate = 1;  // dilation of the depthwise step; not together with a stride
  Activation activation = relu;
  Normalizer normalizer = {};  // given: no biases
  bool use_bias = true;
  float weight_decay = 0;                  // of both weights
  Initializer weights_initializer = {};    // of the depthwise step; default: Xavier, uniform
  Initializer pointwise_initializer = {};  // default: weights_initializer
  Initializer biases_initializer = {};     // default: zeros
  std::string data_format = "NHWC";
};

// Variables `depthwise_weights` [h, w, channels, multiplier], `pointwise_weights` [1, 1, channels * multiplier,
// num_outputs], `biases`. InvalidArgumentError for a stride together with a rate, or another one for height than width.
MOX_EXPORT tensorflow::Output separable_conv2d(const Scope& scope, const tensorflow::Output& inputs, int num_outputs,
                                               KernelSize kernel_size, const std::string& name,
                                               const SeparableConv2dOptions& options = {});
// The depthwise step alone (TF-slim: separable_conv2d with num_outputs=None).
MOX_EXPORT tensorflow::Output depthwise_conv2d(const Scope& scope, const tensorflow::Output& inputs,
                                               KernelSize kernel_size, const std::string& name,
                                               const SeparableConv2dOptions& options = {});

struct FullyConnectedOptions {
  Activation activation = relu;
  Normalizer normalizer = {};  // given: no biases
  bool use_bias = true;
  float weight_decay = 0;                // of weights
  float bias_weight_decay = 0;           // of biases
  Initializer weights_initializer = {};  // default: Xavier, uniform
  Initializer biases_initializer = {};   // default: zeros
};

// [batch, features] -> [batch, num_outputs]. Variables `weights` [features, num_outputs], `biases`.
// InvalidArgumentError for images: flatten them before.
MOX_EXPORT tensorflow::Output fully_connected(const Scope& scope, const tensorflow::Output& inputs, int num_outputs,
                                              const std::string& name, const FullyConnectedOptions& options = {});

struct PoolOptions {
  Size2d stride = 2;
  Padding padding = Padding::kValid;
  std::string data_format = "NHWC";
};
// The largest element of each window of an image's channel.
MOX_EXPORT tensorflow::Output max_pool2d(const Scope& scope, const tensorflow::Output& inputs, KernelSize kernel_size,
                                         const std::string& name, const PoolOptions& options = {});
// The mean of the elements that are inside the image: padding does not count.
MOX_EXPORT tensorflow::Output avg_pool2d(const Scope& scope, const tensorflow::Output& inputs, KernelSize kernel_size,
                                         const std::string& name, const PoolOptions& options = {});
// The mean over height and width; with keep_dims they stay, with size 1: [batch, 1, 1, channels], else [batch,
// channels].
MOX_EXPORT tensorflow::Output global_avg_pool(const Scope& scope, const tensorflow::Output& inputs,
                                              const std::string& name, bool keep_dims = true,
                                              const std::string& data_format = "NHWC");

// x / keep_prob with probability keep_prob, else 0; `inputs` itself when not training. InvalidArgumentError unless
// 0 < keep_prob <= 1.
MOX_EXPORT tensorflow::Output dropout(const Scope& scope, const tensorflow::Output& inputs, float keep_prob,
                                      bool is_training, const std::string& name = "Dropout");
// [batch, everything else], in the order of NHWC, so that weights mean the same in both formats. InvalidArgumentError
// for a scalar and for sizes, but the batch's, that the graph does not know.
MOX_EXPORT tensorflow::Output flatten(const Scope& scope, const tensorflow::Output& inputs,
                                      const std::string& name = "Flatten", const std::string& data_format = "NHWC");
// [batch, 1, 1, n] or [batch, n, 1, 1] -> [batch, n].
MOX_EXPORT tensorflow::Output spatial_squeeze(const Scope& scope, const tensorflow::Output& inputs,
                                              const std::string& name = "SpatialSqueeze",
                                              const std::string& data_format = "NHWC");
// [batch, classes] -> the same; each row's exp(x), divided by their sum.
MOX_EXPORT tensorflow::Output softmax(const Scope& scope, const tensorflow::Output& logits,
                                      const std::string& name = "Softmax");
// Integer labels [batch] -> float [batch, num_classes]; a label that is no class makes a row of zeros.
MOX_EXPORT tensorflow::Output one_hot_encoding(const Scope& scope, const tensorflow::Output& labels, int num_classes,
                                               const std::string& name = "OneHotEncoding");
struct LocalResponseOptions {
  int depth_radius = 5;  // channels on each side
  float bias = 1;
  float alpha = 1;
  float beta = 0.5f;
  std::string data_format = "NHWC";
};
// x / (bias + alpha * sum of squares of the channels around)^beta. Use this and not ops::LRN where gradients are
// needed: TensorFlow's C++ gradient of LRN ignores the operation's parameters.
MOX_EXPORT tensorflow::Output local_response_normalization(const Scope& scope, const tensorflow::Output& inputs,
                                                           const std::string& name,
                                                           const LocalResponseOptions& options = {});
// Images side by side along their channels. InvalidArgumentError for none.
MOX_EXPORT tensorflow::Output concat_channels(const Scope& scope, const std::vector<tensorflow::Output>& inputs,
                                              const std::string& name = "concat",
                                              const std::string& data_format = "NHWC");
// Rows above and below, columns left and right.
struct Margins {
  int top = 0, bottom = 0, left = 0, right = 0;
};
// Zeros around height and width.
MOX_EXPORT tensorflow::Output pad2d(const Scope& scope, const tensorflow::Output& inputs, const Margins& margins,
                                    const std::string& name = "Pad", const std::string& data_format = "NHWC");
// [batch, height, width, channels] -> [batch, channels, height, width].
MOX_EXPORT tensorflow::Output nhwc_to_nchw(const Scope& scope, const tensorflow::Output& images);
// The other way.
MOX_EXPORT tensorflow::Output nchw_to_nhwc(const Scope& scope, const tensorflow::Output& images);

}  // namespace mox::layers
