// The gradient of a filter, as a product of matrices: the windows of the input, a pixel of the output each, times the
// gradients of the output.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <type_traits>
#include <vector>

#include "convolutions/parts.h"

namespace mox::convolutions {
namespace {

constexpr int64_t kColumns = 512;  // of a window, and filters, at a time: the second cache holds what is multiplied
constexpr int64_t kLine = 16;

// The pixels, [0, pixels), in chunks of about as many each, and so many chunks to a cut. Each cut has sums of its own,
// which are added in the order of the cuts: their number depends on the sizes alone, so that no number depends on the
// threads. A small filter's gradient is little to multiply for what is gathered: cut by columns or by filters, each
// thread would gather all of the other matrix.
struct Cuts {
  int64_t pixels, chunks, count;

  Cuts(const Convolution& c, int64_t pixels_of_chunk) : pixels(c.batch * c.out_height * c.out_width), count(1) {
    constexpr int64_t kMost = 8, kFloats = 48 * 1024;
    const int64_t fewest = std::max<int64_t>(1, (pixels + pixels_of_chunk - 1) / pixels_of_chunk),
                  size = c.filter_height * c.filter_width * c.channels * c.filters;
    while (size <= kFloats && count < kMost && 4 * count <= fewest) count *= 2;
    chunks = round_up(fewest, count);
  }
  // Where a chunk begins: an even pixel, for pairs.
  int64_t begin(int64_t chunk) const { return std::min(pixels, (pixels + 1) / 2 * chunk / chunks * 2); }
};

// Sums have whole vectors of filters; the last ones are left out at the end.
int64_t sums_row(const Convolution& c) { return round_up(c.filters, kLanes); }

// What one thread sums at a time: columns [l0, l1) of the windows, counted over all rows of the filter, and filters
// [k0, k1), of which there are those before `filters`, over chunks [first, last).
struct Share {
  int64_t l0, l1, k0, k1, first, last;

  int64_t filters(const Convolution& c) const { return std::min(k1, c.filters) - k0; }
};

// All shares: cut by pixels, then by columns or by filters, so that there are enough for the threads.
class Shares {
 public:
  Shares(const Convolution& c, const Cuts& cuts, int64_t panel, int64_t threads)
      : cuts_(cuts), columns_(c.filter_height * c.filter_width * c.channels), filters_(sums_row(c)), panel_(panel) {
    by_filters_ = (filters_ + kColumns - 1) / kColumns;
    const int64_t needed = (threads + cuts.count - 1) / cuts.count;
    if (filters_ > columns_)
      by_filters_ = round_up(by_filters_, needed);
    else
      by_columns_ = needed;
  }
  int64_t count() const { return cuts_.count * by_columns_ * by_filters_; }
  int64_t cut_of(int64_t part) const { return part / (by_columns_ * by_filters_); }
  Share share(int64_t part) const {
    const int64_t cut = cut_of(part), column = part / by_filters_ % by_columns_, filter = part % by_filters_;
    const auto bound = [](int64_t all, int64_t unit, int64_t n, int64_t of) {
      return std::min(all, (all + unit - 1) / unit * n / of * unit);
    };
    return {bound(columns_, kLine, column, by_columns_),
            bound(columns_, kLine, column + 1, by_columns_),
            bound(filters_, panel_, filter, by_filters_),
            bound(filters_, panel_, filter + 1, by_filters_),
            cuts_.chunks * cut / cuts_.count,
            cuts_.chunks * (cut + 1) / cuts_.count};
  }
  int64_t most_filters() const {
    return std::min(filters_, ((filters_ + panel_ - 1) / panel_ + by_filters_ - 1) / by_filters_ * panel_);
  }

 private:
  const Cuts& cuts_;
  int64_t columns_, filters_, panel_, by_columns_ = 1, by_filters_ = 1;
};

// A row of windows: numbers [begin, end) of row `filter_row`, as in copy_window.
struct WindowRow {
  int64_t filter_row, begin, end;
};

// Pixels from `pixel` on, at most `count`, whose rows lie wholly in the image with `step` numbers between them;
// `from` is null and there is one where its row reaches into the padding.
template <typename T>
struct Run {
  const T* from;
  int64_t count, step;
};

template <typename T>
Run<T> run_at(const Convolution& c, const T* x, int64_t pixel, int64_t count, const WindowRow& row) {
  const int64_t step = c.channels * c.stride;
  if (c.filter_height == 1 && c.filter_width == 1 && c.stride == 1)
    return {x + pixel * c.channels + row.begin, count, step};
  const int64_t column = pixel % c.out_width, line = pixel / c.out_width % c.out_height,
                image = pixel / (c.out_width * c.out_height);
  const int64_t y = line * c.stride + row.filter_row - c.pad_top, x0 = column * c.stride - c.pad_left;
  // Numbers of the image's line behind the window's last.
  const int64_t left = (c.width - x0) * c.channels - row.end;
  if (y < 0 || y >= c.height || x0 * c.channels + row.begin < 0 || left < 0) return {nullptr, 1, step};
  return {x + ((image * c.height + y) * c.width + x0) * c.channels + row.begin,
          std::min({count, c.out_width - column, left / step + 1}), step};
}

bool is_plain(const Convolution& c) { return c.filter_height == 1 && c.filter_width == 1 && c.stride == 1; }

// The left side of a product, its depth `row` elements apart.
template <typename Element>
struct Left {
  const Element* data;
  int64_t row;
};

// float32: the matrices as they are. The columns of what is gathered are brought apart (see Frequencies); where the
// windows lie side by side, they are not gathered: each meets the filters but once for each of their panels.
class Floats {
 public:
  static constexpr int64_t kRows = 192, kPixels = kRows;  // of a chunk
  using Element = float;

  Floats(const Convolution& c, const Prologue& prologue, const Share& s, const Resources& on)
      : c_(c), prologue_(prologue), s_(s), on_(on) {}

  void gather_gradients(const float* dy, int64_t pixel, int64_t count, float* to) const {
    const int64_t filters = s_.filters(c_);
    for (int64_t i = 0; i < count; ++i, to += right_row()) {
      std::memcpy(to, dy + (pixel + i) * c_.filters + s_.k0, filters * sizeof(float));
      if (filters < s_.k1 - s_.k0) std::memset(to + filters, 0, (s_.k1 - s_.k0 - filters) * sizeof(float));
    }
  }
  void gather_windows(const float* x, int64_t pixel, int64_t count, const WindowRow& row, float* to,
                      int64_t to_row) const {
    if (prologue_.is_there())
      return on_.loops.prepare({count, row.end - row.begin, x + pixel * c_.channels + row.begin, c_.channels,
                                prologue_.from_channel(row.begin), to, to_row});
    for (int64_t i = 0; i < count;) {
      const Run<float> run = run_at(c_, x, pixel + i, count - i, row);
      if (!run.from) copy_window(c_, x, pixel + i, row.filter_row, row.begin, row.end, to + i * to_row);
      for (int64_t j = 0; run.from && j < run.count; ++j)
        std::memcpy(to + (i + j) * to_row, run.from + j * run.step, (row.end - row.begin) * sizeof(float));
      i += run.count;
    }
  }
  Left<float> windows(const float* x, int64_t pixel, int64_t count, const WindowRow& row, float* to) const {
    if (is_plain(c_) && !prologue_.is_there()) return {x + pixel * c_.channels + row.begin, c_.channels};
    gather_windows(x, pixel, count, row, to, left_row());
    return {to, left_row()};
  }
  void multiply(int64_t rows, int64_t count, const Left<float>& left, const float* right, float* sums, bool add,
                const float* x, const float* dy) const {
    Product product{rows,        s_.k1 - s_.k0, count,        left.data, 1, left.row, right, on_.loops.columns,
                    right_row(), sums,          sums_row(c_), add};
    product.ahead[0] = ahead_of(dy, s_.k1 - s_.k0, c_.filters);
    product.ahead[1] = ahead_of(x, rows, c_.channels);
    on_.loops.multiply(product);
  }
  static int64_t left_row() { return kColumns + kLine; }
  int64_t right_row() const { return s_.k1 - s_.k0 + kLine; }

  static Ahead ahead_of(const float* data, int64_t columns, int64_t row) {
    return {data, data ? columns / kLine : 0, kLine * sizeof(float), row * static_cast<int64_t>(sizeof(float))};
  }

 private:
  const Convolution& c_;
  const Prologue& prologue_;
  const Share& s_;
  const Resources& on_;
};

// bfloat16: two pixels in each pair.
class Pairs {
 public:
  static constexpr int64_t kRows = 128, kPixels = 2 * kRows;  // of a chunk
  using Element = uint32_t;

  Pairs(const Convolution& c, const Prologue& prologue, const Share& s, const Resources& on)
      : c_(c), prologue_(prologue), s_(s), on_(on), windows_(2 * kColumns) {}

  void gather_gradients(const bfloat16_bits* dy, int64_t pixel, int64_t count, uint32_t* to) const {
    on_.loops.interleave(dy + pixel * c_.filters + s_.k0, c_.filters, count, s_.filters(c_), to, right_row());
  }
  Left<uint32_t> windows(const bfloat16_bits* x, int64_t pixel, int64_t count, const WindowRow& row, uint32_t* to) {
    const int64_t columns = row.end - row.begin;
    for (int64_t i = 0; prologue_.is_there() && i < count; i += 2) {
      const int64_t pair = std::min<int64_t>(2, count - i);
      on_.loops.prepare_bfloat16({pair, columns, x + (pixel + i) * c_.channels + row.begin, c_.channels,
                                  prologue_.from_channel(row.begin), windows_.data(), kColumns});
      on_.loops.interleave(windows_.data(), kColumns, pair, columns, to + i / 2 * left_row(), left_row());
    }
    for (int64_t i = prologue_.is_there() ? count : 0; i < count;) {
      Run<bfloat16_bits> run = run_at(c_, x, pixel + i, count - i, row);
      if (i + run.count < count) run.count = run.count / 2 * 2;
      if (!run.from || run.count == 0) {
        run = {windows_.data(), std::min<int64_t>(2, count - i), kColumns};
        for (int64_t j = 0; j < run.count; ++j)
          copy_window(c_, x, pixel + i + j, row.filter_row, row.begin, row.end, windows_.data() + j * kColumns);
      }
      on_.loops.interleave(run.from, run.step, run.count, columns, to + i / 2 * left_row(), left_row());
      i += run.count;
    }
    return {to, left_row()};
  }
  void multiply(int64_t rows, int64_t count, const Left<uint32_t>& left, const uint32_t* right, float* sums, bool add,
                const bfloat16_bits* x, const bfloat16_bits* dy) const {
    PairProduct product{rows,        s_.k1 - s_.k0, (count + 1) / 2, left.data, 1, left.row, right, on_.loops.columns,
                        right_row(), sums,          sums_row(c_),    add};
    for (const int64_t i : {0, 1}) {
      product.ahead[i] = ahead_of(dy, i, s_.k1 - s_.k0, c_.filters);
      product.ahead[2 + i] = ahead_of(x, i, rows, c_.channels);
    }
    on_.loops.multiply_pairs(product);
  }
  static int64_t left_row() { return kColumns + kLine; }
  int64_t right_row() const { return s_.k1 - s_.k0 + kLine; }

 private:
  // Of the first or of the second pixel of each pair.
  static Ahead ahead_of(const bfloat16_bits* data, int64_t which, int64_t columns, int64_t row) {
    constexpr int64_t kSize = sizeof(bfloat16_bits), kOfLine = 2 * kLine;
    if (!data) return {};
    return {data + which * row, (columns + kOfLine - 1) / kOfLine, kOfLine * kSize, 2 * row * kSize};
  }

  const Convolution& c_;
  const Prologue& prologue_;
  const Share& s_;
  const Resources& on_;
  std::vector<bfloat16_bits> windows_;
};

// All pixels of a share, a chunk at a time: their gradients, then their windows, part by part.
template <typename Kind, typename T>
void sum_share(const Convolution& c, const Prologue& prologue, const Cuts& cuts, const Share& s, const T* x,
               const T* dy, float* sums, typename Kind::Element* scratch, const Resources& on) {
  Kind kind(c, prologue, s, on);
  auto *left = scratch, *right = scratch + Kind::kRows * Kind::left_row();
  const int64_t window = c.filter_width * c.channels;
  for (int64_t chunk = s.first; chunk < s.last; ++chunk) {
    const int64_t pixel = cuts.begin(chunk), after = cuts.begin(chunk + 1), count = after - pixel;
    const bool is_last = chunk + 1 == s.last;
    kind.gather_gradients(dy, pixel, count, right);
    for (int64_t l = s.l0; l < s.l1;) {
      const int64_t begin = l % window, end = std::min({begin + kColumns, window, begin + s.l1 - l});
      kind.multiply(end - begin, count, kind.windows(x, pixel, count, {l / window, begin, end}, left), right,
                    sums + l * sums_row(c) + s.k0, chunk > s.first,
                    !is_last && is_plain(c) ? x + after * c.channels + begin : nullptr,
                    !is_last && l == s.l0 ? dy + after * c.filters + s.k0 : nullptr);
      l += end - begin;
    }
  }
}

// Whether the sums are computed with rows and columns exchanged, and transposed at last: the gradients of the output
// are the left side then, as they lie, and the windows, which are gathered or prepared in any case or are the fewer,
// alone are copied. To be worth transposing, the filter's gradient must be small beside what is multiplied for it.
bool is_transposed(const Convolution& c, const Prologue& prologue) {
  constexpr int64_t kFewestPixels = 6000;
  return c.channels % kLanes == 0 && c.filters % kLanes == 0 && c.batch * c.out_height * c.out_width >= kFewestPixels &&
         (!is_plain(c) || prologue.is_there() || c.filters > c.channels);
}

// As sum_share; `sums` is [filters, columns of the windows]. Without pairs.
void sum_transposed(const Convolution& c, const Prologue& prologue, const Cuts& cuts, const Share& s, const float* x,
                    const float* dy, float* sums, float* scratch, const Resources& on) {
  const Floats kind(c, prologue, s, on);
  const int64_t window = c.filter_width * c.channels, sums_row = c.filter_height * window;
  for (int64_t chunk = s.first; chunk < s.last; ++chunk) {
    const int64_t pixel = cuts.begin(chunk), after = cuts.begin(chunk + 1), count = after - pixel;
    const bool is_last = chunk + 1 == s.last;
    for (int64_t l = s.l0; l < s.l1;) {
      const int64_t begin = l % window, end = std::min({begin + kColumns, window, begin + s.l1 - l}),
                    row = end - begin + kLine;
      kind.gather_windows(x, pixel, count, {l / window, begin, end}, scratch, row);
      Product product{s.k1 - s.k0, end - begin,      count, dy + pixel * c.filters + s.k0, 1,        c.filters,
                      scratch,     on.loops.columns, row,   sums + s.k0 * sums_row + l,    sums_row, chunk > s.first};
      if (!is_last && is_plain(c))
        product.ahead[0] = Floats::ahead_of(x + after * c.channels + begin, end - begin, c.channels);
      if (!is_last && l == s.l0)
        product.ahead[1] = Floats::ahead_of(dy + after * c.filters + s.k0, s.k1 - s.k0, c.filters);
      on.loops.multiply(product);
      l += end - begin;
    }
  }
}

// to += all of from, one after the other.
void add_all(const float* from, int64_t count, int64_t size, float* to, const Resources& on) {
  constexpr int64_t kBlock = 4096;
  on.run((size + kBlock - 1) / kBlock, [&](int64_t part) {
    const int64_t begin = part * kBlock, end = std::min(size, begin + kBlock);
    for (int64_t n = 0; n < count; ++n)
      for (int64_t i = begin; i < end; ++i) to[i] += from[n * size + i];
  });
}

// Rows of sums without what fills their vectors.
void leave_out(const Convolution& c, const float* sums, int64_t rows, float* dfilter, const Resources& on) {
  constexpr int64_t kBlock = 64;
  on.run((rows + kBlock - 1) / kBlock, [&](int64_t part) {
    for (int64_t l = part * kBlock; l < std::min(rows, (part + 1) * kBlock); ++l)
      std::memcpy(dfilter + l * c.filters, sums + l * sums_row(c), c.filters * sizeof(float));
  });
}

}  // namespace

template <typename T>
void direct_filter_gradient(const Convolution& c, const T* x, const Prologue& prologue, const T* dy, float* dfilter,
                            const Resources& on) {
  using Kind = std::conditional_t<std::is_same_v<T, float>, Floats, Pairs>;
  const Cuts cuts(c, Kind::kPixels);
  const Shares shares(c, cuts, on.loops.columns, on.threads);
  const int64_t rows = c.filter_height * c.filter_width * c.channels, size = rows * sums_row(c),
                each = Kind::kRows * (Kind::left_row() + shares.most_filters() + kLine),
                workers = std::min(on.threads, shares.count());
  auto* scratch = reinterpret_cast<typename Kind::Element*>(on.scratch(workers * each));
  float* sums = cuts.count > 1 ? on.scratch((cuts.count - 1) * size) : nullptr;
  const bool transposed = std::is_same_v<T, float> && is_transposed(c, prologue);
  float* total = sums_row(c) == c.filters && !transposed ? dfilter : on.scratch(size);
  std::atomic<int64_t> next{0};
  on.run(workers, [&](int64_t worker) {
    for (int64_t part = next++; part < shares.count(); part = next++) {
      const Share share = shares.share(part);
      const int64_t cut = shares.cut_of(part);
      if (share.l1 <= share.l0 || share.k1 <= share.k0) continue;
      float* to = cut > 0 ? sums + (cut - 1) * size : total;
      if constexpr (std::is_same_v<T, float>) {
        if (transposed) {
          sum_transposed(c, prologue, cuts, share, x, dy, to, scratch + worker * each, on);
          continue;
        }
      }
      sum_share<Kind>(c, prologue, cuts, share, x, dy, to, scratch + worker * each, on);
    }
  });
  if (sums) add_all(sums, cuts.count - 1, size, total, on);
  if (transposed)
    transpose(total, 1, c.filters, rows, dfilter, on);
  else if (total != dfilter)
    leave_out(c, total, rows, dfilter, on);
}
template void direct_filter_gradient(const Convolution&, const float*, const Prologue&, const float*, float*,
                                     const Resources&);
template void direct_filter_gradient(const Convolution&, const bfloat16_bits*, const Prologue&, const bfloat16_bits*,
                                     float*, const Resources&);

}  // namespace mox::convolutions
