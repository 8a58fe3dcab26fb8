// Convolutions as products of matrices: the windows of the input, a pixel of the output each, times the filter.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "convolutions/parts.h"

namespace mox::convolutions {
namespace {

// A panel of so much depth and the rows that it meets stay in the first cache.
constexpr int64_t kDepth = 256, kRowsOfBlock = 96;

int64_t depth_of(const Convolution& c) { return c.filter_height * c.filter_width * c.channels; }

// Outputs of pixels [begin, end), filters [k0, k1).
struct Block {
  int64_t begin, end, k0, k1;
};

void compute(const Convolution& c, const Block& b, const float* x, const float* packed, const Epilogue& epilogue,
             float* y, float* left, const Resources& on) {
  const int64_t depth = depth_of(c), window = c.filter_width * c.channels, left_row = kDepth + kLanes,
                panel = on.loops.columns;
  float* products = y + b.begin * c.filters + b.k0;
  const float* right = packed + b.k0 * depth;
  for (int64_t d = 0; d < depth;) {
    const int64_t filter_row = d / window, begin = d % window, end = std::min(begin + kDepth, window);
    for (int64_t pixel = b.begin; pixel < b.end; ++pixel)
      copy_window(c, x, pixel, filter_row, begin, end, left + (pixel - b.begin) * left_row);
    const Product product{b.end - b.begin,   b.k1 - b.k0,   end - begin, left,     left_row,  1,
                          right + d * panel, depth * panel, panel,       products, c.filters, d > 0};
    d += end - begin;
    multiply_few_rows(on.loops, product, d < depth ? right + d * panel : nullptr);
  }
  if (epilogue.is_there())
    on.loops.finish({b.end - b.begin, b.k1 - b.k0, products, c.filters, epilogue.of<float>(b.begin * c.filters, b.k0),
                     products, c.filters});
}

}  // namespace

int64_t direct_size(const Convolution& c, const Resources& on) {
  return depth_of(c) * round_up(c.filters, on.loops.columns);
}

void direct_pack(const Convolution& c, const float* filter, float* packed, const Resources& on) {
  const int64_t panel = on.loops.columns, depth = depth_of(c);
  on.run((c.filters + panel - 1) / panel, [&](int64_t p) {
    const int64_t width = std::min(panel, c.filters - p * panel);
    for (int64_t d = 0; d < depth; ++d)
      std::memcpy(packed + (p * depth + d) * panel, filter + d * c.filters + p * panel, width * sizeof(float));
  });
}

// Blocks of pixels and, where these are few, of filters: one for each thread, since each gathers all windows.
void direct(const Convolution& c, const float* x, const float* packed, const Epilogue& epilogue, float* y,
            const Resources& on) {
  const int64_t pixels = c.batch * c.out_height * c.out_width, panel = on.loops.columns,
                panels = (c.filters + panel - 1) / panel;
  const int64_t row_blocks = (pixels + kRowsOfBlock - 1) / kRowsOfBlock;
  const int64_t wanted = row_blocks == 1 ? on.threads : 2 * on.threads;
  const int64_t column_blocks = std::min(panels, (wanted + row_blocks - 1) / row_blocks);
  const int64_t blocks = row_blocks * column_blocks, parts = std::min(on.threads, blocks),
                of_left = kRowsOfBlock * (kDepth + kLanes);
  float* scratch = on.scratch(parts * of_left);
  std::atomic<int64_t> next{0};
  on.run(parts, [&](int64_t part) {
    for (int64_t block = next++; block < blocks; block = next++) {
      const int64_t row = block / column_blocks, column = block % column_blocks;
      const Block b{pixels * row / row_blocks, pixels * (row + 1) / row_blocks, panels * column / column_blocks * panel,
                    std::min(c.filters, panels * (column + 1) / column_blocks * panel)};
      compute(c, b, x, packed, epilogue, y, scratch + part * of_left, on);
    }
  });
}

}  // namespace mox::convolutions
