// The gradient of a filter, as a product of matrices: the windows of the input, a pixel of the output each, times the
// gradients of the output.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "convolutions/parts.h"

namespace mox::convolutions {
namespace {

constexpr int64_t kRows = 192;     // of windows at a time; bfloat16: pairs of them
constexpr int64_t kColumns = 512;  // of a window at a time, so that the second cache holds what is multiplied
constexpr int64_t kLine = 16;

// The share of one thread: the sums of columns [l0, l1) of the windows, counted over all rows of the filter, and
// filters [k0, k1).
struct Share {
  int64_t l0, l1, k0, k1;
};

Share share_of(const Convolution& c, int64_t panel, int64_t part, int64_t parts) {
  const int64_t columns = c.filter_height * c.filter_width * c.channels;
  const bool by_filters = c.filters > columns;
  const int64_t unit = by_filters ? panel : kLine, all = by_filters ? c.filters : columns,
                units = (all + unit - 1) / unit;
  const int64_t begin = std::min(all, units * part / parts * unit),
                end = std::min(all, units * (part + 1) / parts * unit);
  return by_filters ? Share{0, columns, begin, end} : Share{begin, end, 0, c.filters};
}

// float32: the matrices as they are; their columns are brought apart (see Frequencies).
class Floats {
 public:
  static constexpr int64_t kPixels = kRows;
  using Element = float;

  Floats(const Convolution& c, const Share&, const Resources& on, const float*) : c_(c), on_(on) {}

  void gather_gradients(const float* dy, const Share& s, int64_t pixel, int64_t count, float* to) const {
    for (int64_t i = 0; i < count; ++i)
      std::memcpy(to + i * right_row(s), dy + (pixel + i) * c_.filters + s.k0, (s.k1 - s.k0) * sizeof(float));
  }
  void gather_windows(const float* x, int64_t pixel, int64_t count, int64_t filter_row, int64_t begin, int64_t end,
                      float* to) const {
    for (int64_t i = 0; i < count; ++i) copy_window(c_, x, pixel + i, filter_row, begin, end, to + i * left_row());
  }
  void multiply(const Share& s, int64_t rows, int64_t count, const float* left, const float* right, float* sums,
                bool add, const float* x, const float* dy) const {
    Product product{rows,  s.k1 - s.k0,       count,        left, 1,          left_row(),
                    right, on_.loops.columns, right_row(s), sums, c_.filters, add};
    product.ahead[0] = {dy, dy ? (s.k1 - s.k0) / kLine : 0, kLine, c_.filters};
    product.ahead[1] = {x, x ? rows / kLine : 0, kLine, c_.channels * c_.stride};
    on_.loops.multiply(product);
  }
  static int64_t left_row() { return kColumns + kLine; }
  static int64_t right_row(const Share& s) { return s.k1 - s.k0 + kLine; }

 private:
  const Convolution& c_;
  const Resources& on_;
};

// bfloat16: two pixels in each pair.
class Pairs {
 public:
  static constexpr int64_t kPixels = 2 * kRows;
  using Element = uint32_t;

  Pairs(const Convolution& c, const Share& s, const Resources& on, const bfloat16_bits*)
      : c_(c), on_(on), zeros_(round_up(std::max(s.k1 - s.k0, kColumns), kLine)), windows_(2 * kColumns) {}

  void gather_gradients(const bfloat16_bits* dy, const Share& s, int64_t pixel, int64_t count, uint32_t* to) const {
    for (int64_t i = 0; i < count; i += 2) {
      const bfloat16_bits* first = dy + (pixel + i) * c_.filters + s.k0;
      on_.loops.interleave(first, i + 1 < count ? first + c_.filters : zeros_.data(), s.k1 - s.k0,
                           to + i / 2 * right_row(s));
    }
  }
  void gather_windows(const bfloat16_bits* x, int64_t pixel, int64_t count, int64_t filter_row, int64_t begin,
                      int64_t end, uint32_t* to) {
    for (int64_t i = 0; i < count; i += 2) {
      copy_window(c_, x, pixel + i, filter_row, begin, end, windows_.data());
      if (i + 1 < count) copy_window(c_, x, pixel + i + 1, filter_row, begin, end, windows_.data() + kColumns);
      on_.loops.interleave(windows_.data(), i + 1 < count ? windows_.data() + kColumns : zeros_.data(),
                           round_up(end - begin, kLine), to + i / 2 * left_row());
    }
  }
  void multiply(const Share& s, int64_t rows, int64_t count, const uint32_t* left, const uint32_t* right, float* sums,
                bool add, const bfloat16_bits*, const bfloat16_bits*) const {
    on_.loops.multiply_pairs({.rows = rows,
                              .columns = s.k1 - s.k0,
                              .depth = (count + 1) / 2,
                              .left = left,
                              .left_row = 1,
                              .left_depth = left_row(),
                              .right = right,
                              .right_panel = on_.loops.columns,
                              .right_depth = right_row(s),
                              .product = sums,
                              .product_row = c_.filters,
                              .add = add});
  }
  static int64_t left_row() { return kColumns + kLine; }
  static int64_t right_row(const Share& s) { return s.k1 - s.k0 + kLine; }

 private:
  const Convolution& c_;
  const Resources& on_;
  std::vector<bfloat16_bits> zeros_, windows_;
};

// All pixels, some at a time: their gradients, then their windows, part by part.
template <typename Kind, typename T>
void sum_share(const Convolution& c, const Share& s, const T* x, const T* dy, float* dfilter,
               typename Kind::Element* scratch, const Resources& on) {
  Kind kind(c, s, on, x);
  auto *left = scratch, *right = scratch + kRows * Kind::left_row();
  const int64_t pixels = c.batch * c.out_height * c.out_width, window = c.filter_width * c.channels;
  const bool is_pointwise = c.filter_height == 1 && c.filter_width == 1;
  for (int64_t pixel = 0; pixel < pixels; pixel += Kind::kPixels) {
    const int64_t count = std::min(Kind::kPixels, pixels - pixel),
                  after = pixel + 2 * Kind::kPixels <= pixels ? pixel + Kind::kPixels : 0;
    kind.gather_gradients(dy, s, pixel, count, right);
    bool is_first = true;
    for (int64_t l = s.l0; l < s.l1;) {
      const int64_t filter_row = l / window, begin = l % window,
                    end = std::min({begin + kColumns, window, begin + s.l1 - l});
      kind.gather_windows(x, pixel, count, filter_row, begin, end, left);
      kind.multiply(s, end - begin, count, left, right, dfilter + l * c.filters + s.k0, pixel > 0,
                    after > 0 && is_pointwise && c.stride == 1 ? x + after * c.channels + begin : nullptr,
                    after > 0 && is_first ? dy + after * c.filters + s.k0 : nullptr);
      is_first = false;
      l += end - begin;
    }
  }
}

}  // namespace

template <typename T>
void direct_filter_gradient(const Convolution& c, const T* x, const T* dy, float* dfilter, const Resources& on) {
  using Kind = std::conditional_t<std::is_same_v<T, float>, Floats, Pairs>;
  const int64_t parts = on.threads;
  const int64_t each = kRows * (Kind::left_row() + Kind::right_row({0, 0, 0, c.filters}));
  auto* scratch = reinterpret_cast<typename Kind::Element*>(on.scratch(parts * each));
  on.run(parts, [&](int64_t part) {
    const Share share = share_of(c, on.loops.columns, part, parts);
    if (share.l1 > share.l0 && share.k1 > share.k0)
      sum_share<Kind>(c, share, x, dy, dfilter, scratch + part * each, on);
  });
}
template void direct_filter_gradient(const Convolution&, const float*, const float*, float*, const Resources&);
template void direct_filter_gradient(const Convolution&, const bfloat16_bits*, const bfloat16_bits*, float*,
                                     const Resources&);

}  // namespace mox::convolutions
