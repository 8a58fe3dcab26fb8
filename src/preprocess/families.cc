// Which family and size belong to which network: the manual's PreprocessingKeys.
#include "preprocess/families.h"

#include <algorithm>

#include "base/limits.h"
#include "graph/graph_state.h"
#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;

namespace {

struct FamilyEntry {
  const char* name;
  preprocess::Family build;
};

constexpr FamilyEntry kCifarnet = {"cifarnet_preprocessing", preprocess::cifarnet};
constexpr FamilyEntry kInception = {"inception_preprocessing", preprocess::inception};
constexpr FamilyEntry kLenet = {"lenet_preprocessing", preprocess::lenet};
constexpr FamilyEntry kPvanet = {"pvanet_preprocessing", preprocess::pvanet};
constexpr FamilyEntry kVgg = {"vgg_preprocessing", preprocess::vgg};

struct NetworkEntry {
  const char* name;
  const FamilyEntry& family;
  int image_size;
};

// clang-format off
constexpr NetworkEntry kNetworks[] = {  // sorted: an error lists them in this order
    {"alexnet_v2", kVgg, 224},
    {"cifarnet", kCifarnet, 32},
    {"inception", kInception, 299},
    {"inception_resnet_v2", kInception, 299},
    {"inception_v1", kInception, 224},
    {"inception_v2", kInception, 224},
    {"inception_v3", kInception, 299},
    {"inception_v4", kInception, 299},
    {"lenet", kLenet, 28},
    {"mobilenet_v1", kInception, 224},
    {"mobilenet_v1_025", kInception, 224},
    {"mobilenet_v1_050", kInception, 224},
    {"mobilenet_v1_075", kInception, 224},
    {"mobilenet_v2", kInception, 224},
    {"mobilenet_v2_035", kInception, 224},
    {"mobilenet_v2_140", kInception, 224},
    {"nasnet_cifar", kCifarnet, 32},
    {"nasnet_large", kInception, 331},
    {"nasnet_mobile", kInception, 224},
    {"overfeat", kVgg, 224},
    {"pnasnet_large", kInception, 331},
    {"pnasnet_mobile", kInception, 224},
    {"pvanet", kPvanet, 224},
    {"resnet_v1_101", kVgg, 224},
    {"resnet_v1_110", kCifarnet, 32},
    {"resnet_v1_152", kVgg, 224},
    {"resnet_v1_18", kVgg, 224},
    {"resnet_v1_20", kCifarnet, 32},
    {"resnet_v1_200", kVgg, 224},
    {"resnet_v1_50", kVgg, 224},
    {"resnet_v1_50_8k", kVgg, 224},
    {"resnet_v2_101", kVgg, 224},
    {"resnet_v2_152", kVgg, 224},
    {"resnet_v2_200", kVgg, 224},
    {"resnet_v2_50", kVgg, 224},
    {"resnext_b_101", kVgg, 224},
    {"resnext_b_50", kVgg, 224},
    {"resnext_c_101", kVgg, 224},
    {"resnext_c_50", kVgg, 224},
    {"vgg", kVgg, 224},
    {"vgg_16", kVgg, 224},
    {"vgg_16_bn", kVgg, 224},
    {"vgg_19", kVgg, 224},
    {"vgg_19_bn", kVgg, 224},
    {"vgg_a", kVgg, 224},
    {"vgg_a_bn", kVgg, 224},
};
// clang-format on

const NetworkEntry& find_network(const std::string& name) {
  for (const NetworkEntry& entry : kNetworks)
    if (name == entry.name) return entry;
  std::string known;
  for (const NetworkEntry& entry : kNetworks) known += std::string(known.empty() ? "" : ", ") + entry.name;
  throw InvalidArgumentError("get_data_augmentation_fn: no preprocessing is known for network '" + name +
                             "'; there are: " + known);
}

int output_side(const char* which, int asked, int by_default) {
  check_integer(std::string("get_data_augmentation_fn: ") + which, asked, 0, kMaxImageSide,
                "0 means the network's default");
  return asked == 0 ? by_default : asked;
}

// The image as the families want it; an error that tells what to do, rather than a kernel's, for what they cannot take.
void check_image(const Scope& scope, const tf::Output& image, const std::string& name) {
  if (image.type() != tf::DT_UINT8 && image.type() != tf::DT_FLOAT)
    throw InvalidArgumentError("preprocessing of " + name + ": image " + image.name() + " has type " +
                               tf::DataTypeString(image.type()) + ", expected uint8 or float");
  auto* context = scope.state().refiner.GetContext(image.node());
  const auto shape = context->output(image.index());
  if (context->RankKnown(shape) && context->Rank(shape) != 3)
    throw InvalidArgumentError("preprocessing of " + name + ": image " + image.name() + " has shape " +
                               context->DebugString(shape) +
                               ", expected one image [height, width, channels] without a batch dimension");
}

}  // namespace

AugmentationFn get_data_augmentation_fn(const std::string& name, ModeKeys run_mode, int output_height, int output_width,
                                        const AugmentationOptions& options) {
  const NetworkEntry& network = find_network(name);
  const preprocess::Request request = {run_mode == ModeKeys::TRAIN,
                                       output_side("output_height", output_height, network.image_size),
                                       output_side("output_width", output_width, network.image_size), options};
  return [request, name, build = network.family.build](const Scope& parent, const tf::Output& image) {
    const Scope scope = parent.with(parent.NewSubScope("preprocess_" + name));
    check(scope, "preprocessing of " + name);
    check_image(scope, image, name);
    const tf::Output result = build(scope, image, request);
    check(scope, "preprocessing of " + name);
    return result;
  };
}

PreprocessingMeta get_preprocessing_meta(const std::string& name) {
  const NetworkEntry& network = find_network(name);
  return {network.family.name, network.image_size};
}

std::vector<std::string> preprocessing_names() {
  std::vector<std::string> names;
  for (const NetworkEntry& entry : kNetworks) names.push_back(entry.name);
  return names;
}

}  // namespace mox
