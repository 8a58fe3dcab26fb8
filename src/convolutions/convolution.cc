#include "convolutions/convolution.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "convolutions/parts.h"

namespace mox::convolutions {

namespace {

// to[j][i] = from[i][j] of 4x4 elements.
using Four = uint32_t __attribute__((vector_size(16)));
void transpose_four(const void* from, int64_t from_row, void* to, int64_t to_row) {
  Four r[4];
  for (int64_t i = 0; i < 4; ++i) std::memcpy(&r[i], static_cast<const uint32_t*>(from) + i * from_row, sizeof(Four));
  const Four a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5), b = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5),
             c = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7), d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
  const Four columns[4] = {__builtin_shufflevector(a, b, 0, 1, 4, 5), __builtin_shufflevector(a, b, 2, 3, 6, 7),
                           __builtin_shufflevector(c, d, 0, 1, 4, 5), __builtin_shufflevector(c, d, 2, 3, 6, 7)};
  for (int64_t i = 0; i < 4; ++i) std::memcpy(static_cast<uint32_t*>(to) + i * to_row, &columns[i], sizeof(Four));
}

}  // namespace

void transpose(const float* from, int64_t matrices, int64_t rows, int64_t columns, float* to, const Resources& on) {
  constexpr int64_t kBlock = 16;
  const int64_t blocks = rows / kBlock;
  on.run(matrices * blocks, [&](int64_t part) {
    const int64_t r = part % blocks * kBlock, first = part / blocks * rows * columns;
    for (int64_t c = 0; c < columns; c += kBlock)
      for (int64_t i = 0; i < kBlock; i += 4)
        for (int64_t j = 0; j < kBlock; j += 4)
          transpose_four(from + first + (r + j) * columns + c + i, columns, to + first + (c + i) * rows + r + j, rows);
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

// A line of so many rows at a time, which stay in the first cache also where rows lie a power of two apart; what is
// read some lines later is fetched meanwhile, since each row is a stream of its own.
template <typename E>
void transpose_panel(const E* filter, int64_t depth, int64_t first, int64_t last, int64_t panel, E* to) {
  static_assert(sizeof(E) == sizeof(uint32_t));
  constexpr int64_t kRows = 16, kOfLine = 16, kAhead = 4 * kOfLine;
  for (int64_t c = first; c < last; c += kRows)
    for (int64_t f = 0; f < depth; f += kOfLine) {
      const int64_t rows = std::min(kRows, last - c), end = std::min(f + kOfLine, depth);
      for (int64_t i = 0; i < rows; ++i) __builtin_prefetch(filter + (c + i) * depth + f + kAhead);
      if (rows == kRows && end - f == kOfLine) {
        for (int64_t i = f; i < end; i += 4)
          for (int64_t j = 0; j < kRows; j += 4)
            transpose_four(filter + (c + j) * depth + i, depth, to + i * panel + c - first + j, panel);
        continue;
      }
      for (int64_t i = f; i < end; ++i)
        for (int64_t j = 0; j < rows; ++j) to[i * panel + c - first + j] = filter[(c + j) * depth + i];
    }
  if (last - first == panel) return;
  for (int64_t f = 0; f < depth; ++f) std::memset(to + f * panel + last - first, 0, (panel - last + first) * sizeof(E));
}
template void transpose_panel(const float*, int64_t, int64_t, int64_t, int64_t, float*);
template void transpose_panel(const uint32_t*, int64_t, int64_t, int64_t, int64_t, uint32_t*);

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

// Numbers of a window's row: to gather fewer takes as long as to multiply them.
constexpr int64_t kShortRow = 16;

bool is_for_winograd(const Convolution& c) {
  return (c.filter_height == 3 || c.filter_height == 5) && c.filter_width == c.filter_height && c.stride == 1 &&
         c.channels % kLanes == 0 && c.filters % kLanes == 0;
}

bool is_pointwise(const Convolution& c) { return c.filter_height == 1 && c.filter_width == 1; }

// Whether the filter, rather than the pixels, is what is divided among threads.
bool few_rows(const Convolution& c) {
  return c.batch * c.out_height * c.out_width < 2 * RowParts::kFewest && c.filters % kLanes == 0;
}

}  // namespace

RowParts parts_of_output(const Convolution& c) {
  return RowParts(c.batch * c.out_height * c.out_width, has_few_channels(c) ? c.out_width : RowParts::kUnit);
}

RowParts parts_of_input(const Convolution& c) {
  return RowParts(c.batch * c.height * c.width, c.stride > 1 ? strided_unit(c) : RowParts::kUnit);
}

Convolution without_stride(const Convolution& c) {
  Convolution compact = c;
  compact.height = c.out_height;
  compact.width = c.out_width;
  compact.stride = 1;
  compact.pad_top = compact.pad_left = 0;
  return compact;
}

bool takes_prologue(const Convolution& c) { return is_pointwise(c) && c.stride == 1; }

bool tells_rows_of_output(const Convolution& c) { return is_pointwise(c) || has_few_channels(c); }

bool tells_rows(const Convolution& c) { return is_pointwise(c) || c.stride > 1; }

bool is_fast(Direction direction, const Convolution& c, bool float32) {
  if (!convolution_loops()) return false;
  // A graph may say so before a step runs: such a convolution is an error of TensorFlow's operations.
  if (c.stride <= 0 || c.channels <= 0 || c.filters <= 0 || c.filter_height <= 0 || c.filter_width <= 0) return false;
  if (is_for_winograd(c)) return float32 || direction == Direction::kFilterGradient;
  const bool forward = direction == Direction::kForward;
  if (direction != Direction::kInputGradient && has_few_channels(c)) return true;
  if (direction != Direction::kFilterGradient && (is_pointwise(c) || (!forward && c.stride > 1))) {
    const int64_t depth = forward ? c.channels : c.filters;
    return std::min(c.channels, c.filters) >= kLanes &&
           (float32 || (depth % 2 == 0 && convolution_loops()->multiply_pairs));
  }
  // Of few filters those that fill no vector cost less than oneDNN's slower products.
  constexpr int64_t kFewest = 20, kMost = 256;
  const bool fill = c.filters % kLanes == 0 || (c.filters >= kFewest && c.filters <= kMost);
  return direction == Direction::kFilterGradient && fill && c.filter_width * c.channels >= kShortRow &&
         (float32 || convolution_loops()->multiply_pairs);
}

Algorithm algorithm_of(const Convolution& c, bool is_packed, bool float32) {
  if (is_pointwise(c) && !(float32 && few_rows(c))) return Algorithm::kPointwise;
  if (has_few_channels(c)) return Algorithm::kFewChannels;
  if (!is_for_winograd(c)) return Algorithm::kDirect;
  // In units of a pass over the filter, with 400 GFLOP/s and 30 GB/s: few pixels do not pay for more numbers than the
  // filter has, four times as many of 3x3, which are read, and made unless they were made before.
  const double pixels = static_cast<double>(c.batch * c.out_height * c.out_width);
  const int64_t tile = tile_of(c.filter_height);
  const double tiles =
      static_cast<double>(c.batch * ((c.out_height + tile - 1) / tile) * ((c.out_width + tile - 1) / tile));
  const double of_3x3 = 9.0 / static_cast<double>(c.filter_height * c.filter_width);
  return 0.045 * pixels > of_3x3 * (0.21 * tiles + (is_packed ? 3.6 : 8.4)) ? Algorithm::kWinograd : Algorithm::kDirect;
}

int64_t packed_size(const Convolution& c, Algorithm algorithm, const Resources& on, bool float32) {
  if (algorithm == Algorithm::kPointwise) return pointwise_size(c, float32, on);
  return algorithm == Algorithm::kWinograd ? winograd_size(c, on) : direct_size(c, on);
}

template <typename T>
void pack(const Convolution& c, Algorithm algorithm, const T* filter, float* packed, const Resources& on) {
  if (algorithm == Algorithm::kFewChannels) return few_channels_pack(c, filter, packed, on);
  if constexpr (std::is_same_v<T, float>) {
    if (algorithm == Algorithm::kWinograd) return winograd_pack(c, filter, packed, on);
    if (algorithm == Algorithm::kDirect) return direct_pack(c, filter, packed, on);
  }
  pointwise_pack(c, filter, packed, on);
}

template <typename T>
void convolve(const Convolution& c, Algorithm algorithm, const T* x, const Prologue& prologue, const float* packed,
              const Epilogue& epilogue, T* y, const RowsDone& done, const Resources& on) {
  if (algorithm == Algorithm::kFewChannels) return few_channels(c, x, packed, epilogue, y, done, on);
  if constexpr (std::is_same_v<T, float>) {
    if (algorithm != Algorithm::kPointwise) {
      const auto compute = algorithm == Algorithm::kWinograd ? winograd : direct;
      compute(c, x, packed, epilogue, y, on);
      return call_for_parts(done, parts_of_output(c), y, c.filters, on);
    }
  }
  pointwise(c, x, prologue, packed, epilogue, y, done, on);
}

template <typename T>
void gradient_of_input(const Convolution& c, const T* filter, const T* dy, T* dx, const RowsDone& done,
                       const Resources& on, const StridedSide& side) {
  if constexpr (std::is_same_v<T, float>) {
    if (is_for_winograd(c)) {
      winograd_input_gradient(c, filter, dy, dx, on);
      return call_for_parts(done, parts_of_input(c), dx, c.channels, on);
    }
  }
  if (c.stride > 1) return strided_input_gradient(c, filter, dy, dx, done, on);
  pointwise_input_gradient(c, filter, dy, dx, done, side, on);
}

// Of rows that are long enough to be gathered, products of pairs make up for it.
template <typename T>
bool pairs_are_faster(const Convolution& c, const Resources& on) {
  return !std::is_same_v<T, float> && on.loops.multiply_pairs && c.filter_width * c.channels >= kShortRow;
}

template <typename T>
void gradient_of_filter(const Convolution& c, const T* x, const Prologue& prologue, const T* dy, float* dfilter,
                        const Resources& on) {
  if (has_few_channels(c) && !pairs_are_faster<T>(c, on)) return few_channels_filter_gradient(c, x, dy, dfilter, on);
  if (!is_for_winograd(c)) return direct_filter_gradient(c, x, prologue, dy, dfilter, on);
  winograd_filter_gradient(c, x, dy, dfilter, on);
}

#define MOX_INSTANTIATE(T)                                                                                            \
  template void pack(const Convolution&, Algorithm, const T*, float*, const Resources&);                              \
  template void convolve(const Convolution&, Algorithm, const T*, const Prologue&, const float*, const Epilogue&, T*, \
                         const RowsDone&, const Resources&);                                                          \
  template void gradient_of_input(const Convolution&, const T*, const T*, T*, const RowsDone&, const Resources&,      \
                                  const StridedSide&);
MOX_INSTANTIATE(float)
MOX_INSTANTIATE(bfloat16_bits)
#undef MOX_INSTANTIATE
template void gradient_of_filter(const Convolution&, const float*, const Prologue&, const float*, float*,
                                 const Resources&);
template void gradient_of_filter(const Convolution&, const bfloat16_bits*, const Prologue&, const bfloat16_bits*,
                                 float*, const Resources&);

}  // namespace mox::convolutions
