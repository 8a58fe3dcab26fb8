// Convolutions with 1x1 filters: the matrix of pixels times the filter, as they lie in memory.
#include <algorithm>
#include <cstring>
#include <iterator>

#include "convolutions/parts.h"

namespace mox::convolutions {
namespace {

int64_t packed_size(int64_t depth, int64_t columns, bool float32, const Resources& on) {
  return (float32 ? depth : depth / 2) * round_up(columns, on.loops.columns);
}

// `bytes` from `data` on come into the second cache while a product is computed.
Ahead ahead_of(const void* data, int64_t bytes, int64_t depth) {
  constexpr int64_t kLine = 64;
  if (!data) return {};
  return {data, (bytes + depth * kLine - 1) / (depth * kLine), depth * kLine, kLine};
}

// Rows of a StridedSide and the pixels of `c`'s input that they are added to, in the same order.
class StridedRows {
 public:
  StridedRows() = default;
  StridedRows(const Convolution& c, const StridedSide& side)
      : side_(side.side),
        stride_(side.stride),
        height_(c.height),
        width_(c.width),
        channels_(c.channels),
        in_line_(divided(c.width)) {}

  bool is_there() const { return side_ != nullptr; }
  // What is added to `pixel`, or to the first one behind it that has something.
  template <typename T>
  const T* from(int64_t pixel) const {
    const int64_t column = pixel % width_, line = pixel / width_ % height_, image = pixel / (width_ * height_),
                  lines = divided(height_) * image + divided(line);
    const int64_t rows = lines * in_line_ + (line % stride_ == 0 ? divided(column) : 0);
    return static_cast<const T*>(side_) + rows * channels_;
  }

  // Calls work(pixel, side) for those of [begin, end) that have one; no division for each.
  template <typename T, typename Work>
  void for_each(int64_t begin, int64_t end, const Work& work) const {
    const T* side = from<T>(begin);
    const int64_t first_line = begin / width_, column = begin % width_;
    int64_t line = first_line % height_;  // of its image
    for (int64_t pixel = begin - column; pixel < end; pixel += width_, line = line + 1 < height_ ? line + 1 : 0) {
      if (line % stride_ != 0) continue;
      const int64_t first = pixel < begin ? divided(column) * stride_ : 0, last = std::min(width_, end - pixel);
      for (int64_t x = first; x < last; x += stride_, side += channels_) work(pixel + x, side);
    }
  }

 private:
  int64_t divided(int64_t n) const { return (n + stride_ - 1) / stride_; }

  const void* side_ = nullptr;
  int64_t stride_ = 1, height_ = 1, width_ = 1, channels_ = 0, in_line_ = 1;
};

// y [rows, columns] = clamp(left [rows, depth] * right + bias + side); y may be null, its rows are only shown then.
template <typename T>
struct Task {
  using Element = Multiplied<T>;

  const Convolution* gathered;  // whose pixels are gathered into rows; null: they lie side by side
  const T* x;
  const Prologue& prologue;
  int64_t depth, columns;
  const Element* packed;
  const Epilogue& epilogue;
  T* y;
  RowParts rows;
  const RowsDone& done;
  const Resources& on;
  StridedRows strided = {};  // where the epilogue has no side

  static constexpr int64_t kUnit = RowParts::kUnit, kMostRows = 96;
  int64_t elements() const { return depth / kNumbers<T>; }
  // Sums are the result's rows, but for what follows.
  bool are_sums_rows() const { return std::is_same_v<T, float> && columns % kLanes == 0 && (!y || epilogue.side != y); }
  int64_t gathered_row() const { return elements() + kLanes; }

  // Scratch memory of a thread, in floats.
  int64_t gathered_size() const { return gathered || prologue.is_there() ? kMostRows * gathered_row() : 0; }
  int64_t sums_size() const { return are_sums_rows() && y ? 0 : kMostRows * round_up(columns, kLanes); }
  int64_t rows_size() const { return are_sums_rows() || y ? 0 : kMostRows * round_up(columns, kLanes); }

  // Pixels at a time: with a filter that stays in the second cache as few as fill the first one; a larger one is read
  // for many.
  int64_t rows_at_once() const {
    constexpr int64_t kFirstCache = 8 * 1024, kSecondCache = 96 * 1024, kFilter = 256 * 1024;
    const bool small = elements() * columns <= kFilter;
    const int64_t of_left = (small ? kFirstCache : kSecondCache) / elements(),
                  of_rows = y ? of_left : kSecondCache / columns;
    return std::clamp(std::min(of_left, of_rows) / kUnit * kUnit, small ? kUnit : 4 * kUnit, kMostRows);
  }

  // Rows [begin, end), columns [k0, k1) by the thread that has this scratch memory. Returns where they are.
  T* compute(int64_t begin, int64_t end, int64_t k0, int64_t k1, float* scratch) const {
    ProductOf<Element> product{.rows = end - begin,
                               .columns = round_up(k1 - k0, kLanes),
                               .depth = elements(),
                               .left = reinterpret_cast<const Element*>(x + begin * depth),
                               .left_row = elements(),
                               .left_depth = 1,
                               .right = packed + k0 * elements(),
                               .right_panel = elements() * on.loops.columns,
                               .right_depth = on.loops.columns};
    auto* left = reinterpret_cast<T*>(scratch);
    const int64_t left_row = gathered_row() * kNumbers<T>;
    if (gathered)
      for (int64_t r = begin; r < end; ++r) copy_window(*gathered, x, r, 0, 0, depth, left + (r - begin) * left_row);
    if (prologue.is_there())
      prepare(on.loops, Prepare<T>{end - begin, depth, x + begin * depth, depth, prologue, left, left_row});
    if (gathered || prologue.is_there()) {
      product.left = reinterpret_cast<const Element*>(left);
      product.left_row = gathered_row();
    }
    // The next rows, as many.
    if (!gathered) product.ahead[0] = ahead_of(x + end * depth, (end - begin) * depth * sizeof(T), elements());
    int aheads = 1;
    for (int i = 0; i < 3 && done.call; ++i)
      if (done.reads[i])
        product.ahead[aheads++] = ahead_of(static_cast<const T*>(done.reads[i]) + begin * columns + k0,
                                           (end - begin) * columns * sizeof(T), elements());
    if (strided.is_there() && aheads < static_cast<int>(std::size(product.ahead))) {
      const T *first = strided.from<T>(begin), *last = strided.from<T>(end);
      if (first < last) product.ahead[aheads] = ahead_of(first + k0, (last - first) * sizeof(T), elements());
    }
    float* sums = scratch + gathered_size();
    T* to = y ? y + begin * columns + k0 : reinterpret_cast<T*>(are_sums_rows() ? sums : sums + sums_size());
    product.product = are_sums_rows() ? reinterpret_cast<float*>(to) : sums;
    product.product_row = are_sums_rows() ? columns : product.columns;
    multiply(on.loops, product);
    if (strided.is_there())
      finish_strided(product, begin, end, k0, k1, to);
    else if (!are_sums_rows() || epilogue.is_there())
      finish_rows(product, epilogue.of<T>(begin * columns, k0), 0, end - begin, k1 - k0, to);
    return to;
  }

  // Of those that `product` and `to` have.
  void finish_rows(const ProductOf<Element>& product, const Epilogue& of_rows, int64_t first, int64_t last,
                   int64_t width, T* to) const {
    finish(on.loops, Finish<T>{last - first, width, product.product + first * product.product_row, product.product_row,
                               of_rows, to + first * columns, columns});
  }

  // Rows that have a side one by one, those between them together.
  void finish_strided(const ProductOf<Element>& product, int64_t begin, int64_t end, int64_t k0, int64_t k1,
                      T* to) const {
    int64_t next = begin;
    const auto finish_between = [&](int64_t row) {
      if (next < row && (!are_sums_rows() || epilogue.is_there()))
        finish_rows(product, epilogue.of<T>(next * columns, k0), next - begin, row - begin, k1 - k0, to);
    };
    strided.for_each<T>(begin, end, [&](int64_t row, const T* side) {
      finish_between(row);
      Epilogue of_row = epilogue.of<T>(row * columns, k0);
      of_row.side = side + k0;
      finish_rows(product, of_row, row - begin, row + 1 - begin, k1 - k0, to);
      next = row + 1;
    });
    finish_between(end);
  }

  // Calls work(begin, end) for the rows of a part, those that are computed at once: as they are told, whoever tells
  // them, since sums that are made of them are grouped so.
  template <typename Work>
  void for_rows(int64_t part, const Work& work) const {
    const int64_t first = rows.begin(part), last = rows.begin(part + 1), most = rows_at_once();
    if (first == last) return;
    const int64_t calls = (last - first + most - 1) / most, step = round_up((last - first + calls - 1) / calls, kUnit);
    for (int64_t r = first; r < last; r += step) work(r, std::min(r + step, last));
  }

  void compute_part(int64_t part, int64_t k0, int64_t k1, float* scratch) const {
    for_rows(part, [&](int64_t begin, int64_t end) {
      const T* made = compute(begin, end, k0, k1, scratch);
      if (done.call && k1 - k0 == columns) done.call(part, begin, end, made);
    });
  }

  void run() const {
    const int64_t panel = on.loops.columns, panels = (columns + panel - 1) / panel;
    const int64_t by_columns =
        rows.parts >= 2 * on.threads || !y ? 1 : std::min(panels, (2 * on.threads + rows.parts - 1) / rows.parts);
    const int64_t blocks = rows.parts * by_columns,
                  each = round_up(gathered_size() + sums_size() + rows_size(), kLanes);
    float* scratch = each > 0 ? on.scratch(std::min(on.threads, blocks) * each) : nullptr;
    for_all(blocks, on, [&](int64_t block, int64_t worker) {
      const int64_t column = block % by_columns;
      compute_part(block / by_columns, panels * column / by_columns * panel,
                   std::min(columns, panels * (column + 1) / by_columns * panel), scratch + worker * each);
    });
    if (by_columns == 1 || !done.call) return;
    on.run(rows.parts, [&](int64_t part) {
      for_rows(part, [&](int64_t begin, int64_t end) { done.call(part, begin, end, y + begin * columns); });
    });
  }
};

}  // namespace

int64_t pointwise_size(const Convolution& c, bool float32, const Resources& on) {
  return packed_size(c.channels, c.filters, float32, on);
}

template <typename T>
void pointwise_pack(const Convolution& c, const T* filter, float* packed, const Resources& on) {
  const int64_t panel = on.loops.columns, depth = c.channels / kNumbers<T>;
  on.run((c.filters + panel - 1) / panel, [&](int64_t p) {
    const int64_t width = std::min(panel, c.filters - p * panel);
    auto* to = reinterpret_cast<Multiplied<T>*>(packed) + p * depth * panel;
    if (width < panel) std::memset(to, 0, depth * panel * sizeof(*to));
    if constexpr (std::is_same_v<T, float>) {
      for (int64_t d = 0; d < depth; ++d)
        std::memcpy(to + d * panel, filter + d * c.filters + p * panel, width * sizeof(float));
    } else {
      on.loops.interleave(filter + p * panel, c.filters, c.channels, width, to, panel);
    }
  });
}

template <typename T>
void pointwise(const Convolution& c, const T* x, const Prologue& prologue, const float* packed,
               const Epilogue& epilogue, T* y, const RowsDone& done, const Resources& on) {
  Task<T>{c.stride > 1 || c.pad_top > 0 || c.pad_left > 0 ? &c : nullptr,
          x,
          prologue,
          c.channels,
          c.filters,
          reinterpret_cast<const Multiplied<T>*>(packed),
          epilogue,
          y,
          parts_of_output(c),
          done,
          on}
      .run();
}

template <typename T>
void pointwise_input_gradient(const Convolution& c, const T* filter, const T* dy, T* dx, const RowsDone& done,
                              const StridedSide& side, const Resources& on) {
  using Element = Multiplied<T>;
  const int64_t panel = on.loops.columns, depth = c.filters / kNumbers<T>;
  auto* packed =
      reinterpret_cast<Element*>(on.scratch(packed_size(c.filters, c.channels, std::is_same_v<T, float>, on)));
  on.run((c.channels + panel - 1) / panel, [&](int64_t p) {
    transpose_panel(reinterpret_cast<const Element*>(filter), depth, p * panel, std::min(c.channels, (p + 1) * panel),
                    panel, packed + p * depth * panel);
  });
  const Epilogue nothing;
  Task<T>{nullptr, dy, Prologue{},        c.filters, c.channels, packed,
          nothing, dx, parts_of_input(c), done,      on,         StridedRows(c, side)}
      .run();
}

#define MOX_INSTANTIATE(T)                                                                                  \
  template void pointwise_pack(const Convolution&, const T*, float*, const Resources&);                     \
  template void pointwise(const Convolution&, const T*, const Prologue&, const float*, const Epilogue&, T*, \
                          const RowsDone&, const Resources&);                                               \
  template void pointwise_input_gradient(const Convolution&, const T*, const T*, T*, const RowsDone&,       \
                                         const StridedSide&, const Resources&);
MOX_INSTANTIATE(float)
MOX_INSTANTIATE(bfloat16_bits)
#undef MOX_INSTANTIATE

}  // namespace mox::convolutions
