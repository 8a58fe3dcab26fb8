// Products that are shown block by block (convolutions/block_product.h) against their definition.
#include "convolutions/block_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <mutex>
#include <random>

#include "convolutions/convolution_reference.h"

namespace mox::convolutions::testing {
namespace {

using BlockProducts = ConvolutionTest;

struct Sides {
  Sides(int64_t rows, int64_t columns, int64_t depth) : left(depth * rows), right(depth * columns) {
    std::mt19937 engine(static_cast<unsigned>(rows + columns + depth));
    std::uniform_real_distribution<float> number(-1, 1);
    for (Guarded<float>* side : {&left, &right})
      for (int64_t i = 0; i < side->size(); ++i) (*side)[i] = number(engine);
    product = {.rows = rows, .columns = columns, .depth = depth, .left = left.data(), .right = right.data()};
  }
  // The product, in which each number was shown once.
  Guarded<float> shown(const LoopsOf& of, int64_t threads) const {
    Guarded<float> all(product.rows * product.columns);
    std::vector<int> times(all.size());
    std::mutex mutex;
    on_threads(*of.loops, threads, [&](const Resources& on) {
      multiply_by_blocks(
          product,
          [&](const ProductBlock& block) {
            const std::lock_guard lock(mutex);
            for (int64_t r = 0; r < block.rows; ++r)
              for (int64_t c = 0; c < block.columns; ++c) {
                const int64_t at = (block.row + r) * product.columns + block.column + c;
                all[at] = block.numbers[r * block.numbers_row + c];
                ++times[at];
              }
          },
          on);
    });
    for (const int count : times) EXPECT_EQ(count, 1);
    return all;
  }

  Guarded<float> left, right;
  BlockProduct product;
};

void expect_right(int64_t rows, int64_t columns, int64_t depth) {
  Sides sides(rows, columns, depth);
  const Guarded<float> beside(rows * columns);
  for (const LoopsOf& of : loops_of_this_machine()) {
    const std::string name =
        of.name + ": " + std::to_string(depth) + " deep, " + std::to_string(rows) + " x " + std::to_string(columns);
    const Guarded<float> one = sides.shown(of, 1);
    int64_t wrong = 0;
    for (int64_t r = 0; r<rows; r += rows> 100 ? 7 : 1)
      for (int64_t c = 0; c < columns; ++c) {
        double sum = 0, magnitude = 0;
        for (int64_t d = 0; d < depth; ++d) {
          const double product = static_cast<double>(sides.left[d * rows + r]) * sides.right[d * columns + c];
          sum += product;
          magnitude += std::abs(product);
        }
        wrong += !(std::abs(one[r * columns + c] - sum) <= kBound * magnitude);
      }
    EXPECT_EQ(wrong, 0) << name;
    sides.product.reads[0] = sides.product.reads[1] = beside.data();
    for (const int64_t threads : {2, 3, 64}) EXPECT_TRUE(one.same_bits(sides.shown(of, threads))) << name;
    sides.product.reads[0] = sides.product.reads[1] = nullptr;
  }
}

// Blocks have 48 rows, four of them in a part, and up to 1,024 columns, of less for a large depth.
TEST_F(BlockProducts, OfEverySize) {
  for (const int64_t depth : {1, 2, 31, 50, 97, 300})
    for (const int64_t rows : {1, 47, 48, 49, 193, 400})
      for (const int64_t columns : {1, 16, 33, 1000}) expect_right(rows, columns, depth);
  expect_right(3, 2100, 50);
  expect_right(50, 70, 5000);
  expect_right(2048, 64, 16);
}

TEST_F(BlockProducts, OfNothing) {
  expect_right(5, 7, 0);  // zeros
  expect_right(0, 7, 3);
  expect_right(5, 0, 3);
}

TEST_F(BlockProducts, ShowNaNsInTheirRowOrColumn) {
  Sides sides(100, 70, 9);
  sides.left[4 * 100 + 51] = std::numeric_limits<float>::quiet_NaN();
  sides.right[2 * 70 + 69] = std::numeric_limits<float>::infinity();
  for (const LoopsOf& of : loops_of_this_machine()) {
    const Guarded<float> shown = sides.shown(of, 2);
    for (int64_t r = 0; r < 100; ++r)
      for (int64_t c = 0; c < 70; ++c)
        ASSERT_EQ(std::isfinite(shown[r * 70 + c]), r != 51 && c != 69) << of.name << ", " << r << ", " << c;
  }
}

}  // namespace
}  // namespace mox::convolutions::testing
