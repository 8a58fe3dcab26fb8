// The arithmetic of grouped convolutions in float32, for one thread and one instruction set; convolutions/grouped.h
// puts it together.
//
// A vector holds `lanes` filters that lie side by side: those of several groups where these are smaller. Each of its
// products takes one channel of each group, spread over the group's lanes. So a weight is loaded once for many pixels,
// and no lane is idle, however small the groups are.
#pragma once

#include <cstdint>

#include "convolutions/loops.h"

namespace mox::convolutions {

// One row of outputs of `lanes` filters: output i is the sum over rows r, columns s < width and channels c < group of
// x[r * x_row + i * x_step + s * x_pixel + channel] * filter[r][s][c][lane], where `channel` is c of the lane's group.
struct GroupedRow {
  int64_t group;          // channels of a group
  int64_t height, width;  // of the filter
  const float* x;  // its pixels: of as many channels as a block of images has; read for `round_up(count, pixels)`
  int64_t x_row, x_pixel, x_step;
  const float* filter;
  int64_t count;   // of outputs
  int64_t y_step;  // between outputs
  // Outputs go to memory without being read into the caches first, where that is possible; `flush` ends it.
  bool past_caches = false;
};

// sums[s][c][lane] += over rows and the `count` pixels of each: x[pixel s further on][c of the lane's group] *
// dy[lane].
struct GroupedSums {
  int64_t group, width;
  const float* x;
  int64_t x_row, x_pixel, x_step;
  const float* dy;
  int64_t dy_row, dy_pixel;
  int64_t rows, count;
  float* sums;
};

struct GroupedLoops {
  int64_t lanes;
  int64_t pixels;  // outputs are computed so many at a time
  void (*convolve)(const GroupedRow& row, float* y);
  void (*convolve_bfloat16)(const GroupedRow& row, bfloat16_bits* y);  // rounded to nearest, ties to even
  void (*flush)();
  void (*add_products)(const GroupedSums& sums);
  // `count` pixels, `pixel` numbers apart, of `channels` numbers each (a multiple of kLanes), brought apart into blocks
  // of `block` channels: to[c / block * block_stride + i * to_pixel + c % block].
  void (*gather)(const float* x, int64_t count, int64_t pixel, int64_t channels, int64_t block, int64_t block_stride,
                 int64_t to_pixel, float* to);
  void (*gather_bfloat16)(const bfloat16_bits* x, int64_t count, int64_t pixel, int64_t channels, int64_t block,
                          int64_t block_stride, int64_t to_pixel, float* to);
};

}  // namespace mox::convolutions
