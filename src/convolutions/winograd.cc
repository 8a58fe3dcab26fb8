#include <algorithm>
#include <atomic>
#include <tuple>
#include <utility>

#include "convolutions/parts.h"

namespace mox::convolutions {
namespace {

// So much depth of two panels stays in the first cache; where the rows lie side by side in depth, each takes a whole
// line of it.
constexpr int64_t kDepth = 256, kDepthOfColumns = 192;

// Overloads by the images' type.
void to_frequencies(const ConvolutionLoops& loops, const TiledImage& image, const float* x, int64_t begin, int64_t end,
                    const Frequencies& to) {
  loops.transform_input(image, x, begin, end, to);
}
void to_frequencies(const ConvolutionLoops& loops, const TiledImage& image, const bfloat16_bits* x, int64_t begin,
                    int64_t end, const Frequencies& to) {
  loops.transform_input_bfloat16(image, x, begin, end, to);
}
void gradient_to_frequencies(const ConvolutionLoops& loops, const TiledImage& image, const float* dy, int64_t filters,
                             int64_t begin, int64_t end, const Frequencies& to) {
  loops.transform_gradient(image, dy, filters, begin, end, to);
}
void gradient_to_frequencies(const ConvolutionLoops& loops, const TiledImage& image, const bfloat16_bits* dy,
                             int64_t filters, int64_t begin, int64_t end, const Frequencies& to) {
  loops.transform_gradient_bfloat16(image, dy, filters, begin, end, to);
}
// Calls part(product, rest) for so much depth at a time; rest: of the depth, behind this part.
template <typename Part>
void by_depth(Product product, int64_t depth_at_once, const Part& part) {
  const int64_t depth = product.depth;
  for (int64_t d = 0; d < depth; d += depth_at_once) {
    product.depth = std::min(depth_at_once, depth - d);
    part(product, depth - d - product.depth);
    product.left += product.depth * product.left_depth;
    product.right += product.depth * product.right_depth;
    product.add = true;
  }
}
void multiply(const ConvolutionLoops& loops, const Product& product, int64_t depth_at_once) {
  by_depth(product, depth_at_once, [&](const Product& part, int64_t) { loops.multiply(part); });
}

// Of matrices whose rows lie in depth: while some of them are multiplied, those that follow come into the second cache,
// at the end the first rows of `next`.
void multiply_columns(const ConvolutionLoops& loops, Product product, const Product& next) {
  constexpr int64_t kSize = sizeof(float);
  const int64_t depth = product.depth, parts = (depth + kDepthOfColumns - 1) / kDepthOfColumns;
  const auto at = [&](const Product& p, int64_t part) {
    const int64_t d = depth * part / parts;
    return std::pair(p.left + d * p.left_depth, p.right + d * p.right_depth);
  };
  for (int64_t part = 0; part < parts; ++part) {
    const auto [left, right] = part + 1 < parts ? at(product, part + 1) : at(next, 0);
    Product now = product;
    std::tie(now.left, now.right) = at(product, part);
    now.depth = depth * (part + 1) / parts - depth * part / parts;
    now.add = product.add || part > 0;
    now.ahead[0] = {left, product.rows / kLanes, kLanes * kSize, product.left_depth * kSize};
    now.ahead[1] = {right, product.columns / kLanes, kLanes * kSize, product.right_depth * kSize};
    loops.multiply(now);
  }
}

// Matrices of `rows` rows. Rows and matrices that are a power of two apart would meet in few places of the cache.
Frequencies frequencies(float* data, int64_t rows, int64_t columns) {
  const int64_t row = round_up(columns, kLanes) + kLanes;
  return {data, rows * row + kLanes, row};
}
int64_t size_of(const Frequencies& f) { return kFrequencies * f.stride; }
Frequencies from_row(Frequencies f, int64_t row) {
  f.data += row * f.row_stride;
  return f;
}

// A filter for all frequencies, in panels.
struct Panels {
  const float* data;
  int64_t stride;
};

int64_t stride_of(int64_t channels, int64_t filters, const Resources& on) {
  return channels * round_up(filters, on.loops.columns) + kLanes;
}

Panels panels_of(const Resources& on, int64_t taps, const float* filter, int64_t channels, int64_t filters,
                 bool rotated, float* to) {
  constexpr int64_t kParts = 8;
  const Panels panels{to, stride_of(channels, filters, on)};
  on.run(kParts, [&](int64_t part) {
    on.loops.transform_filter(taps, filter, channels, filters, channels * part / kParts, channels * (part + 1) / kParts,
                              rotated, to, panels.stride);
  });
  return panels;
}

struct Task {
  const Resources& on;
  TiledImage image;
  int64_t filters;
  const float* x;
  Panels panels;
  Epilogue epilogue;
  float* y;

  Product product_of(int64_t f, int64_t tiles, const Frequencies& in, const Frequencies& out) const {
    return {tiles,
            filters,
            image.channels,
            in.data + f * in.stride,
            in.row_stride,
            1,
            panels.data + f * panels.stride,
            image.channels * on.loops.columns,
            on.loops.columns,
            out.data + f * out.stride,
            out.row_stride,
            false};
  }

  // Blocks of tiles whose transforms stay in the second cache, each by one thread.
  void by_blocks(int64_t tiles_of_block) const {
    // As many for each thread: of few blocks one more is much.
    const int64_t tiles = image.tiles(),
                  blocks = round_up((tiles + tiles_of_block - 1) / tiles_of_block, std::min(on.threads, tiles)),
                  parts = std::min(on.threads, blocks);
    const Frequencies in = frequencies(nullptr, tiles_of_block, image.channels),
                      out = frequencies(nullptr, tiles_of_block, filters);
    float* scratch = on.scratch(parts * (size_of(in) + size_of(out)));
    std::atomic<int64_t> next{0};
    on.run(parts, [&](int64_t part) {
      Frequencies mine = in, products = out;
      mine.data = scratch + part * (size_of(in) + size_of(out));
      products.data = mine.data + size_of(in);
      for (int64_t block = next++; block < blocks; block = next++) {
        const int64_t begin = tiles * block / blocks, end = tiles * (block + 1) / blocks;
        on.loops.transform_input(image, x, begin, end, mine);
        for (int64_t f = 0; f < kFrequencies; ++f)
          multiply(on.loops, product_of(f, end - begin, mine, products), kDepth);
        on.loops.output_of_frequencies(image, products, filters, begin, end, epilogue, y);
      }
    });
  }

  void multiply_few(const Product& product) const {
    by_depth(product, kDepth, [&](const Product& part, int64_t rest) {
      multiply_few_rows(on.loops, part, rest > 0 ? part.right + part.depth * part.right_depth : nullptr);
    });
  }

  // Few tiles: the filter, which is larger, is read once. A part for each thread: for one image handing out more costs
  // what they compute.
  void by_frequencies() const {
    const int64_t tiles = image.tiles(), parts = std::min(on.threads, tiles);
    Frequencies in = frequencies(nullptr, tiles, image.channels), out = frequencies(nullptr, tiles, filters);
    in.data = on.scratch(size_of(in));
    out.data = on.scratch(size_of(out));
    on.run(parts, [&](int64_t part) {
      const int64_t begin = tiles * part / parts, end = tiles * (part + 1) / parts;
      on.loops.transform_input(image, x, begin, end, from_row(in, begin));
    });
    std::atomic<int64_t> next{0};
    on.run(std::min(on.threads, kFrequencies), [&](int64_t) {
      for (int64_t f = next++; f < kFrequencies; f = next++) multiply_few(product_of(f, tiles, in, out));
    });
    on.run(parts, [&](int64_t part) {
      const int64_t begin = tiles * part / parts, end = tiles * (part + 1) / parts;
      on.loops.output_of_frequencies(image, from_row(out, begin), filters, begin, end, epilogue, y);
    });
  }

  void run() const {
    constexpr int64_t kFloatsOfBlock = 768 * 1024, kFewest = 48, kMost = 384, kUnit = 12;
    const int64_t columns = image.channels + filters, fit = kFloatsOfBlock / (kFrequencies * columns);
    // A large filter does not stay in the second cache: let each of its panels meet more tiles.
    const int64_t for_filter = image.channels * filters / (2 * columns);
    const int64_t tiles_of_block = std::clamp(std::max(fit, for_filter) / kUnit * kUnit, kFewest, kMost);
    if (image.tiles() <= 4 * tiles_of_block)
      by_frequencies();
    else
      by_blocks(tiles_of_block);
  }
};

TiledImage image_of(const Convolution& c) {
  return {c.batch, c.height, c.width, c.channels, c.out_height, c.out_width, c.pad_top, c.pad_left, c.filter_height};
}

}  // namespace

int64_t winograd_size(const Convolution& c, const Resources& on) {
  return kFrequencies * stride_of(c.channels, c.filters, on);
}

void winograd_pack(const Convolution& c, const float* filter, float* packed, const Resources& on) {
  panels_of(on, c.filter_height, filter, c.channels, c.filters, false, packed);
}

void winograd(const Convolution& c, const float* x, const float* packed, const Epilogue& epilogue, float* y,
              const Resources& on) {
  Task{on, image_of(c), c.filters, x, {packed, stride_of(c.channels, c.filters, on)}, epilogue, y}.run();
}

void winograd_input_gradient(const Convolution& c, const float* filter, const float* dy, float* dx,
                             const Resources& on) {
  const int64_t taps = c.filter_height, size = taps * taps * c.channels * c.filters;
  float* transposed = on.scratch(size);
  transpose(filter, taps * taps, c.channels, c.filters, transposed, on);
  const TiledImage image{c.batch, c.out_height,         c.out_width,           c.filters, c.height,
                         c.width, taps - 1 - c.pad_top, taps - 1 - c.pad_left, taps};
  float* panels = on.scratch(kFrequencies * stride_of(c.filters, c.channels, on));
  Task{on, image, c.channels, dy, panels_of(on, taps, transposed, c.filters, c.channels, true, panels), Epilogue{}, dx}
      .run();
}

// As many tiles at a time as their transforms fit into the last cache: first all are transformed, then the frequencies,
// each by one thread, add their products.
template <typename T>
void winograd_filter_gradient(const Convolution& c, const T* x, const T* dy, float* dfilter, const Resources& on) {
  constexpr int64_t kFloats = 4 << 20, kFewest = 96, kParts = 8;
  const TiledImage image = image_of(c);
  const int64_t tiles = image.tiles();
  const int64_t fit = std::max(kFewest, kFloats / (kFrequencies * (c.channels + c.filters + 2 * kLanes)));
  const int64_t blocks = (tiles + fit - 1) / fit, most = (tiles + blocks - 1) / blocks;
  Frequencies in = frequencies(nullptr, most, c.channels), gradient = frequencies(nullptr, most, c.filters),
              sums = frequencies(nullptr, c.channels, c.filters);
  for (Frequencies* f : {&in, &gradient, &sums}) f->data = on.scratch(size_of(*f));
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t begin = tiles * block / blocks, count = tiles * (block + 1) / blocks - begin;
    on.run(kParts, [&](int64_t part) {
      const int64_t first = count * part / kParts, last = count * (part + 1) / kParts;
      to_frequencies(on.loops, image, x, begin + first, begin + last, from_row(in, first));
      gradient_to_frequencies(on.loops, image, dy, c.filters, begin + first, begin + last, from_row(gradient, first));
    });
    const auto product_of = [&](int64_t f) {
      return Product{c.channels,
                     c.filters,
                     count,
                     in.data + f * in.stride,
                     1,
                     in.row_stride,
                     gradient.data + f * gradient.stride,
                     on.loops.columns,
                     gradient.row_stride,
                     sums.data + f * sums.stride,
                     sums.row_stride,
                     block > 0};
    };
    const int64_t workers = std::min(on.threads, kFrequencies);
    std::atomic<int64_t> next{0};
    on.run(workers, [&](int64_t) {
      for (int64_t f = next++; f < kFrequencies; f = next++)
        multiply_columns(on.loops, product_of(f), product_of(std::min(f + workers, kFrequencies - 1)));
    });
  }
  on.run(kParts, [&](int64_t part) {
    on.loops.filter_of_frequencies(c.filter_height, sums, c.channels, c.filters, c.channels * part / kParts,
                                   c.channels * (part + 1) / kParts, dfilter);
  });
}

template void winograd_filter_gradient(const Convolution&, const float*, const float*, float*, const Resources&);
template void winograd_filter_gradient(const Convolution&, const bfloat16_bits*, const bfloat16_bits*, float*,
                                       const Resources&);

}  // namespace mox::convolutions
