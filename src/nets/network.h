// What the families of networks are built from. Private to src/nets.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "moxing/layers.h"
#include "moxing/nets.h"

namespace mox::nets {

using Params = NetworkParams;

// A network being built: the family's defaults for its layers (TF-slim's arg_scope), and its end points.
class Net {
 public:
  explicit Net(const Params& params);

  const Params& params() const { return params_; }
  bool is_training() const { return params_.is_training; }
  const std::string& data_format() const { return params_.options.data_format; }
  int channel_axis() const { return data_format() == "NHWC" ? 3 : 1; }

  // Defaults that a family sets once.
  layers::Conv2dOptions conv;
  layers::SeparableConv2dOptions separable;
  layers::FullyConnectedOptions dense;
  layers::PoolOptions pool;
  layers::BatchNormOptions batch_norm;
  // The decay that the user asked for, else the family's own.
  float batch_norm_decay(float own) const {
    return params_.options.batch_norm_decay > 0 ? params_.options.batch_norm_decay : own;
  }
  // Puts batch_norm, as it is now, after every convolution of the defaults above.
  void normalize_convolutions();

  tensorflow::Output conv2d(const Scope& scope, const tensorflow::Output& x, int num_outputs, layers::KernelSize kernel,
                            const std::string& name, layers::Size2d stride = 1) const;
  tensorflow::Output conv2d(const Scope& scope, const tensorflow::Output& x, int num_outputs, layers::KernelSize kernel,
                            const std::string& name, layers::Size2d stride, layers::Padding padding) const;
  // Padded evenly on both sides for any stride, which "SAME" is not: where the image's corner is depends on it.
  tensorflow::Output conv2d_same(const Scope& scope, const tensorflow::Output& x, int num_outputs, int kernel,
                                 const std::string& name, int stride, layers::Conv2dOptions options) const;
  // No normalizer, no activation, biases from zero: the logits of most families.
  tensorflow::Output linear_conv2d(const Scope& scope, const tensorflow::Output& x, int num_outputs,
                                   layers::KernelSize kernel, const std::string& name) const;
  tensorflow::Output max_pool(const Scope& scope, const tensorflow::Output& x, layers::KernelSize kernel,
                              const std::string& name, layers::Size2d stride = 2) const;
  tensorflow::Output max_pool(const Scope& scope, const tensorflow::Output& x, layers::KernelSize kernel,
                              const std::string& name, layers::Size2d stride, layers::Padding padding) const;
  tensorflow::Output avg_pool(const Scope& scope, const tensorflow::Output& x, layers::KernelSize kernel,
                              const std::string& name, layers::Size2d stride, layers::Padding padding) const;
  // The mean over a window of `size`, or over the whole image where that is smaller.
  tensorflow::Output final_pool(const Scope& scope, const tensorflow::Output& x, int size,
                                const std::string& name) const;
  tensorflow::Output global_pool(const Scope& scope, const tensorflow::Output& x, const std::string& name) const;
  // Every `stride`th row and column, beginning at `offset` (0 or 1; beyond the image there are zeros).
  tensorflow::Output subsample(const Scope& scope, const tensorflow::Output& x, int stride, int offset = 0) const;
  tensorflow::Output concat(const Scope& scope, const std::vector<tensorflow::Output>& xs) const;
  tensorflow::Output flatten(const Scope& scope, const tensorflow::Output& x,
                             const std::string& name = "Flatten") const;
  // Logits [batch, 1, 1, n] -> [batch, n]; the mean over the places where the image is larger than the network's own.
  tensorflow::Output squeeze_logits(const Scope& scope, const tensorflow::Output& x,
                                    const std::string& name = "SpatialSqueeze") const;
  // A dense layer without activation.
  tensorflow::Output linear(const Scope& scope, const tensorflow::Output& x, int num_outputs,
                            const std::string& name) const;
  // `keep_prob` unless the caller of get_model_fn set another.
  tensorflow::Output dropout(const Scope& scope, const tensorflow::Output& x, float keep_prob,
                             const std::string& name) const;
  // a + b and x * factor, element by element, in the format before our own transposes where there are some.
  tensorflow::Output add(const Scope& scope, const tensorflow::Output& a, const tensorflow::Output& b) const;
  tensorflow::Output scale(const Scope& scope, const tensorflow::Output& x, float factor) const;
  // The size of an image tensor in either format. InvalidArgumentError where `needed` and not known.
  layers::Size2d image_size(const Scope& scope, const tensorflow::Output& x, bool needed = true) const;
  int channels(const Scope& scope, const tensorflow::Output& x) const;

  // Adds an end point and returns it.
  tensorflow::Output end_point(const std::string& name, const tensorflow::Output& x);
  // The result: logits, all end points, and softmax(logits) as the last of them.
  NetworkOutput finish(const Scope& scope, const tensorflow::Output& logits, const std::string& logits_name = "Logits",
                       const std::string& predictions_name = "Predictions");
  NetworkOutput output(const tensorflow::Output& logits) const { return {logits, end_points_}; }

 private:
  Params params_;
  std::vector<std::pair<std::string, tensorflow::Output>> end_points_;
};

// The dense layers of AlexNet, OverFeat and VGG as convolutions, with dropout between them: end points fc6, fc7, fc8.
struct ConvHead {
  int fc6 = 4096;
  layers::KernelSize fc6_kernel = 7;
  int fc7 = 4096;
};
NetworkOutput finish_with_head(Net& net, const Scope& scope, const tensorflow::Output& x, const ConvHead& head);

}  // namespace mox::nets
