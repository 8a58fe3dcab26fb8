// The loops of convolutions/loops.h for vectors of MOX_LANES floats and MOX_ROWS rows of sums in registers.
// Included once by each file that is compiled for an instruction set; all is inside an anonymous namespace and nothing
// of the standard library is used, so that no code for this instruction set reaches other files through the linker.
#include "convolutions/grouped_any.h"
#include "convolutions/vectors_any.h"

namespace mox::convolutions {
namespace {

constexpr int64_t kColumns = 2 * kWidth;
constexpr int64_t kRows = MOX_ROWS;

// ---- Products

// Kind: what is multiplied. An Element of `left` meets a Right, as many elements of `right` as sums are in a vector.
struct Floats {
  using Element = float;
  using Right = Vector;
  static MOX_INLINE Right load_right(const float* p) { return load(p); }
  static MOX_INLINE Vector add_products(Vector sums, float left, Right right) { return sums + left * right; }
};

template <typename Kind, int64_t kHeight, int64_t kVectors>
MOX_INLINE void multiply_block(const ProductOf<typename Kind::Element>& p, int64_t row, int64_t column,
                               const Ahead& next) {
  Vector sums[kHeight][kVectors];
  for (int64_t r = 0; r < kHeight; ++r)
    for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = Vector{};
  const auto* left = p.left + row * p.left_row;
  const auto* right = p.right + column / kColumns * p.right_panel;
  const int64_t left_row = p.left_row;
  const char* ahead = static_cast<const char*>(next.data);
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
  float* to = p.product + row * p.product_row + column;
  for (int64_t r = 0; r < kHeight; ++r, to += p.product_row)
    for (int64_t v = 0; v < kVectors; ++v)
      store(to + v * kWidth, p.add ? load(to + v * kWidth) + sums[r][v] : sums[r][v]);
}

template <typename Kind, int64_t kVectors, int64_t kHeight = kRows>
MOX_INLINE void multiply_rows(const ProductOf<typename Kind::Element>& p, int64_t row, int64_t rows, int64_t column,
                              const Ahead& next) {
  if (rows == kHeight) return multiply_block<Kind, kHeight, kVectors>(p, row, column, next);
  if constexpr (kHeight > 1) multiply_rows<Kind, kVectors, kHeight - 1>(p, row, rows, column, next);
}

// For block `block` of a product; a line that is there already when there is nothing left.
MOX_INLINE Ahead ahead_in(const Ahead (&all)[4], int64_t block, const void* there) {
  for (const Ahead& ahead : all) {
    if (block < ahead.blocks) return {static_cast<const char*>(ahead.data) + block * ahead.block, 1, 0, ahead.depth};
    block -= ahead.blocks;
  }
  return {there, 1, 0, 0};
}

template <typename Kind>
MOX_INLINE void multiply_any(const ProductOf<typename Kind::Element>& p) {
  const int64_t groups = (p.rows + kRows - 1) / kRows;  // of about as many rows each: few rows are as dear as many
  int64_t block = 0;
  for (int64_t column = 0; column < p.columns; column += kColumns)
    for (int64_t g = 0; g < groups; ++g) {
      const Ahead next = ahead_in(p.ahead, block++, p.left);
      const int64_t row = p.rows * g / groups, rows = p.rows * (g + 1) / groups - row;
      if (p.columns - column > kWidth)
        multiply_rows<Kind, 2>(p, row, rows, column, next);
      else
        multiply_rows<Kind, 1>(p, row, rows, column, next);
    }
}

void multiply(const Product& p) { multiply_any<Floats>(p); }

// ---- Winograd's transforms, of one dimension: B^T, A^T, A, G and G^T for the points 0, a, -a, b, -b and infinity

constexpr float a1 = 0.625f, b1 = 1.5f, a2 = a1 * a1, b2 = b1 * b1, a3 = a2 * a1, b3 = b2 * b1;
constexpr float g0 = 1 / (a2 * b2), ga = 1 / (2 * a2 * (a2 - b2)), gb = 1 / (2 * b2 * (b2 - a2));

// At a, -a, b and -b: what even and odd powers give.
MOX_INLINE void at_points(Vector even_a, Vector odd_a, Vector even_b, Vector odd_b, Vector* v) {
  v[1] = even_a + odd_a;
  v[2] = even_a - odd_a;
  v[3] = even_b + odd_b;
  v[4] = even_b - odd_b;
}

MOX_INLINE void to_input(const Vector* d, Vector* v) {
  const Vector even_a = d[4] - b2 * d[2], odd_a = a1 * (d[3] - b2 * d[1]);
  const Vector even_b = d[4] - a2 * d[2], odd_b = b1 * (d[3] - a2 * d[1]);
  v[0] = a2 * b2 * d[0] - (a2 + b2) * d[2] + d[4];
  at_points(even_a, odd_a, even_b, odd_b, v);
  v[5] = a2 * b2 * d[1] - (a2 + b2) * d[3] + d[5];
}

MOX_INLINE void to_output(const Vector* m, Vector* y) {
  const Vector sum_a = m[1] + m[2], difference_a = m[1] - m[2], sum_b = m[3] + m[4], difference_b = m[3] - m[4];
  y[0] = m[0] + sum_a + sum_b;
  y[1] = a1 * difference_a + b1 * difference_b;
  y[2] = a2 * sum_a + b2 * sum_b;
  y[3] = a3 * difference_a + b3 * difference_b + m[5];
}

MOX_INLINE void to_gradient(const Vector* y, Vector* z) {
  const Vector even_a = y[0] + a2 * y[2], odd_a = a1 * y[1] + a3 * y[3];
  const Vector even_b = y[0] + b2 * y[2], odd_b = b1 * y[1] + b3 * y[3];
  z[0] = y[0];
  at_points(even_a, odd_a, even_b, odd_b, z);
  z[5] = y[3];
}

MOX_INLINE void to_filter(const Vector* g, Vector* u) {
  const Vector even_a = ga * g[0] + ga * a2 * g[2], odd_a = ga * a1 * g[1];
  const Vector even_b = gb * g[0] + gb * b2 * g[2], odd_b = gb * b1 * g[1];
  u[0] = g0 * g[0];
  at_points(even_a, odd_a, even_b, odd_b, u);
  u[5] = g[2];
}

MOX_INLINE void of_filter(const Vector* u, Vector* g) {
  const Vector sum_a = u[1] + u[2], difference_a = u[1] - u[2], sum_b = u[3] + u[4], difference_b = u[3] - u[4];
  g[0] = g0 * u[0] + ga * sum_a + gb * sum_b;
  g[1] = ga * a1 * difference_a + gb * b1 * difference_b;
  g[2] = ga * a2 * sum_a + gb * b2 * sum_b + u[5];
}

// ---- The same in two dimensions

void transform_filter(const float* filter, int64_t channels, int64_t filters, int64_t begin, int64_t end, bool rotated,
                      float* panels, int64_t frequency_stride) {
  for (int64_t c = begin; c < end; ++c)
    for (int64_t k = 0; k < filters; k += kWidth) {
      Vector half[6][3], g[3], u[6];
      for (int s = 0; s < 3; ++s) {
        for (int r = 0; r < 3; ++r) {
          const int place = r * 3 + s;
          g[r] = load(filter + ((rotated ? 8 - place : place) * channels + c) * filters + k);
        }
        to_filter(g, u);
        for (int i = 0; i < 6; ++i) half[i][s] = u[i];
      }
      float* to = panels + (k / kColumns * channels + c) * kColumns + k % kColumns;
      for (int i = 0; i < 6; ++i) {
        to_filter(half[i], u);
        for (int j = 0; j < 6; ++j) store(to + (i * 6 + j) * frequency_stride, u[j]);
      }
    }
}

void filter_of_frequencies(const Frequencies& from, int64_t channels, int64_t filters, int64_t begin, int64_t end,
                           float* dfilter) {
  for (int64_t c = begin; c < end; ++c)
    for (int64_t k = 0; k < filters; k += kWidth) {
      Vector half[3][6], u[6], g[3];
      const float* at = from.data + c * from.row_stride + k;
      for (int j = 0; j < 6; ++j) {
        for (int i = 0; i < 6; ++i) u[i] = load(at + (i * 6 + j) * from.stride);
        of_filter(u, g);
        for (int i = 0; i < 3; ++i) half[i][j] = g[i];
      }
      for (int i = 0; i < 3; ++i) {
        of_filter(half[i], g);
        for (int j = 0; j < 3; ++j) store(dfilter + ((i * 3 + j) * channels + c) * filters + k, g[j]);
      }
    }
}

// Where a tile lies: its first output.
struct Place {
  int64_t image, y, x;
};
MOX_INLINE Place place_of(const TiledImage& image, int64_t tile) {
  const int64_t columns = image.tile_columns(), rows = image.tile_rows();
  return {tile / (rows * columns), tile / columns % rows * kTile, tile % columns * kTile};
}

template <typename T>
MOX_INLINE void transform_input_of(const TiledImage& image, const T* x, int64_t begin, int64_t end,
                                   const Frequencies& to) {
  for (int64_t tile = begin; tile < end; ++tile) {
    const Place place = place_of(image, tile);
    const int64_t y0 = place.y - image.pad_top, x0 = place.x - image.pad_left;
    const T* rows[6];  // null: padding
    for (int i = 0; i < 6; ++i)
      rows[i] = y0 + i >= 0 && y0 + i < image.height
                    ? x + ((place.image * image.height + y0 + i) * image.width + x0) * image.channels
                    : nullptr;
    const int first = x0 < 0 ? static_cast<int>(-x0) : 0;
    const int last = image.width - x0 < 6 ? static_cast<int>(image.width - x0) : 6;
    for (int64_t c = 0; c < image.channels; c += kWidth) {
      Vector half[6][6], d[6], v[6];
#pragma GCC unroll 6
      for (int j = 0; j < 6; ++j) {
        const bool inside = j >= first && j < last;
        for (int i = 0; i < 6; ++i) d[i] = inside && rows[i] ? load(rows[i] + j * image.channels + c) : Vector{};
        to_input(d, v);
        for (int i = 0; i < 6; ++i) half[i][j] = v[i];
      }
      float* at = to.data + (tile - begin) * to.row_stride + c;
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) {
        to_input(half[i], v);
        for (int j = 0; j < 6; ++j) store(at + (i * 6 + j) * to.stride, v[j]);
      }
    }
  }
}

template <typename T>
MOX_INLINE void transform_gradient_of(const TiledImage& image, const T* dy, int64_t filters, int64_t begin, int64_t end,
                                      const Frequencies& to) {
  for (int64_t tile = begin; tile < end; ++tile) {
    const Place place = place_of(image, tile);
    const T* rows[4];  // null: beyond the image
    for (int i = 0; i < 4; ++i)
      rows[i] = place.y + i < image.out_height
                    ? dy + ((place.image * image.out_height + place.y + i) * image.out_width + place.x) * filters
                    : nullptr;
    const int last = image.out_width - place.x < 4 ? static_cast<int>(image.out_width - place.x) : 4;
    for (int64_t k = 0; k < filters; k += kWidth) {
      Vector half[6][4], d[4], z[6];
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        for (int i = 0; i < 4; ++i) d[i] = j < last && rows[i] ? load(rows[i] + j * filters + k) : Vector{};
        to_gradient(d, z);
        for (int i = 0; i < 6; ++i) half[i][j] = z[i];
      }
      float* at = to.data + (tile - begin) * to.row_stride + k;
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) {
        to_gradient(half[i], z);
        for (int j = 0; j < 6; ++j) store(at + (i * 6 + j) * to.stride, z[j]);
      }
    }
  }
}

void output_of_frequencies(const TiledImage& image, const Frequencies& from, int64_t filters, int64_t begin,
                           int64_t end, const Epilogue& epilogue, float* y) {
  for (int64_t tile = begin; tile < end; ++tile) {
    const Place place = place_of(image, tile);
    const int64_t height = image.out_height - place.y, width = image.out_width - place.x;
    const int64_t first = ((place.image * image.out_height + place.y) * image.out_width + place.x) * filters;
    float* to = y + first;
    const float* side = epilogue.side ? static_cast<const float*>(epilogue.side) + first : nullptr;
    for (int64_t k = 0; k < filters; k += kWidth) {
      Vector half[4][6], m[6], out[4];
      const float* at = from.data + (tile - begin) * from.row_stride + k;
#pragma GCC unroll 6
      for (int j = 0; j < 6; ++j) {
        for (int i = 0; i < 6; ++i) m[i] = load(at + (i * 6 + j) * from.stride);
        to_output(m, out);
        for (int i = 0; i < 4; ++i) half[i][j] = out[i];
      }
      const Vector bias = epilogue.bias ? load(epilogue.bias + k) : Vector{};
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        if (i >= height) break;
        to_output(half[i], out);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          if (j >= width) break;
          const int64_t at = (i * image.out_width + j) * filters + k;
          store(to + at, clamped(side ? out[j] + bias + load(side + at) : out[j] + bias, epilogue));
        }
      }
    }
  }
}

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
    .transform_filter = transform_filter,
    .filter_of_frequencies = filter_of_frequencies,
    .transform_input = [](const TiledImage& image, const float* x, int64_t begin, int64_t end,
                          const Frequencies& to) { transform_input_of(image, x, begin, end, to); },
    .transform_input_bfloat16 = [](const TiledImage& image, const bfloat16_bits* x, int64_t begin, int64_t end,
                                   const Frequencies& to) { transform_input_of(image, x, begin, end, to); },
    .transform_gradient = [](const TiledImage& image, const float* dy, int64_t filters, int64_t begin, int64_t end,
                             const Frequencies& to) { transform_gradient_of(image, dy, filters, begin, end, to); },
    .transform_gradient_bfloat16 =
        [](const TiledImage& image, const bfloat16_bits* dy, int64_t filters, int64_t begin, int64_t end,
           const Frequencies& to) { transform_gradient_of(image, dy, filters, begin, end, to); },
    .output_of_frequencies = output_of_frequencies,
    .grouped = &kGroupedLoops,
    .prepare = [](const Prepare<float>& p) { prepare_rows(p); },
    .prepare_bfloat16 = [](const Prepare<bfloat16_bits>& p) { prepare_rows(p); },
    .finish = [](const Finish<float>& f) { finish_rows(f); },
    .finish_bfloat16 = [](const Finish<bfloat16_bits>& f) { finish_rows(f); },
};

}  // namespace
}  // namespace mox::convolutions
