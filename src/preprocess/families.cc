// The table of preprocessing, and which of them belongs to which network: the manual's PreprocessingKeys.
#include "preprocess/families.h"

#include <algorithm>

#include "base/limits.h"
#include "base/registry.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/nets.h"
#include "preprocess/recipe.h"

namespace mox {

namespace tf = tensorflow;

namespace {

struct Preprocessing {
  std::string family;
  int image_size;
  PreprocessingBuilder build;
  const preprocess::Parts* parts = nullptr;  // of MoXing's own
};

Registry<Preprocessing>& registry() {
  static auto* all = [] {
    auto* filling = new Registry<Preprocessing>("preprocessing");
    const auto add = [&](const char* name, const char* family, int image_size, preprocess::Family* build,
                         const preprocess::Parts& parts) {
      filling->add(name, {family, image_size, build, &parts}, kBuiltIn);
    };
    using namespace preprocess;
    add("cifarnet", "cifarnet_preprocessing", 32, cifarnet, cifarnet_parts());
    add("inception", "inception_preprocessing", 299, inception, inception_parts());
    add("lenet", "lenet_preprocessing", 28, lenet, lenet_parts());
    add("pvanet", "pvanet_preprocessing", 224, pvanet, pvanet_parts());
    add("torch", "torch_preprocessing", 224, torch, torch_parts());
    add("vgg", "vgg_preprocessing", 224, vgg, vgg_parts());
    add("overfeat", "vgg_preprocessing", 224, vgg, vgg_parts());  // the network's own size is 231
    return filling;
  }();
  return *all;
}

bool is_network(const std::string& name) {
  const std::vector<std::string> names = network_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Of a preprocessing's own name, or of the network that names it.
Preprocessing find_preprocessing(const std::string& name) {
  if (const Preprocessing* found = registry().find(name)) return *found;
  if (!is_network(name))
    throw InvalidArgumentError("get_data_augmentation_fn: no preprocessing is known for network '" + name +
                               "'; there are: " + listed(preprocessing_names()));
  const ModelMeta network = get_model_meta(name);
  const Preprocessing* found = registry().find(network.default_preprocessing);
  if (!found)
    throw InvalidArgumentError("get_data_augmentation_fn: network '" + name + "' was registered with " +
                               (network.default_preprocessing.empty()
                                    ? "no default_preprocessing"
                                    : "the unknown preprocessing '" + network.default_preprocessing + "'") +
                               "; name another one (--preprocessing_name); there are: " + listed(registry().names()));
  return {found->family, network.default_image_size, found->build, found->parts};
}

int output_side(const char* which, int asked, int by_default) {
  check_integer(std::string("get_data_augmentation_fn: ") + which, asked, 0, kMaxImageSide,
                "0 means the network's default");
  return asked == 0 ? by_default : asked;
}

// What no image can be prepared with is told before any is.
void check_options(const AugmentationOptions& options) {
  const std::string who = "get_data_augmentation_fn: ";
  if (options.resize_side_max > 0 && options.resize_side_max < options.resize_side_min)
    throw InvalidArgumentError(who + "resize_side_min is " + std::to_string(options.resize_side_min) +
                               " and resize_side_max " + std::to_string(options.resize_side_max) +
                               ", expected the maximum not below the minimum");
  check_number(who + "area_min", options.area_min, 0, 1);
  check_number(who + "central_fraction", options.central_fraction, 0, 1);
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
  const Preprocessing found = find_preprocessing(name);
  check_options(options);
  const preprocess::Request request = {run_mode == ModeKeys::TRAIN,
                                       output_side("output_height", output_height, found.image_size),
                                       output_side("output_width", output_width, found.image_size), options};
  preprocess::check_recipe(options, found.parts, name);
  return [request, name, build = found.build, parts = found.parts](const Scope& parent, const tf::Output& image) {
    const Scope scope = parent.with(parent.NewSubScope("preprocess_" + name));
    check(scope, "preprocessing of " + name);
    check_image(scope, image, name);
    const tf::Output result = request.training ? preprocess::train_by_recipe(scope, image, request, build, parts)
                                               : build(scope, image, request);
    check(scope, "preprocessing of " + name);
    if (!result.node())
      throw InvalidArgumentError("preprocessing of " + name + ": the function that builds it returned no image");
    return result;
  };
}

PreprocessingMeta get_preprocessing_meta(const std::string& name) {
  const Preprocessing found = find_preprocessing(name);
  return {found.family, found.image_size};
}

std::vector<std::string> preprocessing_names() {
  std::vector<std::string> names = registry().names();
  for (const std::string& network : network_names())
    if (registry().find(get_model_meta(network).default_preprocessing)) names.push_back(network);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

void register_preprocessing(const std::string& name, int default_image_size, PreprocessingBuilder build) {
  const std::string who = "register_preprocessing('" + name + "'): ";
  if (!build) throw InvalidArgumentError(who + "the function that builds it is empty");
  check_integer(who + "default_image_size", default_image_size, 1, kMaxImageSide);
  registry().add(name, {name, default_image_size, std::move(build)});
}

}  // namespace mox
