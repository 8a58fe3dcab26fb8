// The loops of convolutions/loops.h for vectors of MOX_LANES floats and MOX_ROWS rows of sums in registers.
// Included once by each file that is compiled for an instruction set; all is inside an anonymous namespace and nothing
// of the standard library is used, so that no code for this instruction set reaches other files through the linker.
#include "convolutions/grouped_any.h"
#include "convolutions/vectors_any.h"
#include "convolutions/winograd_any.h"

namespace mox::convolutions {
namespace {

constexpr int64_t kRows = MOX_ROWS;

// ---- Products

// Kind: what is multiplied. An Element of `left` meets a Right, as many elements of `right` as sums are in a vector.
struct Floats {
  using Element = float;
  using Right = Vector;
  static MOX_INLINE Right load_right(const float* p) { return load(p); }
  static MOX_INLINE Vector add_products(Vector sums, float left, Right right) { return sums + left * right; }
};

// Of windows: what is multiplied begins anew in each line of them.
struct OneLine {
  static constexpr int64_t lines = 1, line = 0;
};
struct Lines {
  int64_t lines, line;
};

template <typename Kind, int64_t kHeight, int64_t kVectors, typename Of>
MOX_INLINE void multiply_block(const ProductOf<typename Kind::Element>& p, const Of& of, int64_t row, int64_t column,
                               const Ahead& next) {
  Vector sums[kHeight][kVectors];
  for (int64_t r = 0; r < kHeight; ++r)
    for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = Vector{};
  const auto* line = p.left + row * p.left_row;
  const auto* right = p.right + column / kColumns * p.right_panel;
  const int64_t left_row = p.left_row;
  const char* ahead = static_cast<const char*>(next.data);
  for (int64_t l = 0; l < of.lines; ++l, line += of.line) {
    const auto* left = line;
    for (int64_t d = 0; d < p.depth; ++d) {
      __builtin_prefetch(ahead, 0, 2);
      ahead += next.depth;
      typename Kind::Right b[kVectors];
      for (int64_t v = 0; v < kVectors; ++v) b[v] = Kind::load_right(right + v * kWidth);
#pragma GCC unroll 16
      for (int64_t r = 0; r < kHeight; ++r) {
        const typename Kind::Element a = left[r * left_row];
        for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = Kind::add_products(sums[r][v], a, b[v]);
      }
      left += p.left_depth;
      right += p.right_depth;
    }
  }
  float* to = p.product + row * p.product_row + column;
  for (int64_t r = 0; r < kHeight; ++r, to += p.product_row)
    for (int64_t v = 0; v < kVectors; ++v)
      store(to + v * kWidth, p.add ? load(to + v * kWidth) + sums[r][v] : sums[r][v]);
}

template <typename Kind, int64_t kVectors, int64_t kHeight = kRows, typename Of>
MOX_INLINE void multiply_rows(const ProductOf<typename Kind::Element>& p, const Of& of, int64_t row, int64_t rows,
                              int64_t column, const Ahead& next) {
  if (rows == kHeight) return multiply_block<Kind, kHeight, kVectors>(p, of, row, column, next);
  if constexpr (kHeight > 1) multiply_rows<Kind, kVectors, kHeight - 1>(p, of, row, rows, column, next);
}

// For block `block` of a product; a line that is there already when there is nothing left.
MOX_INLINE Ahead ahead_in(const Ahead (&all)[4], int64_t block, const void* there) {
  for (const Ahead& ahead : all) {
    if (block < ahead.blocks) return {static_cast<const char*>(ahead.data) + block * ahead.block, 1, 0, ahead.depth};
    block -= ahead.blocks;
  }
  return {there, 1, 0, 0};
}

template <typename Kind, typename Of>
MOX_INLINE void multiply_any(const ProductOf<typename Kind::Element>& p, const Of& of) {
  const int64_t groups = (p.rows + kRows - 1) / kRows;  // of about as many rows each: few rows are as dear as many
  int64_t block = 0;
  for (int64_t column = 0; column < p.columns; column += kColumns)
    for (int64_t g = 0; g < groups; ++g) {
      const Ahead next = ahead_in(p.ahead, block++, p.left);
      const int64_t row = p.rows * g / groups, rows = p.rows * (g + 1) / groups - row;
      if (p.columns - column > kWidth)
        multiply_rows<Kind, 2>(p, of, row, rows, column, next);
      else
        multiply_rows<Kind, 1>(p, of, row, rows, column, next);
    }
}

void multiply(const Product& p) { multiply_any<Floats>(p, OneLine{}); }
void multiply_windows(const WindowProduct& p) { multiply_any<Floats>(p.product, Lines{p.lines, p.line}); }

// ---- What precedes and what follows a product

// Calls body(column, lanes, Vectors<n>) for columns: n vectors side by side from this column on.
template <int kCount>
struct Vectors {
  static constexpr int count = kCount;
};
template <typename Body>
MOX_INLINE void for_columns(int64_t columns, const Body& body) {
  constexpr int kMany = 4;
  int64_t c = 0;
  for (; c + kMany * kWidth <= columns; c += kMany * kWidth) body(c, AllLanes{}, Vectors<kMany>{});
  for (; c + kWidth <= columns; c += kWidth) body(c, AllLanes{}, Vectors<1>{});
  if (c < columns) body(c, SomeLanes(columns - c), Vectors<1>{});
}

// Row by row: they come from memory, one behind the other.
template <typename T>
MOX_INLINE void prepare_rows(const Prepare<T>& p) {
  const Prologue& of = p.prologue;
  for (int64_t r = 0; r < p.rows; ++r) {
    const T* x = p.x + r * p.x_row;
    T* to = p.to + r * p.to_row;
    for_columns(p.columns, [&](int64_t c, auto lanes, auto vectors) MOX_ALWAYS {
      for (int v = 0; v < vectors.count; ++v) {
        const int64_t at = c + v * kWidth;
        lanes.put(to + at, clamped(lanes.get(x + at) * lanes.get(of.scale + at) + lanes.get(of.shift + at), of.floor,
                                   of.ceiling));
      }
    });
  }
}

void widen(const bfloat16_bits* from, int64_t count, float* to) {
  for_columns(count, [&](int64_t c, auto lanes, auto vectors) MOX_ALWAYS {
    for (int v = 0; v < vectors.count; ++v) lanes.put(to + c + v * kWidth, lanes.get(from + c + v * kWidth));
  });
}

template <typename T>
MOX_INLINE void finish_rows(const Finish<T>& f) {
  for_columns(f.columns, [&](int64_t c, auto lanes, auto vectors) MOX_ALWAYS {
    Vector bias[vectors.count];
    for (int v = 0; v < vectors.count; ++v)
      bias[v] = f.epilogue.bias ? lanes.get(f.epilogue.bias + c + v * kWidth) : Vector{};
    const auto* side = static_cast<const T*>(f.epilogue.side);
    for (int64_t r = 0; r < f.rows; ++r)
      for (int v = 0; v < vectors.count; ++v) {
        const int64_t at = c + v * kWidth;
        Vector sum = lanes.get(f.sums + r * f.sums_row + at) + bias[v];
        if (side) sum += lanes.get(side + r * f.y_row + at);
        lanes.put(f.y + r * f.y_row + at, clamped(sum, f.epilogue));
      }
  });
}

constexpr ConvolutionLoops kLoops = {
    .columns = kColumns,
    .multiply = multiply,
    .multiply_windows = multiply_windows,
    .transform_filter = transform_filter,
    .filter_of_frequencies = filter_of_frequencies,
    .transform_input = transform_input<float>,
    .transform_input_bfloat16 = transform_input<bfloat16_bits>,
    .transform_gradient = transform_gradient<float>,
    .transform_gradient_bfloat16 = transform_gradient<bfloat16_bits>,
    .output_of_frequencies = output_of_frequencies,
    .grouped = &kGroupedLoops,
    .prepare = [](const Prepare<float>& p) { prepare_rows(p); },
    .prepare_bfloat16 = [](const Prepare<bfloat16_bits>& p) { prepare_rows(p); },
    .widen = widen,
    .finish = [](const Finish<float>& f) { finish_rows(f); },
    .finish_bfloat16 = [](const Finish<bfloat16_bits>& f) { finish_rows(f); },
};

}  // namespace
}  // namespace mox::convolutions
