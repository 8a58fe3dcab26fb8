#include "kernels/convolution.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "kernels/convolution_parts.h"

namespace mox::kernels {
namespace {

// A panel of so much depth and the rows that it meets stay in the first cache.
constexpr int64_t kDepth = 256, kRowsOfBlock = 96, kAheadDepth = 512;

// Where the pixel lies that output `row` of a 1x1 convolution is made of: an index into the pixels of the input.
int64_t pixel_of(const Convolution& c, int64_t row) {
  if (c.stride == 1) return row;
  const int64_t x = row % c.out_width, y = row / c.out_width % c.out_height, image = row / (c.out_width * c.out_height);
  return (image * c.height + y * c.stride) * c.width + x * c.stride;
}

// filter [depth][columns] as panels [columns / panel][depth][panel].
void pack(const Resources& on, const float* filter, int64_t depth, int64_t columns, float* panels) {
  const int64_t panel = on.loops.columns;
  on.run((columns + panel - 1) / panel, [&](int64_t p) {
    const int64_t width = std::min(panel, columns - p * panel);
    for (int64_t d = 0; d < depth; ++d)
      std::memcpy(panels + (p * depth + d) * panel, filter + d * columns + p * panel, width * sizeof(float));
  });
}

// y[row] = clamp(y[row] + bias).
void finish(const Epilogue& epilogue, int64_t rows, int64_t columns, float* y) {
  for (int64_t r = 0; r < rows; ++r, y += columns)
    for (int64_t c = 0; c < columns; ++c) {
      float v = y[c] + epilogue.bias[c];
      v = v < epilogue.floor ? epilogue.floor : v;
      y[c] = v > epilogue.ceiling ? epilogue.ceiling : v;
    }
}

// Rows of `depth` floats, each times the matrix in `panels`, a block at a time: `source(row)` is where a row lies, and
// `target(row)` where its products go. Targets of consecutive rows are `columns` apart unless `scattered`.
template <typename Source, typename Target>
void multiply_all(const Resources& on, int64_t rows, int64_t depth, int64_t columns, const float* panels, const Source& source,
                  const Target& target, bool scattered, const Epilogue& epilogue) {
  const int64_t blocks = (rows + kRowsOfBlock - 1) / kRowsOfBlock, parts = std::min(on.threads, blocks);
  // Rows that are a power of two apart would meet in few places of the cache.
  const int64_t left_row = kDepth + kLanes, of_left = kRowsOfBlock * left_row, of_products = scattered ? kRowsOfBlock * columns : 0;
  float* scratch = on.scratch(parts * (of_left + of_products));
  std::atomic<int64_t> next{0};
  on.run(parts, [&](int64_t part) {
    float* left = scratch + part * (of_left + of_products);
    for (int64_t block = next++, following = 0; block < blocks; block = following) {
      following = next++;
      const int64_t begin = block * kRowsOfBlock, end = std::min(rows, begin + kRowsOfBlock);
      float* products = scattered ? left + of_left : target(begin);
      for (int64_t d = 0; d < depth; d += kDepth) {
        const int64_t of_depth = std::min(kDepth, depth - d);
        for (int64_t r = begin; r < end; ++r) std::memcpy(left + (r - begin) * left_row, source(r) + d, of_depth * sizeof(float));
        Product product{end - begin, columns, of_depth, left, left_row, 1, panels + d * on.loops.columns, depth * on.loops.columns,
                        on.loops.columns, products, columns, d > 0};
        if (depth <= kAheadDepth && rows >= (following + 1) * kRowsOfBlock)
          product.ahead[0] = {source(following * kRowsOfBlock) + d * kRowsOfBlock, kRowsOfBlock / kLanes, of_depth * kLanes, kLanes};
        on.loops.multiply(product);
      }
      if (epilogue.bias) finish(epilogue, end - begin, columns, products);
      if (scattered)
        for (int64_t r = begin; r < end; ++r) std::memcpy(target(r), products + (r - begin) * columns, columns * sizeof(float));
    }
  });
}

void pointwise(const Convolution& c, const float* x, const float* filter, const Epilogue& epilogue, float* y, const Resources& on) {
  float* panels = on.scratch(c.channels * round_up(c.filters, on.loops.columns));
  pack(on, filter, c.channels, c.filters, panels);
  multiply_all(
      on, c.batch * c.out_height * c.out_width, c.channels, c.filters, panels, [&](int64_t row) { return x + pixel_of(c, row) * c.channels; },
      [&](int64_t row) { return y + row * c.filters; }, false, epilogue);
}

void pointwise_input_gradient(const Convolution& c, const float* filter, const float* dy, float* dx, const Resources& on) {
  float* transposed = on.scratch(c.channels * c.filters);
  transpose(filter, c.channels, c.filters, transposed, on);
  float* panels = on.scratch(c.filters * round_up(c.channels, on.loops.columns));
  pack(on, transposed, c.filters, c.channels, panels);
  if (c.stride > 1) {  // pixels that nothing was made of
    const int64_t lines = c.batch * c.height, line = c.width * c.channels, parts = std::min(on.threads, lines);
    on.run(parts, [&](int64_t p) {
      const int64_t begin = lines * p / parts, end = lines * (p + 1) / parts;
      std::memset(dx + begin * line, 0, (end - begin) * line * sizeof(float));
    });
  }
  multiply_all(
      on, c.batch * c.out_height * c.out_width, c.filters, c.channels, panels, [&](int64_t row) { return dy + row * c.filters; },
      [&](int64_t row) { return dx + pixel_of(c, row) * c.channels; }, c.stride > 1, kNothing);
}

// dfilter[channel][filter] = sum over rows of x[row][channel] * dy[row][filter]. Each part computes a share of the channels or, where
// these are more, of the filters, and goes through all rows.
void pointwise_filter_gradient(const Convolution& c, const float* x, const float* dy, float* dfilter, const Resources& on) {
  constexpr int64_t kRows = 192;
  const int64_t rows = c.batch * c.out_height * c.out_width;
  const bool by_channels = c.channels >= c.filters;
  const int64_t unit = by_channels ? kLanes : on.loops.columns, units = ((by_channels ? c.channels : c.filters) + unit - 1) / unit;
  const int64_t parts = std::min(on.threads, units);
  const int64_t left_row = c.channels + kLanes, right_row = c.filters + kLanes, each = kRows * (left_row + right_row);
  float* scratch = on.scratch(parts * each);
  on.run(parts, [&](int64_t part) {
    const int64_t first = units * part / parts * unit, last = units * (part + 1) / parts * unit;
    const int64_t c0 = by_channels ? first : 0, c1 = by_channels ? std::min(last, c.channels) : c.channels;
    const int64_t k0 = by_channels ? 0 : first, k1 = by_channels ? c.filters : std::min(last, c.filters);
    float *left = scratch + part * each, *right = left + kRows * left_row;
    for (int64_t r = 0; r < rows; r += kRows) {
      const int64_t count = std::min(kRows, rows - r);
      for (int64_t i = 0; i < count; ++i) {
        std::memcpy(left + i * left_row, x + pixel_of(c, r + i) * c.channels + c0, (c1 - c0) * sizeof(float));
        std::memcpy(right + i * right_row, dy + (r + i) * c.filters + k0, (k1 - k0) * sizeof(float));
      }
      Product product{c1 - c0, k1 - k0, count, left, 1, left_row, right, on.loops.columns, right_row, dfilter + c0 * c.filters + k0,
                      c.filters, r > 0};
      if (r + 2 * kRows <= rows) {
        product.ahead[0] = {x + pixel_of(c, r + kRows) * c.channels + c0, (c1 - c0) / kLanes, kLanes, c.channels * c.stride};
        product.ahead[1] = {dy + (r + kRows) * c.filters + k0, (k1 - k0) / kLanes, kLanes, c.filters};
      }
      on.loops.multiply(product);
    }
  });
}

}  // namespace

void transpose(const float* from, int64_t rows, int64_t columns, float* to, const Resources& on) {
  constexpr int64_t kBlock = 16;
  on.run(rows / kBlock, [&](int64_t part) {
    const int64_t r = part * kBlock;
    for (int64_t c = 0; c < columns; c += kBlock)
      for (int64_t i = 0; i < kBlock; ++i)
        for (int64_t j = 0; j < kBlock; ++j) to[(c + i) * rows + r + j] = from[(r + j) * columns + c + i];
  });
}

bool is_fast(int64_t filter_size, int64_t stride, int64_t channels, int64_t filters, bool float32) {
  if (channels % kLanes != 0 || filters % kLanes != 0) return false;
  return (filter_size == 3 && stride == 1) || (filter_size == 1 && float32);
}

template <typename T>
void convolve(const Convolution& c, const T* x, const float* filter, const Epilogue& epilogue, T* y, const Resources& on) {
  if constexpr (std::is_same_v<T, float>)
    if (c.filter_size == 1) return pointwise(c, x, filter, epilogue, y, on);
  winograd(c, x, filter, epilogue, y, on);
}

template <typename T>
void gradient_of_input(const Convolution& c, const float* filter, const T* dy, T* dx, const Resources& on) {
  if constexpr (std::is_same_v<T, float>)
    if (c.filter_size == 1) return pointwise_input_gradient(c, filter, dy, dx, on);
  winograd_input_gradient(c, filter, dy, dx, on);
}

template <typename T>
void gradient_of_filter(const Convolution& c, const T* x, const T* dy, float* dfilter, const Resources& on) {
  if constexpr (std::is_same_v<T, float>)
    if (c.filter_size == 1) return pointwise_filter_gradient(c, x, dy, dfilter, on);
  winograd_filter_gradient(c, x, dy, dfilter, on);
}

#define MOX_INSTANTIATE(T)                                                                                              \
  template void convolve<T>(const Convolution&, const T*, const float*, const Epilogue&, T*, const Resources&);         \
  template void gradient_of_input<T>(const Convolution&, const float*, const T*, T*, const Resources&);                 \
  template void gradient_of_filter<T>(const Convolution&, const T*, const T*, float*, const Resources&);
MOX_INSTANTIATE(float)
MOX_INSTANTIATE(bfloat16_bits)
#undef MOX_INSTANTIATE

}  // namespace mox::kernels
