#include "convolutions/block_product.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "convolutions/parts.h"

namespace mox::convolutions {
namespace {

constexpr int64_t kRows = 48;        // of a block
constexpr int64_t kBlocks = 4;       // one below the other, which one thread computes
constexpr int64_t kLine = 16;        // rows of copies are so much longer: sides a power of two long share no cache set
constexpr int64_t kRight = 1 << 16;  // numbers of the right side that stay in the second cache, beside a block

int64_t columns_at_once(const BlockProduct& p, int64_t panel) {
  constexpr int64_t kMost = 1024;
  return std::clamp(kRight / p.depth / panel * panel, panel, kMost);
}

// Rows of `columns` numbers, and zeros up to whole vectors.
void copy_rows(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to, int64_t to_row) {
  const int64_t whole = round_up(columns, kLanes);
  for (int64_t r = 0; r < rows; ++r, from += from_row, to += to_row) {
    std::memcpy(to, from, columns * sizeof(float));
    std::memset(to + columns, 0, (whole - columns) * sizeof(float));
  }
}

// Lines of `reads` that the block from this row on will read: one at each depth of the product before it. So many rows
// come as there is depth.
Ahead ahead_of(const BlockProduct& p, const float* reads, int64_t row, int64_t column, int64_t columns) {
  if (!reads || row >= p.rows || p.depth > 2 * kRows) return {};
  return {reads + row * p.columns + column, (columns + kLine - 1) / kLine, kLine * sizeof(float),
          p.columns * static_cast<int64_t>(sizeof(float))};
}

// One thread's copies and its block.
struct Scratch {
  static constexpr int64_t left_row = kRows + kLine;
  float *right, *left, *block;
  int64_t right_row, block_row;
  int64_t column = -1;  // from which on `right` was copied

  Scratch(const BlockProduct& p, int64_t columns, float* memory)
      : right(memory),
        left(right + p.depth * (columns + kLine)),
        block(left + p.depth * left_row),
        right_row(columns + kLine),
        block_row(columns) {}
  static int64_t size(const BlockProduct& p, int64_t columns) {
    return p.depth * (columns + kLine) + p.depth * left_row + kRows * columns;
  }
};

void compute(const BlockProduct& p, int64_t row, int64_t end, int64_t column, int64_t columns, Scratch* s,
             const std::function<void(const ProductBlock&)>& show, const Resources& on) {
  if (s->column != column) copy_rows(p.right + column, p.columns, p.depth, columns, s->right, s->right_row);
  s->column = column;
  for (; row < end; row += kRows) {
    const int64_t rows = std::min(kRows, end - row);
    copy_rows(p.left + row, p.rows, p.depth, rows, s->left, s->left_row);
    Product product{rows,     round_up(columns, kLanes), p.depth,      s->left,  1,           s->left_row,
                    s->right, on.loops.columns,          s->right_row, s->block, s->block_row};
    if (row + kRows < end)
      for (const int i : {0, 1}) product.ahead[i] = ahead_of(p, p.reads[i], row + kRows, column, columns);
    on.loops.multiply(product);
    show({row, rows, column, columns, s->block, s->block_row});
  }
}

}  // namespace

void multiply_by_blocks(const BlockProduct& p, const std::function<void(const ProductBlock&)>& show,
                        const Resources& on) {
  if (p.rows == 0 || p.columns == 0) return;
  BlockProduct some = p;
  std::vector<float> zeros;
  if (p.depth == 0) {  // sums of nothing
    zeros.resize(std::max(p.rows, p.columns));
    some.left = some.right = zeros.data();
    some.depth = 1;
  }
  const int64_t most = std::min(columns_at_once(some, on.loops.columns), round_up(p.columns, on.loops.columns)),
                across = (p.columns + most - 1) / most, down = (p.rows + kRows * kBlocks - 1) / (kRows * kBlocks);
  const int64_t parts = across * down, workers = std::min(on.threads, parts),
                each = round_up(Scratch::size(some, most), kLanes);
  float* memory = on.scratch(workers * each);
  std::vector<Scratch> scratch;
  for (int64_t worker = 0; worker < workers; ++worker) scratch.emplace_back(some, most, memory + worker * each);
  for_all(parts, on, [&](int64_t part, int64_t worker) {
    const int64_t row = part % down * kRows * kBlocks, column = part / down * most;
    compute(some, row, std::min(p.rows, row + kRows * kBlocks), column, std::min(most, p.columns - column),
            &scratch[worker], show, on);
  });
}

}  // namespace mox::convolutions
