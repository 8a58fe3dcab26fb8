// The built-in image classification networks, with TF-slim's variables, shapes and end points.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "moxing/export.h"
#include "moxing/mode_keys.h"
#include "moxing/scope.h"

namespace mox {

// Names of the networks.
namespace NetworkKeys {
inline constexpr char ALEXNET_V2[] = "alexnet_v2";
inline constexpr char CIFARNET[] = "cifarnet";
inline constexpr char OVERFEAT[] = "overfeat";
inline constexpr char VGG_A[] = "vgg_a";
inline constexpr char VGG_16[] = "vgg_16";
inline constexpr char VGG_19[] = "vgg_19";
inline constexpr char VGG_A_BN[] = "vgg_a_bn";
inline constexpr char VGG_16_BN[] = "vgg_16_bn";
inline constexpr char VGG_19_BN[] = "vgg_19_bn";
inline constexpr char INCEPTION_V1[] = "inception_v1";
inline constexpr char INCEPTION_V2[] = "inception_v2";
inline constexpr char INCEPTION_V3[] = "inception_v3";
inline constexpr char INCEPTION_V4[] = "inception_v4";
inline constexpr char INCEPTION_RESNET_V2[] = "inception_resnet_v2";
inline constexpr char LENET[] = "lenet";
inline constexpr char RESNET_V1_18[] = "resnet_v1_18";
inline constexpr char RESNET_V1_20[] = "resnet_v1_20";
inline constexpr char RESNET_V1_50[] = "resnet_v1_50";
inline constexpr char RESNET_V1_50_8K[] = "resnet_v1_50_8k";
inline constexpr char RESNET_V1_101[] = "resnet_v1_101";
inline constexpr char RESNET_V1_110[] = "resnet_v1_110";
inline constexpr char RESNET_V1_152[] = "resnet_v1_152";
inline constexpr char RESNET_V1_200[] = "resnet_v1_200";
inline constexpr char RESNET_V2_50[] = "resnet_v2_50";
inline constexpr char RESNET_V2_101[] = "resnet_v2_101";
inline constexpr char RESNET_V2_152[] = "resnet_v2_152";
inline constexpr char RESNET_V2_200[] = "resnet_v2_200";
inline constexpr char RESNET_V15_18[] = "resnet_v15_18";
inline constexpr char RESNET_V15_34[] = "resnet_v15_34";
inline constexpr char RESNET_V15_50[] = "resnet_v15_50";
inline constexpr char RESNET_V15_101[] = "resnet_v15_101";
inline constexpr char RESNET_V15_152[] = "resnet_v15_152";
inline constexpr char RESNET_V1_KERAS_50[] = "resnet_v1_keras_50";
inline constexpr char RESNET_V1_KERAS_101[] = "resnet_v1_keras_101";
inline constexpr char RESNET_V1_KERAS_152[] = "resnet_v1_keras_152";
inline constexpr char RESNET_V2_KERAS_50[] = "resnet_v2_keras_50";
inline constexpr char RESNET_V2_KERAS_101[] = "resnet_v2_keras_101";
inline constexpr char RESNET_V2_KERAS_152[] = "resnet_v2_keras_152";
inline constexpr char RESNEXT_B_50[] = "resnext_b_50";
inline constexpr char RESNEXT_B_101[] = "resnext_b_101";
inline constexpr char RESNEXT_C_50[] = "resnext_c_50";
inline constexpr char RESNEXT_C_101[] = "resnext_c_101";
inline constexpr char PVANET[] = "pvanet";
inline constexpr char MOBILENET_V1[] = "mobilenet_v1";
inline constexpr char MOBILENET_V1_075[] = "mobilenet_v1_075";
inline constexpr char MOBILENET_V1_050[] = "mobilenet_v1_050";
inline constexpr char MOBILENET_V1_025[] = "mobilenet_v1_025";
inline constexpr char MOBILENET_V2[] = "mobilenet_v2";
inline constexpr char MOBILENET_V2_140[] = "mobilenet_v2_140";
inline constexpr char MOBILENET_V2_035[] = "mobilenet_v2_035";
inline constexpr char NASNET_CIFAR[] = "nasnet_cifar";
inline constexpr char NASNET_MOBILE[] = "nasnet_mobile";
inline constexpr char NASNET_LARGE[] = "nasnet_large";
inline constexpr char PNASNET_LARGE[] = "pnasnet_large";
inline constexpr char PNASNET_MOBILE[] = "pnasnet_mobile";
}  // namespace NetworkKeys

// Images [batch, height, width, channels] -> the same; e.g. what a client of an exported model leaves to the graph.
using ImagesFn = std::function<tensorflow::Output(const Scope&, const tensorflow::Output&)>;

// PREDICT and EXPORT: resizes to image_height x image_width (bilinear) where both are given; 8-bit images become
// float. TRAIN and EVAL: returns the images as they are, augmentation has made them.
MOX_EXPORT tensorflow::Output default_preprocess(const Scope& scope, const tensorflow::Output& images, ModeKeys mode,
                                                 int image_height, int image_width);

struct ModelFnOptions {
  float weight_decay = 0;            // of the weights; the terms join REGULARIZATION_LOSSES
  std::string data_format = "NHWC";  // inside the network; images are always NHWC
  bool batch_norm_fused = false;
  bool batch_renorm = false;
  int image_height = 0;  // PREDICT, EXPORT: images are resized to this inside the graph; 0: left as they are
  int image_width = 0;
  bool preprocess = true;         // false: neither preprocess_fn nor the resize above
  ImagesFn preprocess_fn = {};    // takes the place of default_preprocess
  float batch_norm_decay = 0;     // of the moving averages; 0: the network's own (0.9997 needs some 10,000 steps)
  float dropout_keep_prob = 0;    // in TRAIN; 0: the network's own, 1: no dropout
  float drop_path_keep_prob = 0;  // NASNet in TRAIN; 0: the network's own, 1: no drop path
};

struct NetworkOutput {
  tensorflow::Output logits = {};                                      // [batch, num_classes]
  std::vector<std::pair<std::string, tensorflow::Output>> end_points;  // in the order of the network
  // The end point of this name; InvalidArgumentError that lists all of them for another name.
  MOX_EXPORT const tensorflow::Output& operator[](const std::string& name) const;
  // Whether there is an end point of this name.
  MOX_EXPORT bool has(const std::string& name) const;
};

// Builds the network in a scope; variables are `<variable scope>/<network's scope>/…`.
using NetworkFn = std::function<NetworkOutput(const Scope&, const tensorflow::Output& images)>;

// InvalidArgumentError that lists all names when there is no such network. In TRAIN batch norm uses the batch, dropout
// is active, and the updates of moving averages join UPDATE_OPS; in the other modes none of this happens.
MOX_EXPORT NetworkFn get_model_fn(const std::string& name, ModeKeys run_mode, int num_classes,
                                  const ModelFnOptions& options = {});

struct ModelMeta {
  int default_image_size = 224;
  int default_labels_offset = 0;            // 1: the network's classes leave out ImageNet's background class
  std::string default_logits_pattern = {};  // matches the variables of the last layer, for checkpoint_exclude_patterns
  int default_channels = 3;
  std::string default_preprocessing = {};  // vgg, inception, … (preprocessing.h): of its images; "": none is known
};
// Of the network `name`; errors as get_model_fn.
MOX_EXPORT ModelMeta get_model_meta(const std::string& name);

// All names: MoXing's in the order of the manual, then the registered ones.
MOX_EXPORT std::vector<std::string> network_names();

// How a network is to be built, as get_model_fn was asked.
struct NetworkParams {
  std::string name;          // under which it was asked for
  bool is_training = false;  // TRAIN: batch norm uses the batch, dropout is active
  int num_classes = 0;
  ModelFnOptions options;
};
// Adds a network to the graph of `scope`. `images` are [batch, height, width, channels], for data_format NCHW
// [batch, channels, height, width]; of a floating point type. What it throws reaches the caller of the network.
using NetworkBuilder =
    std::function<NetworkOutput(const Scope& scope, const tensorflow::Output& images, const NetworkParams& params)>;
// From then on get_model_fn, get_model_meta, `mox nets`, `mox train` and Python know `name`. From any thread.
// InvalidArgumentError when the name is taken (it tells by whom) or cannot be one, when a number of `meta` is out of
// range, or `build` is empty.
MOX_EXPORT void register_network(const std::string& name, const ModelMeta& meta, NetworkBuilder build);

}  // namespace mox
