// What is done to an image before a network sees it, by the network's name.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "moxing/export.h"
#include "moxing/mode_keys.h"
#include "moxing/scope.h"

namespace mox {

// Takes one image [height, width, channels] (uint8, or float: 0..1 for inception, 0..255 for the others; sizes may be
// unknown) and returns a float image [output_height, output_width, channels].
using AugmentationFn = std::function<tensorflow::Output(const Scope& scope, const tensorflow::Output& image)>;

// Each family reads what its line says; defaults are TF-slim's.
struct AugmentationOptions {
  int resize_side_min = 0;  // vgg, pvanet: the shorter side, in EVAL and at least in TRAIN; 0 = 256, or more where
                            // the output would not fit
  int resize_side_max = 0;  // vgg, pvanet: the shorter side, at most in TRAIN; 0 = twice resize_side_min
  bool fast_mode = true;    // inception: bilinear resize, no change of hue and contrast
  float central_fraction = 0.875;  // inception: the part of each side that EVAL keeps
  float area_min = 0.05f;          // inception: the least part of the image that a TRAIN crop covers
  int padding = 4;                 // cifarnet: black pixels on each side before the TRAIN crop

  // Of all families, in TRAIN alone; each takes the place of what the family has for it. With none of them nothing
  // changes.
  // default: the family's; none: TRAIN's images are those of EVAL; randaugment: two of 14 changes of colour and shape,
  // in place of the family's colours (Cubuk et al. 2019, as torchvision has it: magnitude 9 of 30).
  std::string augment = "default";
  // A random box in place of the family's cut: the least part of the image's area, and the largest (1 where it is not
  // given), aspect 3:4 to 4:3, resized to the output (Szegedy et al. 2014).
  std::vector<float> crop_scale = {};
  std::optional<float> hflip = {};  // the probability of a mirror image; the family's: 0.5, of lenet 0
  float vflip = 0;                  // of upside down
  // Brightness, contrast and saturation, each times 1 - x to 1 + x, in this order, and hue by -x to x of a turn (at
  // most 0.5); one number: the first three. In place of the family's colours (Howard 2013).
  std::vector<float> color_jitter = {};
  // The probability that a box of 2 % to 33 % of the output, aspect 0.3 to 3.3, becomes 0 (Zhong et al. 2017).
  float random_erasing = 0;
};

// The augmentation that belongs to network `name` (a network's name, or a family's). Random in TRAIN; the same image
// gives the same result in EVAL, PREDICT and EXPORT. 0 = the network's default size. InvalidArgumentError that lists
// the known names for another name; one that tells the option for those above that do not fit, or not together.
MOX_EXPORT AugmentationFn get_data_augmentation_fn(const std::string& name, ModeKeys run_mode, int output_height = 0,
                                                   int output_width = 0, const AugmentationOptions& options = {});

struct PreprocessingMeta {
  std::string family;          // "vgg_preprocessing", …: the manual's PreprocessingKeys
  int default_image_size = 0;  // pixels a side
};
// The family and size of network `name`; errors as above.
MOX_EXPORT PreprocessingMeta get_preprocessing_meta(const std::string& name);
// The names that get_data_augmentation_fn knows, sorted.
MOX_EXPORT std::vector<std::string> preprocessing_names();

// What a preprocessing is to make of an image, as get_data_augmentation_fn was asked.
struct PreprocessingRequest {
  bool training;      // TRAIN: random; the same image gives the same result otherwise
  int height, width;  // of the output, pixels
  AugmentationOptions options;
};
// One image [height, width, channels] -> a float image [request.height, request.width, channels].
using PreprocessingBuilder = std::function<tensorflow::Output(const Scope& scope, const tensorflow::Output& image,
                                                              const PreprocessingRequest& request)>;
// From then on get_data_augmentation_fn, --preprocessing_name and ModelMeta::default_preprocessing know `name`. From
// any thread. InvalidArgumentError when the name is taken (it tells by whom) or cannot be one, when default_image_size
// is out of range, or `build` is empty.
MOX_EXPORT void register_preprocessing(const std::string& name, int default_image_size, PreprocessingBuilder build);

}  // namespace mox
