#include "data/resize_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace mox::data {

namespace {

// A part of the image's pixels along one side, stretched to `stretched` pixels, of which the output has those from
// `first` on.
struct Side {
  int64_t begin, length, stretched, first;
};

// As TensorFlow's ResizeBilinear without half pixel centres.
void interpolate(const Side& side, bool mirrored, Interpolation* out) {
  const float scale = static_cast<float>(side.length) / static_cast<float>(side.stretched);
  const auto begin = static_cast<int32_t>(side.begin), last = static_cast<int32_t>(side.length - 1);
  const size_t count = out->lower.size();
  for (size_t i = 0; i < count; ++i) {
    const float at = static_cast<float>(side.first + static_cast<int64_t>(i)) * scale, floor = std::floor(at);
    const size_t to = mirrored ? count - 1 - i : i;
    out->lower[to] = begin + std::min(static_cast<int32_t>(floor), last);
    out->upper[to] = begin + std::min(static_cast<int32_t>(std::ceil(at)), last);
    out->lerp[to] = at - floor;
  }
}

// The shorter side is stretched to request.side.
absl::Status vgg_sides(const AugmentRequest& request, int64_t height, int64_t width, Side* rows, Side* columns) {
  const float scale = static_cast<float>(request.side) / static_cast<float>(std::min(height, width));
  const auto stretched = [&](int64_t length) {
    return static_cast<int64_t>(std::nearbyint(static_cast<float>(length) * scale));
  };
  *rows = {0, height, stretched(height), 0};
  *columns = {0, width, stretched(width), 0};
  const int64_t below = rows->stretched - request.height, beside = columns->stretched - request.width;
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (below < 0 || beside < 0 || rows->stretched > kMost || columns->stretched > kMost)
    return absl::InvalidArgumentError(
        "preprocessing: the crop of " + std::to_string(request.height) + "x" + std::to_string(request.width) +
        " does not fit into the image, whose height and width (with padding) are: " + std::to_string(rows->stretched) +
        " and " + std::to_string(columns->stretched));
  rows->first = request.training ? request.top % static_cast<uint32_t>(below + 1) : below / 2;
  columns->first = request.training ? request.left % static_cast<uint32_t>(beside + 1) : beside / 2;
  return absl::OkStatus();
}

Side central_side(int64_t length, double fraction, int64_t stretched) {
  const auto whole = static_cast<double>(length);
  const auto begin = static_cast<int64_t>((whole - whole * fraction) / 2.0);
  return {begin, length - 2 * begin, stretched, 0};
}

absl::Status inception_sides(const AugmentRequest& request, int64_t height, int64_t width, Side* rows, Side* columns) {
  if (!request.training) {
    *rows = central_side(height, request.central_fraction, request.height);
    *columns = central_side(width, request.central_fraction, request.width);
  } else {
    *rows = {request.box_begin[0], request.box_size[0], request.height, 0};
    *columns = {request.box_begin[1], request.box_size[1], request.width, 0};
  }
  const auto inside = [](const Side& side, int64_t length) {
    return side.begin >= 0 && side.length > 0 && side.begin + side.length <= length;
  };
  if (inside(*rows, height) && inside(*columns, width)) return absl::OkStatus();
  return absl::InvalidArgumentError("preprocessing: a box of " + std::to_string(rows->length) + "x" +
                                    std::to_string(columns->length) + " at " + std::to_string(rows->begin) + ", " +
                                    std::to_string(columns->begin) + " is not inside an image of " +
                                    std::to_string(height) + "x" + std::to_string(width));
}

}  // namespace

absl::Status plan_resize(const AugmentRequest& request, int64_t height, int64_t width, ResizePlan* plan) {
  Side rows{}, columns{};
  const auto status = request.family == AugmentFamily::kVgg ? vgg_sides(request, height, width, &rows, &columns)
                                                            : inception_sides(request, height, width, &rows, &columns);
  if (!status.ok()) return status;
  plan->rows.resize(static_cast<size_t>(request.height));
  plan->columns.resize(static_cast<size_t>(request.width));
  interpolate(rows, false, &plan->rows);
  interpolate(columns, request.training && request.flip, &plan->columns);
  plan->needed.clear();
  for (size_t y = 0; y < plan->rows.lower.size(); ++y)
    for (const int32_t row : {plan->rows.lower[y], plan->rows.upper[y]})
      if (plan->needed.empty() || row > plan->needed.back()) plan->needed.push_back(row);
  plan->left = *std::min_element(plan->columns.lower.begin(), plan->columns.lower.end());
  plan->right = *std::max_element(plan->columns.upper.begin(), plan->columns.upper.end()) + 1;
  return absl::OkStatus();
}

}  // namespace mox::data
