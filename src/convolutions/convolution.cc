#include "convolutions/convolution.h"

#include <algorithm>
#include <cstring>

#include "convolutions/parts.h"

namespace mox::convolutions {

void transpose(const float* from, int64_t rows, int64_t columns, float* to, const Resources& on) {
  constexpr int64_t kBlock = 16;
  on.run(rows / kBlock, [&](int64_t part) {
    const int64_t r = part * kBlock;
    for (int64_t c = 0; c < columns; c += kBlock)
      for (int64_t i = 0; i < kBlock; ++i)
        for (int64_t j = 0; j < kBlock; ++j) to[(c + i) * rows + r + j] = from[(r + j) * columns + c + i];
  });
}

template <typename T>
void copy_window(const Convolution& c, const T* x, int64_t pixel, int64_t filter_row, int64_t begin, int64_t end,
                 T* to) {
  const int64_t column = pixel % c.out_width, line = pixel / c.out_width % c.out_height,
                image = pixel / (c.out_width * c.out_height);
  const int64_t y = line * c.stride + filter_row - c.pad_top, x0 = column * c.stride - c.pad_left;
  int64_t first = std::clamp(-x0 * c.channels, begin, end), last = std::clamp((c.width - x0) * c.channels, first, end);
  if (y < 0 || y >= c.height) first = last = begin;
  const T* from = x + ((image * c.height + y) * c.width + x0) * c.channels;
  if (first > begin) std::memset(to, 0, (first - begin) * sizeof(T));
  if (last > first) std::memcpy(to + (first - begin), from + first, (last - first) * sizeof(T));
  if (end > last) std::memset(to + (last - begin), 0, (end - last) * sizeof(T));
}

template void copy_window(const Convolution&, const float*, int64_t, int64_t, int64_t, int64_t, float*);
template void copy_window(const Convolution&, const bfloat16_bits*, int64_t, int64_t, int64_t, int64_t, bfloat16_bits*);

void multiply_few_rows(const ConvolutionLoops& loops, const Product& product, const float* then) {
  constexpr int64_t kFloats = 16, kLine = kFloats * sizeof(float);
  Product p = product;
  for (int64_t column = 0; column < product.columns; column += loops.columns) {
    p.columns = std::min(loops.columns, product.columns - column);
    const float* next = column + loops.columns < product.columns ? p.right + p.right_panel : then;
    p.ahead[0] = {next, next ? loops.columns / kFloats : 0, kLine, loops.columns * static_cast<int64_t>(sizeof(float))};
    loops.multiply(p);
    p.right += p.right_panel;
    p.product += loops.columns;
  }
}

namespace {

bool is_for_winograd(const Convolution& c) {
  return c.filter_height == 3 && c.filter_width == 3 && c.stride == 1 && c.channels % kLanes == 0 &&
         c.filters % kLanes == 0;
}

}  // namespace

bool is_fast(Direction direction, const Convolution& c, bool float32) {
  constexpr int64_t kShortRow = 16;
  if (!convolution_loops()) return false;
  // A graph may say so before a step runs: such a convolution is an error of TensorFlow's operations.
  if (c.stride <= 0 || c.channels <= 0 || c.filters <= 0 || c.filter_height <= 0 || c.filter_width <= 0) return false;
  if (is_for_winograd(c)) return float32 || direction == Direction::kFilterGradient;
  // Of few filters those that fill no vector cost less than oneDNN's slower products.
  constexpr int64_t kFewest = 20, kMost = 256;
  const bool fill = c.filters % kLanes == 0 || (c.filters >= kFewest && c.filters <= kMost);
  return direction == Direction::kFilterGradient && fill && c.filter_width * c.channels >= kShortRow &&
         (float32 || convolution_loops()->multiply_pairs);
}

Algorithm algorithm_of(const Convolution& c, bool is_packed) {
  if (!is_for_winograd(c)) return Algorithm::kDirect;
  // In units of a pass over the filter, with 400 GFLOP/s and 30 GB/s: few pixels do not pay for four times as many
  // numbers, which are read, and made unless they were made before.
  const double pixels = static_cast<double>(c.batch * c.out_height * c.out_width);
  const double tiles =
      static_cast<double>(c.batch * ((c.out_height + kTile - 1) / kTile) * ((c.out_width + kTile - 1) / kTile));
  return 0.045 * pixels > 0.21 * tiles + (is_packed ? 3.6 : 8.4) ? Algorithm::kWinograd : Algorithm::kDirect;
}

int64_t packed_size(const Convolution& c, Algorithm algorithm, const Resources& on) {
  return algorithm == Algorithm::kWinograd ? winograd_size(c, on) : direct_size(c, on);
}

void pack(const Convolution& c, Algorithm algorithm, const float* filter, float* packed, const Resources& on) {
  return algorithm == Algorithm::kWinograd ? winograd_pack(c, filter, packed, on) : direct_pack(c, filter, packed, on);
}

void convolve(const Convolution& c, Algorithm algorithm, const float* x, const float* packed, const Epilogue& epilogue,
              float* y, const Resources& on) {
  return algorithm == Algorithm::kWinograd ? winograd(c, x, packed, epilogue, y, on)
                                           : direct(c, x, packed, epilogue, y, on);
}

void gradient_of_input(const Convolution& c, const float* filter, const float* dy, float* dx, const Resources& on) {
  winograd_input_gradient(c, filter, dy, dx, on);
}

template <typename T>
void gradient_of_filter(const Convolution& c, const T* x, const T* dy, float* dfilter, const Resources& on) {
  if (!is_for_winograd(c)) return direct_filter_gradient(c, x, dy, dfilter, on);
  winograd_filter_gradient(c, x, dy, dfilter, on);
}

template void gradient_of_filter(const Convolution&, const float*, const float*, float*, const Resources&);
template void gradient_of_filter(const Convolution&, const bfloat16_bits*, const bfloat16_bits*, float*,
                                 const Resources&);

}  // namespace mox::convolutions
