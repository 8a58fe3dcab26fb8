// A product of matrices that nobody needs as a whole: block by block, each shown while it is in the caches.
#pragma once

#include <cstdint>
#include <functional>

#include "convolutions/convolution.h"

namespace mox::convolutions {

// left^T * right, [rows, columns]: of left [depth, rows] and right [depth, columns].
struct BlockProduct {
  int64_t rows = 0, columns = 0, depth = 0;
  const float *left = nullptr, *right = nullptr;
  // What whoever is shown a block reads of matrices [rows, columns] meanwhile, or null: fetched ahead.
  const float* reads[2] = {};
};

// The block from row `row` and column `column` on: number (r, c) of it is at numbers[r * numbers_row + c].
struct ProductBlock {
  int64_t row, rows, column, columns;
  const float* numbers;
  int64_t numbers_row;
};

// Shows each number of the product once, several blocks at once. Each is the same whatever the threads: its sum goes
// over the depth from the first to the last.
void multiply_by_blocks(const BlockProduct& product, const std::function<void(const ProductBlock&)>& show,
                        const Resources& resources);

}  // namespace mox::convolutions
