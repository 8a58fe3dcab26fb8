// Graph code for one image [height, width, channels], whose sizes may be unknown. The results are those of tf.image's
// functions of the same names. Private to the engine.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "moxing/scope.h"

namespace mox::preprocess {

using tensorflow::Output;

Output to_float(const Scope& scope, const Output& image);

// A side's length at run time, an int32 scalar.
struct Size {
  Output height, width;
};
Size size_of(const Scope& scope, const Output& image);

// The number of channels, -1 when it is not known before the image is.
int static_channels(const Scope& scope, const Output& image);

// The box [offset, offset + target) of the image; offsets are int32 scalars. The static shape is known afterwards.
Output crop(const Scope& scope, const Output& image, const Output& offset_height, const Output& offset_width,
            int height, int width, int channels);
// Cuts evenly what is too much, pads evenly with zeros what is missing.
Output resize_image_with_crop_or_pad(const Scope& scope, const Output& image, int height, int width);

// The image, known to have `channels` channels; InvalidArgumentError, or an error when it runs, when it has others.
Output require_channels(const Scope& scope, const Output& image, int channels, const std::string& who);
// The middle of an image that is at least as large.
Output central_crop(const Scope& scope, const Output& image, int height, int width);
// (x - mean) / max(standard deviation, 1 / sqrt(number of values)), over the whole image.
Output per_image_standardization(const Scope& scope, const Output& image);

// Marks (graph/augment_marks.h): on the result of a family's graph that a pass may join with the decoding of its image,
// in this shape; on a number that was drawn. Whoever adds an operation to such a graph need not care: the pass knows
// it.
struct Mark {
  const char* family;
  bool training;
  int height, width;
  std::vector<float> values;
  int side = 0;
};
Output marked(const Output& result, const Mark& mark);
Output marked_draw(const Output& drawn, const char* name);

// Random, seeded by the graph.
Output random_float(const Scope& scope, float low, float high);
Output random_int(const Scope& scope, const Output& low, const tensorflow::Input& end);
// A box anywhere in the image; fails with both sizes when the image is smaller.
Output random_crop(const Scope& scope, const Output& image, int height, int width);
// A box of that part of the image's area and that width to its height; `least_covered`: of the image, at any attempt of
// a hundred; else the whole image. [begin] and [size], int32 of 3.
struct BoxRange {
  float areas[2], aspect_ratios[2], least_covered;
};
struct Box {
  Output begin, size;
};
Box random_box(const Scope& scope, const Output& image, const BoxRange& range);
Output random_flip_left_right(const Scope& scope, const Output& image);
Output random_brightness(const Scope& scope, const Output& image, float max_delta);
Output random_contrast(const Scope& scope, const Output& image, float low, float high);
// One of `cases` functions of the image, each as likely; only that one runs. `draw`: the mark of the choice.
Output random_case(const Scope& scope, const Output& image, int cases,
                   const std::function<Output(const Output& image, int chosen)>& build, const char* draw = nullptr);

}  // namespace mox::preprocess
