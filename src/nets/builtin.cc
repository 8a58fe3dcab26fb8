// The table of networks: name, image size, labels offset, variables of the last layer, channels, preprocessing,
// function.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/limits.h"
#include "base/near_name.h"
#include "base/registry.h"
#include "layers/layout.h"
#include "moxing/error.h"
#include "nets/families.h"
#include "tensorflow/cc/ops/image_ops.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace nets {
namespace {

// clang-format off
struct BuiltIn {
  const char* name;
  int image_size, labels_offset;
  const char* logits_pattern;
  int channels;
  const char* preprocessing;
  BuildFn* build;
};

constexpr BuiltIn kNetworks[] = {
    // name, image size, labels offset, logits pattern, channels, preprocessing, function
    {"alexnet_v2", 224, 1, "fc8", 3, "vgg", alexnet_v2},
    {"cifarnet", 32, 0, "logits", 3, "cifarnet", cifarnet},
    {"overfeat", 231, 1, "fc8", 3, "vgg", overfeat},
    {"vgg_a", 224, 1, "fc8", 3, "vgg", vgg},
    {"vgg_16", 224, 1, "fc8", 3, "vgg", vgg},
    {"vgg_19", 224, 1, "fc8", 3, "vgg", vgg},
    {"vgg_a_bn", 224, 1, "fc8", 3, "vgg", vgg},
    {"vgg_16_bn", 224, 1, "fc8", 3, "vgg", vgg},
    {"vgg_19_bn", 224, 1, "fc8", 3, "vgg", vgg},
    {"inception_v1", 224, 0, "Logits", 3, "inception", inception_v1},
    {"inception_v2", 224, 0, "Logits", 3, "inception", inception_v2},
    {"inception_v3", 299, 0, "Logits", 3, "inception", inception_v3},
    {"inception_v4", 299, 0, "Logits", 3, "inception", inception_v4},
    {"inception_resnet_v2", 299, 0, "Logits", 3, "inception", inception_resnet_v2},
    {"lenet", 28, 0, "fc4", 1, "lenet", lenet},
    {"resnet_v1_18", 224, 1, "logits", 3, "vgg", resnet_v1_basic},
    {"resnet_v1_50", 224, 1, "logits", 3, "vgg", resnet_v1},
    {"resnet_v1_50_8k", 224, 1, "logits", 3, "vgg", resnet_v1},
    {"resnet_v1_101", 224, 1, "logits", 3, "vgg", resnet_v1},
    {"resnet_v1_152", 224, 1, "logits", 3, "vgg", resnet_v1},
    {"resnet_v1_200", 224, 1, "logits", 3, "vgg", resnet_v1},
    {"resnet_v2_50", 224, 1, "logits", 3, "vgg", resnet_v2},
    {"resnet_v2_101", 224, 1, "logits", 3, "vgg", resnet_v2},
    {"resnet_v2_152", 224, 1, "logits", 3, "vgg", resnet_v2},
    {"resnet_v2_200", 224, 1, "logits", 3, "vgg", resnet_v2},
    {"resnext_b_50", 224, 1, "logits", 3, "vgg", resnext},
    {"resnext_b_101", 224, 1, "logits", 3, "vgg", resnext},
    {"resnext_c_50", 224, 1, "logits", 3, "vgg", resnext},
    {"resnext_c_101", 224, 1, "logits", 3, "vgg", resnext},
    // As torchvision and timm, and as Keras, have them: for weights from there (mox convert).
    {"resnet_v15_18", 224, 1, "logits", 3, "torch", resnet_v1_basic},
    {"resnet_v15_34", 224, 1, "logits", 3, "torch", resnet_v1_basic},
    {"resnet_v15_50", 224, 1, "logits", 3, "torch", resnet_v1},
    {"resnet_v15_101", 224, 1, "logits", 3, "torch", resnet_v1},
    {"resnet_v15_152", 224, 1, "logits", 3, "torch", resnet_v1},
    {"resnet_v1_keras_50", 224, 1, "logits", 3, "vgg", resnet_v1},
    {"resnet_v1_keras_101", 224, 1, "logits", 3, "vgg", resnet_v1},
    {"resnet_v1_keras_152", 224, 1, "logits", 3, "vgg", resnet_v1},
    {"resnet_v2_keras_50", 224, 1, "logits", 3, "inception", resnet_v2},
    {"resnet_v2_keras_101", 224, 1, "logits", 3, "inception", resnet_v2},
    {"resnet_v2_keras_152", 224, 1, "logits", 3, "inception", resnet_v2},
    {"pvanet", 224, 0, "logits", 3, "pvanet", pvanet},
    {"mobilenet_v1", 224, 0, "Logits", 3, "inception", mobilenet_v1},
    {"mobilenet_v1_075", 224, 0, "Logits", 3, "inception", mobilenet_v1},
    {"mobilenet_v1_050", 224, 0, "Logits", 3, "inception", mobilenet_v1},
    {"mobilenet_v1_025", 224, 0, "Logits", 3, "inception", mobilenet_v1},
    {"mobilenet_v2", 224, 0, "Logits", 3, "inception", mobilenet_v2},
    {"mobilenet_v2_140", 224, 0, "Logits", 3, "inception", mobilenet_v2},
    {"mobilenet_v2_035", 224, 0, "Logits", 3, "inception", mobilenet_v2},
    {"resnet_v1_20", 32, 0, "logits", 3, "cifarnet", resnet_v1_cifar},
    {"resnet_v1_110", 32, 0, "logits", 3, "cifarnet", resnet_v1_cifar},
    {"nasnet_cifar", 32, 0, "FC", 3, "cifarnet", nasnet_family},
    {"nasnet_mobile", 224, 0, "FC", 3, "inception", nasnet_family},
    {"nasnet_large", 331, 0, "FC", 3, "inception", nasnet_family},
    {"pnasnet_large", 331, 0, "FC", 3, "inception", nasnet_family},
    {"pnasnet_mobile", 224, 0, "FC", 3, "inception", nasnet_family},
};
// clang-format on

struct Network {
  ModelMeta meta;
  NetworkBuilder build;
};

Registry<Network>& registry() {
  static auto* all = [] {
    auto* filling = new Registry<Network>("network");
    for (const BuiltIn& n : kNetworks)
      filling->add(n.name, {{n.image_size, n.labels_offset, n.logits_pattern, n.channels, n.preprocessing}, n.build},
                   kBuiltIn);
    return filling;
  }();
  return *all;
}

// Stays where it is.
const Network& find_network(const std::string& name) {
  if (const Network* found = registry().find(name)) return *found;
  throw InvalidArgumentError("there is no network '" + name + "'; there are: " + listed(registry().names()) +
                             did_you_mean(name, registry().names()));
}

}  // namespace
}  // namespace nets

namespace {

bool is_floating(tf::DataType type) {
  return type == tf::DT_FLOAT || type == tf::DT_HALF || type == tf::DT_BFLOAT16 || type == tf::DT_DOUBLE;
}

constexpr int64_t kMaxImageChannels = 4;

bool are_image_channels(int64_t size, int network_channels) {
  return size <= kMaxImageChannels || size == network_channels;  // size -1: not known
}

// With data_format NCHW, images that a preprocess_fn has transposed already are told by where their channels are.
bool are_nchw(const std::vector<int64_t>& shape, int network_channels) {
  return shape[1] >= 0 && are_image_channels(shape[1], network_channels) &&
         !are_image_channels(shape[3], network_channels);
}

// Returns whether the images are NCHW.
bool check_images(const Scope& scope, const nets::Params& params, int network_channels, const tf::Output& images) {
  const std::string& name = params.name;
  const std::vector<int64_t> shape = static_shape(scope, images);
  if (shape.size() != 4)
    throw InvalidArgumentError("network " + name + " got images of " + std::to_string(shape.size()) +
                               " dimensions; expected [batch, height, width, channels]");
  const bool nchw = params.options.data_format == "NCHW" && are_nchw(shape, network_channels);
  if (!nchw && !are_image_channels(shape[3], network_channels))
    throw InvalidArgumentError(
        fmt::format("network {} got images of shape [{}], which have {} channels; expected [batch, height, width, "
                    "channels] with at most {} channels{}",
                    name, fmt::join(shape, ","), shape[3], std::max<int64_t>(kMaxImageChannels, network_channels),
                    are_nchw(shape, network_channels) ? ": transpose them, or give data_format='NCHW'" : ""));
  if (!is_floating(images.type()))
    throw InvalidArgumentError("network " + name + " got images of type " + tf::DataTypeString(images.type()) +
                               "; expected a floating point type: use get_data_augmentation_fn in input_fn, or cast "
                               "the images and bring them to the range that the network was trained with");
  return nchw;
}

void check_options(const std::string& name, int num_classes, const ModelFnOptions& options) {
  const std::string who = "get_model_fn('" + name + "'): ";
  check_integer(who + "num_classes", num_classes, 1, kMaxClasses);
  check_integer(who + "image_height", options.image_height, 0, kMaxImageSide, "give image_width, too, or neither");
  check_integer(who + "image_width", options.image_width, 0, kMaxImageSide, "give image_height, too, or neither");
  check_data_format(options.data_format);
  if ((options.image_height > 0) != (options.image_width > 0))
    throw InvalidArgumentError("get_model_fn('" + name + "'): image_height is " + std::to_string(options.image_height) +
                               " and image_width " + std::to_string(options.image_width) + "; give both, or neither");
  for (float keep : {options.dropout_keep_prob, options.drop_path_keep_prob})
    if (keep < 0 || keep > 1)
      throw InvalidArgumentError("get_model_fn('" + name + "'): a keep probability of " + std::to_string(keep) +
                                 "; it must be within 0 (the network's own) and 1");
}

std::string list_names(const std::vector<std::pair<std::string, tf::Output>>& end_points) {
  std::string names;
  for (const auto& [name, output] : end_points) names += (names.empty() ? "" : ", ") + name;
  return names;
}

}  // namespace

bool NetworkOutput::has(const std::string& name) const {
  return std::any_of(end_points.begin(), end_points.end(), [&](const auto& e) { return e.first == name; });
}

const tf::Output& NetworkOutput::operator[](const std::string& name) const {
  for (const auto& [key, output] : end_points)
    if (key == name) return output;
  throw InvalidArgumentError("the network has no end point '" + name + "'; it has: " + list_names(end_points));
}

tf::Output default_preprocess(const Scope& scope, const tf::Output& images, ModeKeys mode, int image_height,
                              int image_width) {
  if (mode != ModeKeys::PREDICT && mode != ModeKeys::EXPORT) return images;
  tf::Output x = is_floating(images.type()) ? images : tf::Output(ops::Cast(scope, images, tf::DT_FLOAT));
  if (image_height == 0) return x;
  const tf::Output resized = ops::ResizeBilinear(scope.WithOpName("resize_images"), x, {image_height, image_width});
  return resized.type() == x.type() ? resized : tf::Output(ops::Cast(scope, resized, x.type()));
}

NetworkFn get_model_fn(const std::string& name, ModeKeys run_mode, int num_classes, const ModelFnOptions& options) {
  const nets::Network& network = nets::find_network(name);
  check_options(name, num_classes, options);
  const nets::Params params{name, run_mode == ModeKeys::TRAIN, num_classes, options};
  return [&network, params, run_mode](const Scope& scope, const tf::Output& images) {
    const ModelFnOptions& o = params.options;
    tf::Output x = images;
    if (o.preprocess && o.preprocess_fn)
      x = o.preprocess_fn(scope, x);
    else if (o.preprocess)
      x = default_preprocess(scope, x, run_mode, o.image_height, o.image_width);
    const bool nchw = check_images(scope, params, network.meta.default_channels, x);
    if (o.data_format == "NCHW" && !nchw) x = layers::nhwc_to_nchw(scope, x);
    NetworkOutput output = network.build(scope, x, params);
    check(scope, "building network " + params.name);
    if (!output.logits.node())
      throw InvalidArgumentError("network " + params.name + ": the function that builds it returned no logits");
    return output;
  };
}

ModelMeta get_model_meta(const std::string& name) { return nets::find_network(name).meta; }

std::vector<std::string> network_names() { return nets::registry().names(); }

void register_network(const std::string& name, const ModelMeta& meta, NetworkBuilder build) {
  const std::string who = "register_network('" + name + "'): ";
  if (!build) throw InvalidArgumentError(who + "the function that builds it is empty");
  check_integer(who + "default_image_size", meta.default_image_size, 1, kMaxImageSide);
  check_integer(who + "default_labels_offset", meta.default_labels_offset, 0, kMaxClasses);
  check_integer(who + "default_channels", meta.default_channels, 1, kMaxImageSide);
  nets::registry().add(name, {meta, std::move(build)});
}

}  // namespace mox
