// What the families of networks are built from. Private to src/nets.
#pragma once

#include <string>
#include <utility>

#include "moxing/layers.h"
#include "moxing/nets.h"

namespace mox::nets {

// How a network is to be built; the same for every family.
struct Params {
  std::string name;  // the key in the table
  bool is_training = false;
  int num_classes = 0;
  ModelFnOptions options;
};

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
  // Puts batch_norm, as it is now, after every convolution of the defaults above.
  void normalize_convolutions();

  tensorflow::Output conv2d(const Scope& scope, const tensorflow::Output& x, int num_outputs, layers::KernelSize kernel,
                            const std::string& name, layers::Size2d stride = 1) const;
  tensorflow::Output conv2d(const Scope& scope, const tensorflow::Output& x, int num_outputs, layers::KernelSize kernel,
                            const std::string& name, layers::Size2d stride, layers::Padding padding) const;
  // No normalizer, no activation, biases from zero: the logits of most families.
  tensorflow::Output linear_conv2d(const Scope& scope, const tensorflow::Output& x, int num_outputs,
                                   layers::KernelSize kernel, const std::string& name) const;
  tensorflow::Output max_pool(const Scope& scope, const tensorflow::Output& x, layers::KernelSize kernel,
                              const std::string& name, layers::Size2d stride = 2) const;
  tensorflow::Output max_pool(const Scope& scope, const tensorflow::Output& x, layers::KernelSize kernel,
                              const std::string& name, layers::Size2d stride, layers::Padding padding) const;
  tensorflow::Output avg_pool(const Scope& scope, const tensorflow::Output& x, layers::KernelSize kernel,
                              const std::string& name, layers::Size2d stride, layers::Padding padding) const;
  tensorflow::Output global_pool(const Scope& scope, const tensorflow::Output& x, const std::string& name) const;
  tensorflow::Output concat(const Scope& scope, const std::vector<tensorflow::Output>& xs) const;
  tensorflow::Output flatten(const Scope& scope, const tensorflow::Output& x,
                             const std::string& name = "Flatten") const;
  tensorflow::Output squeeze(const Scope& scope, const tensorflow::Output& x,
                             const std::string& name = "SpatialSqueeze") const;
  // `keep_prob` unless the caller of get_model_fn set another.
  tensorflow::Output dropout(const Scope& scope, const tensorflow::Output& x, float keep_prob,
                             const std::string& name) const;
  // a + b, element by element, and an activation; in the format before our own transposes where both have one.
  tensorflow::Output add(const Scope& scope, const tensorflow::Output& a, const tensorflow::Output& b) const;
  // [height, width] of an image tensor, in either format; -1 where unknown.
  std::pair<int64_t, int64_t> image_size(const Scope& scope, const tensorflow::Output& x) const;
  int64_t channels(const Scope& scope, const tensorflow::Output& x) const;

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

}  // namespace mox::nets
