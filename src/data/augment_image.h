// An encoded image to what a network sees, in one go: of a JPEG file only the pixels that are needed become colours,
// they are resized to the output's alone, and flip, colours and normalization are done on the way. The numbers are
// those of the operations that the families of preprocessing are made of (preprocess/vgg.cc, preprocess/inception.cc),
// to 1e-5 of the largest value.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace mox::data {

enum class AugmentFamily { kVgg, kInception };

// By its name in graph/augment_marks.h; false for another.
bool augment_family(std::string_view name, AugmentFamily* family);

struct AugmentRequest {
  AugmentFamily family = AugmentFamily::kVgg;
  bool training = false;  // else what was drawn, below, is not read
  int64_t height = 0, width = 0;
  bool apply_exif = false;
  int background = -1;  // DecodeOptions'

  float mean[3] = {};           // vgg: of red, green and blue
  int32_t side = 0;             // vgg: of the shorter side; in training drawn
  double central_fraction = 1;  // inception: the part of each side that is kept when it is not training
  uint32_t top = 0, left = 0;   // vgg: any numbers, of which the rest counts: the crop's corner
  int32_t box_begin[2] = {};    // inception: top and left,
  int32_t box_size[2] = {};     // height and width
  bool flip = false;            // left and right are exchanged
  float brightness = 0;         // inception: added
  float saturation = 1;         // inception: multiplied
};

// `out` has height * width * 3 floats. An error tells what is wrong with the content, as decode_image does.
absl::Status augment_image(std::string_view content, const AugmentRequest& request, float* out);

// Height and width of an image, from its header where that tells; DataLossError as decode_image has it.
absl::Status image_size(std::string_view content, bool apply_exif, int64_t* height, int64_t* width);

}  // namespace mox::data
