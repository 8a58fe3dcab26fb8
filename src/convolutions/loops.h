// The arithmetic of convolutions in float32, for one thread and one instruction set: products of matrices whose sums
// stay in registers, and Winograd's transforms of 3x3 and 5x5 filters. convolutions/convolution.h puts them together.
//
// Winograd's minimal filtering F(4x4, 3x3) (Lavin, Gray 2015) computes 4x4 outputs of a 3x3 filter from a tile of 6x6
// inputs with 36 products a channel instead of 144. The polynomials' points are 0, +-5/8, +-3/2 and infinity: with them
// the error is that of sums in float32, twice that of a convolution by its definition (with 0, +-1, +-2, the usual
// ones, four times). F(2x2, 5x5) computes 2x2 outputs of a 5x5 filter from the same tile with 36 products instead of
// 100.
#pragma once

#include <cstdint>

namespace mox::convolutions {

// bfloat16 as its bits.
using bfloat16_bits = uint16_t;

constexpr int64_t kInputTile = 6, kFrequencies = kInputTile * kInputTile;
// A side of a tile's outputs, for a filter of so many taps a side.
constexpr int64_t tile_of(int64_t taps) { return kInputTile + 1 - taps; }
// Channels and filters are multiples of it.
constexpr int64_t kLanes = 16;

// An image batch [batch, height, width, channels], and what a filter of taps x taps (3 or 5) with stride 1 makes of it.
// Tiles are counted over the outputs of all images, row by row.
struct TiledImage {
  int64_t batch, height, width, channels;
  int64_t out_height, out_width;
  int64_t pad_top, pad_left;
  int64_t taps;

  int64_t tile() const { return tile_of(taps); }
  int64_t tile_rows() const { return (out_height + tile() - 1) / tile(); }
  int64_t tile_columns() const { return (out_width + tile() - 1) / tile(); }
  int64_t tiles() const { return batch * tile_rows() * tile_columns(); }
};

// 36 matrices, one behind the other: element (frequency, row, column) is at data[frequency * stride + row * row_stride
// + column].
struct Frequencies {
  float* data;
  int64_t stride, row_stride;
};

// Memory that is read after a product: it comes into the second cache meanwhile, line by line, between the
// multiplications of the blocks of sums that stay in registers. In block b < blocks, at depth d, that is the line
// b * block + d * depth bytes behind `data`.
struct Ahead {
  const void* data = nullptr;
  int64_t blocks = 0, block = 0, depth = 0;
};

// product[r][c] = (add ? product[r][c] : 0) + sum over d of left[r * left_row + d * left_depth] * right(d, c).
// `right` lies in panels of ConvolutionLoops::columns columns: right(d, c) is at
// right[c / columns * right_panel + d * right_depth + c % columns]. `columns` here is a multiple of kLanes.
template <typename Element>
struct ProductOf {
  int64_t rows = 0, columns = 0, depth = 0;
  const Element* left = nullptr;
  int64_t left_row = 0, left_depth = 0;
  const Element* right = nullptr;
  int64_t right_panel = 0, right_depth = 0;
  float* product = nullptr;
  int64_t product_row = 0;
  bool add = false;
  Ahead ahead[4] = {};  // one after the other
};
using Product = ProductOf<float>;
// Of bfloat16 numbers, two of the depth in an element (the first in the lower half); sums are float32.
using PairProduct = ProductOf<uint32_t>;

// The left side of which is windows of an image's lines: its depth is `lines` times `product.depth`, and the left
// element of line l lies l * line elements behind that of line 0.
struct WindowProduct {
  Product product;
  int64_t lines = 1, line = 0;
};

// What precedes a convolution, a batch norm: of x it takes clamp(x * scale + shift), a scale and a shift for each
// channel; of x itself where there is none. In bfloat16 that is rounded.
struct Prologue {
  const float *scale = nullptr, *shift = nullptr;
  float floor = -__builtin_inff(), ceiling = __builtin_inff();

  bool is_there() const { return scale != nullptr; }
  // For the channels from `channel` on.
  Prologue from_channel(int64_t channel) const { return {scale + channel, shift + channel, floor, ceiling}; }
};

// What follows a convolution: y = clamp(y + bias + side); both may be null.
struct Epilogue {
  const float* bias = nullptr;
  float floor = -__builtin_inff(), ceiling = __builtin_inff();
  const void* side = nullptr;  // of y's type and size

  bool is_there() const { return bias || side || floor != -__builtin_inff() || ceiling != __builtin_inff(); }
  // For elements of y from `first` + `column` on, whose column that is.
  template <typename T>
  Epilogue of(int64_t first, int64_t column) const {
    return {bias ? bias + column : nullptr, floor, ceiling,
            side ? static_cast<const T*>(side) + first + column : nullptr};
  }
};

// y[r][c] = clamp(sums[r][c] + bias[c] + side[r][c]). Rows of `sums` have whole vectors; they may be y's, and the
// side's may, too.
template <typename T>
struct Finish {
  int64_t rows, columns;
  const float* sums;
  int64_t sums_row;
  Epilogue epilogue;  // its side has y's rows
  T* y;
  int64_t y_row;
};

// to[r][c] = clamp(x[r][c] * scale[c] + shift[c]).
template <typename T>
struct Prepare {
  int64_t rows, columns;
  const T* x;
  int64_t x_row;
  Prologue prologue;
  T* to;
  int64_t to_row;
};

struct GroupedLoops;  // convolutions/grouped_loops.h

// The loops for one instruction set.
struct ConvolutionLoops {
  int64_t columns;  // of a panel
  void (*multiply)(const Product& product);
  void (*multiply_windows)(const WindowProduct& product);

  // Of filter [taps, taps, channels, filters] into panels [frequency][filters / columns][channels][columns], for
  // channels [begin, end). `rotated`: by 180 degrees, as the gradient of the input needs it. frequency_stride: of
  // `panels`.
  void (*transform_filter)(int64_t taps, const float* filter, int64_t channels, int64_t filters, int64_t begin,
                           int64_t end, bool rotated, float* panels, int64_t frequency_stride);
  // dfilter[taps, taps, channels, filters] from its 36 matrices [channels, filters], for channels [begin, end).
  void (*filter_of_frequencies)(int64_t taps, const Frequencies& from, int64_t channels, int64_t filters, int64_t begin,
                                int64_t end, float* dfilter);
  // Tiles [begin, end) of x, one a row; row 0 is tile `begin`.
  void (*transform_input)(const TiledImage& image, const float* x, int64_t begin, int64_t end, const Frequencies& to);
  void (*transform_input_bfloat16)(const TiledImage& image, const bfloat16_bits* x, int64_t begin, int64_t end,
                                   const Frequencies& to);
  // Of the gradient [batch, out_height, out_width, filters] of the output.
  void (*transform_gradient)(const TiledImage& image, const float* dy, int64_t filters, int64_t begin, int64_t end,
                             const Frequencies& to);
  void (*transform_gradient_bfloat16)(const TiledImage& image, const bfloat16_bits* dy, int64_t filters, int64_t begin,
                                      int64_t end, const Frequencies& to);
  // Outputs of tiles [begin, end).
  void (*output_of_frequencies)(const TiledImage& image, const Frequencies& from, int64_t filters, int64_t begin,
                                int64_t end, const Epilogue& epilogue, float* y);

  const GroupedLoops* grouped;

  void (*prepare)(const Prepare<float>& prepare);
  void (*prepare_bfloat16)(const Prepare<bfloat16_bits>& prepare);
  void (*widen)(const bfloat16_bits* from, int64_t count, float* to);
  void (*finish)(const Finish<float>& finish);
  void (*finish_bfloat16)(const Finish<bfloat16_bits>& finish);

  // Null where the instruction set has no products of bfloat16.
  void (*multiply_pairs)(const PairProduct& product) = nullptr;
  // to[i / 2 * to_row + j] = the pair of from[i * from_row + j] and from[(i + 1) * from_row + j], which is 0 behind the
  // last row, for even i < rows and for j < columns. Rows of `to` have room for whole vectors.
  void (*interleave)(const bfloat16_bits* from, int64_t from_row, int64_t rows, int64_t columns, uint32_t* to,
                     int64_t to_row) = nullptr;
};

// Of this machine; nullptr where none is faster than oneDNN (no AVX2, no x86-64).
const ConvolutionLoops* convolution_loops();

// Those of an instruction set, which the machine may lack.
const ConvolutionLoops* convolution_loops_avx512();
const ConvolutionLoops* convolution_loops_avx512_bfloat16();
const ConvolutionLoops* convolution_loops_avx2();

}  // namespace mox::convolutions
