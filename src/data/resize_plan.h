// Which pixels of an image the output of a family of preprocessing is made of.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "data/augment_image.h"
#include "data/resize_loops.h"

namespace mox::data {

struct ResizePlan {
  Interpolation rows, columns;  // of the whole image; columns run backwards where it is flipped
  std::vector<int32_t> needed;  // the rows, ascending
  int32_t left = 0, right = 0;  // columns [left, right) are needed
};

// Of an image of that size. Keeps the plan's memory. InvalidArgumentError where the crop or the box is not inside.
absl::Status plan_resize(const AugmentRequest& request, int64_t height, int64_t width, ResizePlan* plan);

}  // namespace mox::data
