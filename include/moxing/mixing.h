// Batches whose images are made of two: mixup (Zhang et al. 2017) and CutMix (Yun et al. 2019).
#pragma once

#include "moxing/export.h"
#include "moxing/scope.h"

namespace mox {

struct MixOptions {
  // mixup: each image becomes x * itself + (1 - x) * another one of the batch; x of the batch is drawn from
  // Beta(mixup, mixup). 0: off.
  float mixup = 0;
  // CutMix: a box of another image of the batch, 1 - x of the area, is pasted; x is drawn from Beta(cutmix, cutmix). 0:
  // off. With both, a batch is mixed in one of the two ways, each as likely.
  float cutmix = 0;
};

struct MixedBatch {
  tensorflow::Output images;  // as the images that were given
  tensorflow::Output labels;  // float [batch, classes]: a distribution a row
};

// `images`: float [batch, height, width, channels]; `labels`: float [batch, classes], a distribution a row
// (layers::one_hot_encoding). The other image is the one at the same place from the batch's end. Random, seeded by the
// graph: in model_fn a function of the global step, in an input_fn of batches one of the samples' place, so that a
// training that goes on draws the same. With neither option what was given. InvalidArgumentError for options that are
// negative, or larger than 1000, and for other shapes and types.
MOX_EXPORT MixedBatch mix_batch(const Scope& scope, const tensorflow::Output& images, const tensorflow::Output& labels,
                                const MixOptions& options);

}  // namespace mox
