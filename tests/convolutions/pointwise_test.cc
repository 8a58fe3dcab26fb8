// 1x1 filters (convolutions/pointwise.cc): y and dx against their definition.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "convolutions/pointwise_reference.h"

namespace mox::convolutions::testing {
namespace {

using Pointwise = ConvolutionTest;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int64_t kAll = int64_t{1} << 40;

template <typename T>
int expect_right_in(const Shape& shape, int64_t budget, int seed, int64_t threads) {
  const Data<T> data(shape, seed);
  Wanted wanted[2];
  int checks = 0;
  for_pointwise<T>(data.c, [&](Direction direction, const LoopsOf& of) {
    const bool forward = direction == Direction::kForward;
    Wanted& rows = wanted[forward];
    if (rows.rows.empty()) rows = wanted_of(data, forward ? Result::kDirect : Result::kInputGradient, budget);
    expect_rows(compute_pointwise(direction, data, *of.loops, {.threads = threads}), rows,
                name_of(of, data, direction) + ", " + std::to_string(threads) + " threads");
    // What the operation takes.
    const Algorithm chosen = algorithm_of(data.c, false, sizeof(T) == 4);
    if (forward && chosen != Algorithm::kPointwise)
      expect_rows(compute_pointwise(direction, data, *of.loops, {.threads = threads, .algorithm = chosen}), rows,
                  name_of(of, data, direction) + " directly");
    ++checks;
  });
  return checks;
}

// In both types; of bfloat16 what has pairs.
void expect_right(Shape shape, int64_t budget, int seed, int64_t threads = 2) {
  shape.filter_height = shape.filter_width = 1;
  ASSERT_GT(convolution_of(shape).batch, 0) << text(shape);
  const int64_t loops = loops_of_this_machine().size();
  EXPECT_EQ(expect_right_in<float>(shape, budget, seed, threads), loops * 2) << text(shape);
  const bool pairs = convolution_loops()->multiply_pairs;
  EXPECT_EQ(expect_right_in<bfloat16_bits>(shape, budget, seed, threads),
            pairs * ((shape.channels % 2 == 0) + (shape.filters % 2 == 0)))
      << text(shape);
}

TEST_F(Pointwise, OfEveryDepth) {
  int seed = 1;
  for (const int64_t channels : {16, 17, 19, 24, 31, 33, 48, 100})
    for (const int64_t filters : {16, 17, 19, 24, 31, 33, 48, 100}) {
      expect_right({2, 3, 5, channels, filters}, kAll, ++seed, seed % 4 + 1);
      expect_right({2, 11, 9, channels, filters}, 500'000, ++seed, seed % 4 + 1);
      expect_right({1, 17, 15, channels, filters, 1, 1, 2}, 200'000, ++seed);
    }
}

// Few rows, which are cut by filters where there are threads, one part and several.
TEST_F(Pointwise, OfEverySize) {
  int seed = 200;
  for (const auto& [height, width] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {1, 13}, {7, 7}, {14, 13}, {37, 2}, {28, 27}})
    for (const int64_t batch : {1, 2, 3})
      for (const int64_t stride : {1, 2, 3})
        for (const bool same : {true, false}) {
          expect_right({batch, height, width, 32, 80, 1, 1, stride, same}, 200'000, ++seed, seed % 7 + 1);
          expect_right({batch, height, width, 17, 48, 1, 1, stride, same}, 100'000, ++seed, seed % 7 + 1);
          expect_right({batch, height, width, 40, 70, 1, 1, stride, same}, 100'000, ++seed, seed % 7 + 1);
        }
}

// More rows than the most parts of the fewest; filters that stay in no cache, with a depth that few rows fill the first
// cache with, and with one that few rows fill the second one with.
TEST_F(Pointwise, OfManyPartsAndLargeFilters) {
  ASSERT_EQ(RowParts(64 * 96 + 1).parts, 64);
  int seed = 400;
  for (const Shape& shape : std::vector<Shape>{{1, 1229, 5, 16, 16},  // 6,145 rows
                                               {3, 61, 67, 64, 24},
                                               {2, 113, 115, 48, 33, 1, 1, 2},
                                               {5, 71, 35, 24, 64, 1, 1, 1, false},
                                               {1, 223, 229, 32, 18, 1, 1, 3, false},
                                               {2, 14, 14, 512, 1100},
                                               {1, 15, 13, 1100, 512},
                                               {1, 7, 7, 512, 1100},
                                               {3, 14, 14, 512, 1100, 1, 1, 2},
                                               {1, 17, 15, 2600, 112},
                                               {1, 13, 17, 112, 2600},
                                               {1, 20, 21, 2048, 64},
                                               {1, 19, 21, 64, 2048},
                                               {2, 1, 1, 2048, 1000}}) {
    expect_right(shape, 10'000'000, ++seed, 2);
    expect_right(shape, 2'000'000, ++seed, 7);
  }
}

TEST_F(Pointwise, OfRandomShapes) {
  std::mt19937 engine(20261130);
  const auto from_to = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(engine() % (high - low + 1));
  };
  for (int i = 0; i < 150; ++i) {
    const int64_t most = from_to(0, 3) ? 10 : 50;
    const Shape shape{from_to(1, 4), from_to(1, most),  from_to(1, most), from_to(16, 200), from_to(16, 200), 1, 1,
                      from_to(1, 3), from_to(0, 1) == 1};
    expect_right(shape, 300'000, 1000 + i, from_to(1, 7));
    if (HasFailure()) break;  // the first says enough
  }
}

template <typename T>
void expect_epilogue(const Data<T>& data, const Wanted& wanted, const LoopsOf& of, const PointwiseCall& call) {
  const Epilogue& epilogue = call.epilogue;
  const Guarded<T> y = compute_pointwise(Direction::kForward, data, *of.loops, call);
  int64_t wrong = 0, at_floor = 0, at_ceiling = 0;
  for (size_t n = 0; n < wanted.rows.size(); ++n)
    for (int64_t k = 0; k < data.c.filters; ++k) {
      const double bias = epilogue.bias ? epilogue.bias[k] : 0, bound = kBound * (wanted.largest + std::abs(bias));
      const double low = wanted.sums[n].values[k] + bias - bound, high = low + 2 * bound;
      const auto clamped = [&](double v) {
        return to_float(from_float<T>(static_cast<float>(std::clamp<double>(v, epilogue.floor, epilogue.ceiling))));
      };
      const float got = to_float(y[wanted.rows[n] * data.c.filters + k]);
      wrong += !(clamped(low) <= got && got <= clamped(high));
      at_floor += got == epilogue.floor;
      at_ceiling += got == epilogue.ceiling;
    }
  EXPECT_EQ(wrong, 0) << name_of(of, data, Direction::kForward) << (epilogue.bias ? " bias" : "") << ", clamped from "
                      << epilogue.floor << " to " << epilogue.ceiling << ", " << call.threads << " threads";
  if (epilogue.floor == 0) EXPECT_GT(at_floor, 0);
  if (epilogue.ceiling == 6) EXPECT_GT(at_ceiling, 0) << "no output reaches 6: the test shows nothing";
}

template <typename T>
void expect_epilogues(const Shape& shape) {
  const Data<T> data(shape, 600);
  const Wanted wanted = wanted_of(data, Result::kDirect, 20'000'000);
  for_pointwise<T>(data.c, [&](Direction direction, const LoopsOf& of) {
    if (direction != Direction::kForward) return;
    for (const float* bias : {static_cast<const float*>(nullptr), data.bias.data()})
      for (const auto& [floor, ceiling] : {std::pair(-kInfinity, kInfinity), std::pair(0.f, kInfinity),
                                           std::pair(0.f, 6.f), std::pair(-kInfinity, 1.f)})
        for (const int64_t threads : {1, 3, 7})  // in parts of rows, or of few rows in parts of filters
          for (const Algorithm algorithm : {Algorithm::kPointwise, algorithm_of(data.c, false, sizeof(T) == 4)})
            expect_epilogue(data, wanted, of, {threads, {bias, floor, ceiling}, {}, algorithm});
  });
}

TEST_F(Pointwise, AddABiasAndClamp) {
  for (const Shape& shape : std::vector<Shape>{{2, 9, 7, 272, 48, 1, 1},
                                               {1, 7, 7, 272, 304, 1, 1},
                                               {1, 7, 7, 272, 299, 1, 1},
                                               {2, 21, 23, 190, 100, 1, 1},
                                               {3, 21, 23, 256, 80, 1, 1, 2},
                                               {3, 21, 23, 256, 41, 1, 1, 3, false}}) {
    expect_epilogues<float>(shape);
    expect_epilogues<bfloat16_bits>(shape);
  }
}

template <typename T>
void expect_same_on_all_threads(const Shape& shape) {
  const Data<T> data(shape, 800);
  for_pointwise<T>(data.c, [&](Direction direction, const LoopsOf& of) {
    const Epilogue epilogue{data.bias.data(), -0.5f, 6};
    const Guarded<T> one = compute_pointwise(direction, data, *of.loops, {1, epilogue});
    for (const int64_t threads : {2, 3, 7, 64})
      EXPECT_TRUE(one.same_bits(compute_pointwise(direction, data, *of.loops, {threads, epilogue})))
          << name_of(of, data, direction) << ", " << threads << " threads";
  });
}

TEST_F(Pointwise, AreTheSameWhateverTheThreads) {
  for (const Shape& shape : std::vector<Shape>{{1, 1, 1, 16, 16, 1, 1},
                                               {1, 7, 7, 272, 304, 1, 1},
                                               {1, 7, 7, 272, 299, 1, 1},
                                               {2, 21, 19, 272, 48, 1, 1},
                                               {2, 21, 19, 48, 272, 1, 1, 2},
                                               {3, 61, 67, 24, 40, 1, 1},
                                               {2, 15, 14, 512, 1100, 1, 1},
                                               {1, 13, 11, 33, 1041, 1, 1}}) {
    expect_same_on_all_threads<float>(shape);
    expect_same_on_all_threads<bfloat16_bits>(shape);
  }
}

}  // namespace
}  // namespace mox::convolutions::testing
