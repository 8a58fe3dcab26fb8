// Exported models that take image files, beside those that take what a network sees.
#pragma once

#include <string>

#include "moxing/export.h"
#include "moxing/preprocessing.h"
#include "moxing/scope.h"

namespace mox {

struct EncodedImages {
  tensorflow::Output images;  // what the network takes: fed, or made of files
  tensorflow::Output files;   // strings [N]
};

// For model_fn in EXPORT mode: its input `images`, [N, height, width, channels], may be fed as it is, or be made of
// image files: JPEG, PNG, GIF (first frame), BMP or WebP, each decoded to uint8 [height, width, 3] and given to
// `preprocess`, such as get_data_augmentation_fn(name, ModeKeys::EXPORT), whose results have the shape and dtype of one
// of the images. So one network has two signatures: one with EncodedImages::images as its input, one with files. The
// graph has operations of TensorFlow's alone, which every server knows. `alpha`: as the data sets' option.
// InvalidArgumentError where shapes or dtypes differ.
MOX_EXPORT EncodedImages encoded_images(const Scope& scope, const tensorflow::Output& images,
                                        const AugmentationFn& preprocess, const std::string& alpha = "drop");

}  // namespace mox
