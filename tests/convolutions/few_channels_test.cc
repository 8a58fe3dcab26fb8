// Filters of images of few channels (convolutions/few_channels.cc): y and dfilter against their definition.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "convolutions/pointwise_reference.h"
#include "convolutions/row_listener.h"

namespace mox::convolutions::testing {
namespace {

using FewChannels = ConvolutionTest;

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
constexpr int64_t kAll = int64_t{1} << 40;

template <typename T>
void expect_filter_gradient(const Data<T>& data, int64_t budget, const LoopsOf& of, int64_t threads) {
  const Wanted wanted = wanted_of(data, Result::kFilterGradient, budget);
  expect_rows(compute(Result::kFilterGradient, data, *of.loops, threads), wanted,
              name_of(of, data, Result::kFilterGradient));
}

template <typename T>
void expect_right_in(const Shape& shape, int64_t budget, int seed, int64_t threads) {
  const Data<T> data(shape, seed);
  ASSERT_EQ(algorithm_of(data.c, false, sizeof(T) == 4), Algorithm::kFewChannels) << text(shape);
  const Wanted wanted = wanted_of(data, Result::kDirect, budget);
  for (const LoopsOf& of : loops_of_this_machine()) {
    expect_rows(compute_pointwise(Direction::kForward, data, *of.loops,
                                  {.threads = threads, .algorithm = Algorithm::kFewChannels}),
                wanted, name_of(of, data, Direction::kForward));
    expect_filter_gradient(data, budget, of, threads);
  }
}

void expect_right(const Shape& shape, int64_t budget, int seed, int64_t threads = 2) {
  if (convolution_of(shape).batch == 0) return;
  expect_right_in<float>(shape, budget, seed, threads);
  expect_right_in<bfloat16_bits>(shape, budget, seed, threads);
}

TEST_F(FewChannels, OfEveryFilter) {
  int seed = 1;
  for (const auto& [height, width] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 2}, {5, 5}, {1, 7}, {7, 1}, {3, 3}, {2, 4}, {11, 11}})
    for (const int64_t channels : {1, 2, 3, 4})
      for (const int64_t stride : {1, 2, 3, 5})
        for (const bool same : {true, false}) {
          expect_right({3, 13, 9, channels, 16, height, width, stride, same}, 300'000, ++seed);
          expect_right({1, 12, 27, channels, 80, height, width, stride, same}, 300'000, ++seed, seed % 4 + 1);
        }
}

// Paddings of another size on each side; images as small as one pixel, or smaller than the filter.
TEST_F(FewChannels, OfEverySizeAndPadding) {
  int seed = 200;
  for (const auto& [height, width] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {1, 9}, {2, 3}, {5, 5}, {3, 41}, {37, 2}, {14, 13}})
    for (const int64_t batch : {1, 3}) {
      expect_right({batch, height, width, 3, 32, 5, 5}, kAll, ++seed);
      expect_right({batch, height, width, 1, 48, 3, 5, 2}, kAll, ++seed);
      for (const std::vector<int64_t>& pads : {std::vector<int64_t>{4, 0, 0, 4}, {0, 3, 4, 1}, {2, 2, 1, 3}})
        expect_right({batch, height, width, 3, 16, 5, 5, 3, true, pads}, kAll, ++seed);
    }
}

// Parts of several pieces, of more lines than are copied at once; wide lines; many filters; up to 16 cuts.
TEST_F(FewChannels, OfManyLines) {
  int seed = 300;
  for (const Shape& shape : std::vector<Shape>{{1, 224, 224, 3, 64, 7, 7, 2},
                                               {50, 28, 28, 1, 32, 5, 5},
                                               {1, 301, 299, 3, 32, 3, 3, 2, false},
                                               {1, 1, 1229, 2, 16, 1, 5},
                                               {1, 1501, 3, 3, 16},
                                               {2, 33, 31, 3, 528, 3, 3},
                                               {67, 5, 4, 4, 48, 2, 3}})
    expect_right(shape, 3'000'000, ++seed, 3);
}

TEST_F(FewChannels, OfRandomShapes) {
  std::mt19937 engine(20261201);
  const auto from_to = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(engine() % (high - low + 1));
  };
  for (int i = 0; i < 60; ++i) {
    Shape shape{from_to(1, 4), from_to(1, 40), from_to(1, 40), from_to(1, 4), 16 * from_to(1, 6)};
    shape.filter_height = from_to(1, 7), shape.filter_width = from_to(2, 7), shape.stride = from_to(1, 4);
    shape.same = from_to(0, 1);
    expect_right(shape, 300'000, 1000 + i, from_to(1, 5));
    if (HasFailure()) break;  // the first says enough
  }
}

template <typename T>
void expect_epilogue(const Shape& shape) {
  const Data<T> data(shape, 600);
  const Guarded<float>& bias = data.bias;
  const Wanted wanted = wanted_of(data, Result::kDirect, kAll);
  for (const LoopsOf& of : loops_of_this_machine())
    for (const bool has_side : {false, true})
      for (const auto& [floor, ceiling] :
           {std::pair(-kInfinity, kInfinity), std::pair(0.f, kInfinity), std::pair(0.f, 6.f)}) {
        const Epilogue epilogue{bias.data(), floor, ceiling, has_side ? data.dy.data() : nullptr};
        const Guarded<T> y = compute_pointwise(Direction::kForward, data, *of.loops,
                                               {.epilogue = epilogue, .algorithm = Algorithm::kFewChannels});
        int64_t wrong = 0, at_floor = 0;
        for (const int64_t row : wanted.rows)
          for (int64_t k = 0; k < data.c.filters; ++k) {
            const int64_t i = row * data.c.filters + k;
            const double side = has_side ? to_float(data.dy[i]) : 0, sum = wanted.sums[row].values[k] + bias[k] + side,
                         bound = kBound * (wanted.sums[row].magnitudes[k] + std::abs(bias[k]) + std::abs(side));
            const double low = std::clamp<double>(sum - bound, floor, ceiling),
                         high = std::clamp<double>(sum + bound, floor, ceiling);
            wrong += !is_rounded(y[i], (low + high) / 2, (high - low) / 2);
            at_floor += to_float(y[i]) == 0;
          }
        EXPECT_EQ(wrong, 0) << name_of(of, data, Direction::kForward) << ", from " << floor << " to " << ceiling
                            << (has_side ? ", with a side" : "");
        if (floor == 0) EXPECT_GT(at_floor, 0);
      }
}

TEST_F(FewChannels, AddABiasASideAndClamp) {
  for (const Shape& shape : std::vector<Shape>{{2, 9, 7, 3, 48}, {3, 29, 27, 1, 32, 5, 5}}) {
    expect_epilogue<float>(shape);
    expect_epilogue<bfloat16_bits>(shape);
  }
}

template <typename T>
void expect_told_and_same(const Shape& shape) {
  const Data<T> data(shape, 900);
  for (const LoopsOf& of : loops_of_this_machine()) {
    expect_told(data, Direction::kForward, Algorithm::kFewChannels, of);
    const Guarded<float> one = compute(Result::kFilterGradient, data, *of.loops, 1);
    for (const int64_t threads : {2, 3, 7, 64})
      EXPECT_TRUE(one.same_bits(compute(Result::kFilterGradient, data, *of.loops, threads)))
          << name_of(of, data, Result::kFilterGradient) << ", " << threads << " threads";
  }
}

TEST_F(FewChannels, AreToldOfInOrderAndTheSameWhateverTheThreads) {
  for (const Shape& shape : std::vector<Shape>{{1, 1, 1, 3, 16},
                                               {1, 7, 7, 1, 48, 5, 5},
                                               {3, 61, 67, 3, 32, 3, 3, 2},
                                               {2, 113, 115, 3, 64, 7, 7, 2},
                                               {40, 9, 11, 4, 16}}) {
    expect_told_and_same<float>(shape);
    expect_told_and_same<bfloat16_bits>(shape);
  }
}

// What is not finite is seen by those windows that have it, and by no others.
template <typename T>
void expect_spread(float value) {
  Data<T> data({2, 13, 17, 3, 16, 5, 3, 2}, 700);
  constexpr int64_t kY = 4, kX = 8, kChannel = 1;
  const Convolution& c = data.c;
  data.x[((c.height + kY) * c.width + kX) * c.channels + kChannel] = from_float<T>(value);
  for (const LoopsOf& of : loops_of_this_machine()) {
    const Guarded<T> y =
        compute_pointwise(Direction::kForward, data, *of.loops, {.algorithm = Algorithm::kFewChannels});
    int64_t seen = 0;
    for (int64_t row = 0; row < data.rows_of_y(); ++row) {
      const int64_t ox = row % c.out_width, oy = row / c.out_width % c.out_height, r = kY - (oy * c.stride - c.pad_top),
                    s = kX - (ox * c.stride - c.pad_left);
      const bool is_seen =
          row >= c.out_width * c.out_height && r >= 0 && s >= 0 && r < c.filter_height && s < c.filter_width;
      seen += is_seen;
      for (int64_t k = 0; k < c.filters; ++k)
        ASSERT_EQ(std::isfinite(to_float(y[row * c.filters + k])), !is_seen) << of.name << ", row " << row;
    }
    EXPECT_GT(seen, 0);
    const Guarded<float> dfilter = compute(Result::kFilterGradient, data, *of.loops, 2);
    for (int64_t row = 0; row < data.rows_of_dfilter(); ++row) {
      const int64_t y0 = kY + c.pad_top - row / (c.filter_width * c.channels),
                    x0 = kX + c.pad_left - row / c.channels % c.filter_width;
      const bool is_met = row % c.channels == kChannel && y0 >= 0 && x0 >= 0 && y0 % c.stride == 0 &&
                          x0 % c.stride == 0 && y0 / c.stride < c.out_height && x0 / c.stride < c.out_width;
      for (int64_t k = 0; k < c.filters; ++k)
        ASSERT_EQ(std::isfinite(dfilter[row * c.filters + k]), !is_met) << of.name << ", row " << row;
    }
  }
}

TEST_F(FewChannels, ShowNaNs) {
  for (const float value : {kNan, -kNan, kInfinity}) {
    expect_spread<float>(value);
    expect_spread<bfloat16_bits>(value);
  }
}

TEST_F(FewChannels, WhichAreFast) {
  const auto count = [](int64_t size, int64_t channels, int64_t filters, int64_t stride, bool float32) {
    const Convolution c{
        .channels = channels, .filters = filters, .filter_height = size, .filter_width = size, .stride = stride};
    return is_fast(Direction::kForward, c, float32) * 100 + is_fast(Direction::kInputGradient, c, float32) * 10 +
           is_fast(Direction::kFilterGradient, c, float32);
  };
  for (const int64_t channels : {1, 2, 3, 4})
    for (const int64_t stride : {1, 2, 4})
      for (const bool float32 : {false, true}) {
        EXPECT_EQ(count(3, channels, 16, stride, float32), 101);
        EXPECT_EQ(count(11, channels, 96, stride, float32), 101);
        EXPECT_EQ(count(3, channels, 24, stride, float32), 0);
        EXPECT_EQ(count(1, channels, 16, stride, float32), 0);
      }
  EXPECT_EQ(count(3, 5, 16, 1, true), 0);
  for (const int64_t stride : {-1, 0}) EXPECT_EQ(count(3, 3, 16, stride, true), 0);
}

}  // namespace
}  // namespace mox::convolutions::testing
