// What follows a convolution, what is not finite, threads, and what is computed at all: convolutions/convolution.h.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "convolutions/convolution_reference.h"

namespace mox::convolutions::testing {
namespace {

using ConvolutionEdges = ConvolutionTest;

Convolution filter_of(int64_t height, int64_t width, int64_t channels, int64_t filters, int64_t stride = 1) {
  return {.channels = channels, .filters = filters, .filter_height = height, .filter_width = width, .stride = stride};
}

TEST_F(ConvolutionEdges, WhichAreFast) {
  const bool pairs = convolution_loops()->multiply_pairs;
  const auto count = [](const Convolution& c, bool float32) {
    return is_fast(Direction::kForward, c, float32) * 100 + is_fast(Direction::kInputGradient, c, float32) * 10 +
           is_fast(Direction::kFilterGradient, c, float32);
  };
  for (const int64_t n : {16, 32, 48, 272})
    for (const Convolution& c :
         {filter_of(3, 3, n, 16), filter_of(3, 3, 16, n), filter_of(5, 5, n, 16), filter_of(5, 5, 16, n)}) {
      EXPECT_EQ(count(c, true), 111);
      EXPECT_EQ(count(c, false), 1);
    }
  for (const Convolution& c :
       {filter_of(3, 5, 16, 16), filter_of(7, 1, 17, 16), filter_of(1, 6, 5, 16), filter_of(7, 7, 5, 64, 2),
        filter_of(3, 3, 15, 64, 2), filter_of(3, 3, 16, 24), filter_of(3, 3, 16, 255)}) {
    EXPECT_EQ(count(c, true), 1);
    EXPECT_EQ(count(c, false), pairs);
  }
  // With a stride dx, too, of 16 channels and filters on; of pairs of filters.
  for (const Convolution& c : {filter_of(3, 3, 16, 16, 2), filter_of(5, 5, 16, 16, 2), filter_of(5, 5, 19, 32, 3),
                               filter_of(1, 7, 17, 24, 2), filter_of(2, 2, 4096, 64, 7)}) {
    EXPECT_EQ(count(c, true), 11);
    EXPECT_EQ(count(c, false), 11 * pairs);
  }
  EXPECT_EQ(count(filter_of(3, 3, 16, 21, 2), true), 11);
  EXPECT_EQ(count(filter_of(3, 3, 16, 21, 2), false), pairs);
  EXPECT_EQ(count(filter_of(3, 3, 64, 15, 2), true), 0);
  // 1x1: y and dx of any number from 16 on. Pairs are of channels for y, of filters for dx.
  for (const int64_t channels : {16, 17, 19, 31, 32, 1040})
    for (const int64_t filters : {16, 17, 19, 20, 24, 31, 256, 257, 1040})
      for (const int64_t stride : {1, 2, 3}) {
        const Convolution c = filter_of(1, 1, channels, filters, stride);
        const bool of_filter = filters % 16 == 0 || (filters >= 20 && filters <= 256);
        EXPECT_EQ(count(c, true), 110 + of_filter) << channels << ", " << filters;
        EXPECT_EQ(count(c, false), pairs * ((channels % 2 == 0) * 100 + (filters % 2 == 0) * 10 + of_filter))
            << channels << ", " << filters;
      }
  for (const int64_t n : {-16, -1, 0, 1, 8, 15, 17, 19, 257})
    for (const bool float32 : {false, true}) {
      EXPECT_EQ(count(filter_of(3, 3, 16, n), float32), 0) << n << " filters";
      if (n < 16) EXPECT_EQ(count(filter_of(1, 1, 16, n), float32), 0) << n << " filters of 1x1";
    }
  for (const int64_t n : {-16, -1, 0, 5})
    for (const bool float32 : {false, true}) EXPECT_EQ(count(filter_of(3, 3, n, 16), float32), 0) << n << " channels";
  for (const int64_t n : {-16, -1, 0, 1, 8, 15})
    for (const bool float32 : {false, true})
      EXPECT_EQ(count(filter_of(1, 1, n, 16), float32), 0) << n << " channels of 1x1";
  for (const int64_t size : {1, 3})
    for (const int64_t stride : {-1, 0}) EXPECT_EQ(count(filter_of(size, size, 16, 16, stride), true), 0) << stride;
  for (const int64_t size : {-1, 0}) EXPECT_EQ(count(filter_of(size, 3, 16, 16), true), 0) << size;
}

// Calls check(result, loops) for all that compute y or, if `all`, anything.
template <typename T, typename Check>
void for_results(const Data<T>& data, bool all, const Check& check) {
  for (const Result result : kResults)
    for (const LoopsOf& of : loops_of_this_machine())
      if ((all || result == Result::kWinograd || result == Result::kDirect) && computes<T>(result, data.c, *of.loops))
        check(result, of);
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();

void expect_epilogue(const Data<float>& data, const Wanted& wanted, Result result, const LoopsOf& of,
                     const Epilogue& epilogue) {
  const Guarded<float> y = compute(result, data, *of.loops, 2, epilogue);
  int64_t wrong = 0, at_floor = 0, at_ceiling = 0;
  for (const int64_t row : wanted.rows)
    for (int64_t k = 0; k < data.c.filters; ++k) {
      const double bias = epilogue.bias ? epilogue.bias[k] : 0;
      const Sums& sums = wanted.sums[row];
      const double expected = std::clamp<double>(sums.values[k] + bias, epilogue.floor, epilogue.ceiling);
      const float got = y[row * data.c.filters + k];
      wrong += !(std::abs(got - expected) <= kBound * (wanted.largest + std::abs(bias)));
      at_floor += got == epilogue.floor;
      at_ceiling += got == epilogue.ceiling;
    }
  EXPECT_EQ(wrong, 0) << name_of(of, data, result) << (epilogue.bias ? " bias" : "") << ", clamped from "
                      << epilogue.floor << " to " << epilogue.ceiling;
  if (epilogue.floor == 0) EXPECT_GT(at_floor, 0);
  if (epilogue.ceiling == 6) EXPECT_GT(at_ceiling, 0) << "no output reaches 6: the test shows nothing";
}

TEST_F(ConvolutionEdges, AddABiasAndClamp) {
  for (const Shape& shape : std::vector<Shape>{{2, 6, 7, 48, 48}, {2, 9, 7, 272, 48, 1, 1}, {2, 15, 7, 19, 80, 5, 5}}) {
    const Data<float> data(shape, 600);
    const Wanted wanted = wanted_of(data, Result::kDirect, int64_t{1} << 40);
    for_results(data, false, [&](Result result, const LoopsOf& of) {
      for (const float* bias : {static_cast<const float*>(nullptr), data.bias.data()}) {
        expect_epilogue(data, wanted, result, of, {bias});
        expect_epilogue(data, wanted, result, of, {bias, 0, kInfinity});
        expect_epilogue(data, wanted, result, of, {bias, 0, 6});
        expect_epilogue(data, wanted, result, of, {bias, -kInfinity, 1});
      }
    });
  }
}

// Of the input's pixel (4, 8) of image 1, what output (or place of the filter) sees it.
struct Bad {
  const Convolution& c;
  int64_t py = 4, px = 8, channel = 5;

  template <typename T>
  T& in(Data<T>* data) const {
    return data->x[((c.height + py) * c.width + px) * c.channels + channel];
  }
  // The row and the column of the filter that meet it for pixel `row` of the output.
  std::pair<int64_t, int64_t> at(int64_t row) const {
    const int64_t ox = row % c.out_width, oy = row / c.out_width % c.out_height;
    return {py - (oy * c.stride - c.pad_top), px - (ox * c.stride - c.pad_left)};
  }
  bool is_image(int64_t row) const { return row / (c.out_width * c.out_height) == 1; }
  bool is_seen_by(int64_t row) const {
    const auto [r, s] = at(row);
    return is_image(row) && r >= 0 && s >= 0 && r < c.filter_height && s < c.filter_width;
  }
  bool is_met_by(int64_t r, int64_t s) const {
    const int64_t y = py + c.pad_top - r, x = px + c.pad_left - s;
    return y >= 0 && x >= 0 && y % c.stride == 0 && x % c.stride == 0 && y / c.stride < c.out_height &&
           x / c.stride < c.out_width;
  }
};

void expect_bad_outputs(const Data<float>& data, const Bad& bad, Result result, const LoopsOf& of, bool is_nan) {
  for (const auto& [floor, ceiling] :
       {std::pair(-kInfinity, kInfinity), std::pair(0.f, kInfinity), std::pair(0.f, 6.f)}) {
    const Guarded<float> y = compute(result, data, *of.loops, 2, {data.bias.data(), floor, ceiling});
    int64_t hidden = 0, seen = 0, spread = 0;
    for (int64_t row = 0; row < data.rows_of_y(); ++row)
      for (int64_t k = 0; k < data.c.filters; ++k) {
        const float value = y[row * data.c.filters + k];
        const auto [r, s] = bad.at(row);
        // Winograd's algorithm gives it to the tile's other outputs too, but no further.
        const bool may =
            mixes(result, data.c) ? bad.is_image(row) && std::abs(r) <= 6 && std::abs(s) <= 6 : bad.is_seen_by(row);
        if (bad.is_seen_by(row)) ++seen, hidden += !std::isnan(value);
        if (!may) spread += !std::isfinite(value);
      }
    const std::string name = name_of(of, data, result) + ", clamped to " + std::to_string(ceiling);
    ASSERT_GT(seen, 0) << name;
    if (is_nan) EXPECT_EQ(hidden, 0) << name;
    EXPECT_EQ(spread, 0) << name;
  }
}

template <typename T>
void expect_nans(const Shape& shape) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const float value : {kNan, -kNan, kInfinity}) {
    Data<T> data(shape, 700);
    const Convolution& c = data.c;
    const Bad bad{c};
    bad.in(&data) = from_float<T>(value);
    for_results(data, true, [&](Result result, const LoopsOf& of) {
      if constexpr (sizeof(T) == 4)
        if (result == Result::kWinograd || result == Result::kDirect)
          expect_bad_outputs(data, bad, result, of, std::isnan(value));
      if (result != Result::kFilterGradient) return;
      // The rows of its channel, and no others.
      const Guarded<float> dfilter = compute(result, data, *of.loops, 2);
      for (int64_t row = 0; row < data.rows_of_dfilter(); ++row) {
        const int64_t place = row / c.channels;
        const bool wanted = row % c.channels == bad.channel &&
                            (mixes(result, c) || bad.is_met_by(place / c.filter_width, place % c.filter_width));
        for (int64_t k = 0; k < c.filters; k += 7)
          ASSERT_EQ(!std::isfinite(dfilter[row * c.filters + k]), wanted)
              << name_of(of, data, result) << ", row " << row;
      }
    });
  }
}

TEST_F(ConvolutionEdges, ShowNaNs) {
  for (const Shape& shape : std::vector<Shape>{{3, 13, 17, 16, 32},
                                               {3, 13, 17, 48, 48, 1, 1},
                                               {3, 13, 17, 48, 48, 1, 1, 2},
                                               {3, 13, 17, 19, 48, 5, 3, 2}}) {
    expect_nans<float>(shape);
    expect_nans<bfloat16_bits>(shape);
  }
}

template <typename T>
void expect_same_on_all_threads(const Shape& shape) {
  const Data<T> data(shape, 800);
  for_results(data, true, [&](Result result, const LoopsOf& of) {
    const Guarded<float> one = compute(result, data, *of.loops, 1);
    for (const int64_t threads : {2, 3, 7, 64})
      EXPECT_TRUE(one.same_bits(compute(result, data, *of.loops, threads)))
          << name_of(of, data, result) << ", " << threads << " threads";
  });
}

TEST_F(ConvolutionEdges, AreTheSameWhateverTheThreads) {
  for (const Shape& shape : std::vector<Shape>{{1, 1, 1, 16, 16},
                                               {2, 7, 7, 272, 96},
                                               {3, 101, 99, 16, 16},
                                               {1, 73, 70, 16, 272},
                                               {2, 21, 19, 272, 48, 1, 1},
                                               {2, 21, 19, 48, 272, 1, 1, 2},
                                               {1, 25, 23, 19, 48, 5, 5, 2},
                                               {2, 65, 67, 48, 32, 1, 1},
                                               {1, 47, 49, 19, 80, 5, 3},
                                               {1, 13, 11, 32, 1040, 1, 1},
                                               {1, 23, 25, 3, 80, 7, 7},
                                               {1, 1, 1, 16, 16, 1, 1}}) {
    expect_same_on_all_threads<float>(shape);
    expect_same_on_all_threads<bfloat16_bits>(shape);
  }
}

// Few pixels do not pay for Winograd's larger filter; one that is packed once pays sooner. What is chosen is right
// either way: convolution_test.cc.
TEST_F(ConvolutionEdges, ChooseTheirAlgorithm) {
  const auto chosen = [](int64_t batch, bool is_packed) {
    return algorithm_of(convolution_of({batch, 14, 14, 64, 64}), is_packed);
  };
  EXPECT_EQ(chosen(1, false), Algorithm::kDirect);
  EXPECT_EQ(chosen(1, true), Algorithm::kWinograd);
  EXPECT_EQ(chosen(16, false), Algorithm::kWinograd);
  const auto of_5x5 = [](int64_t side, bool is_packed) {
    return algorithm_of(convolution_of({1, side, side, 64, 64, 5, 5}), is_packed);
  };
  EXPECT_EQ(of_5x5(9, false), Algorithm::kDirect);
  EXPECT_EQ(of_5x5(9, true), Algorithm::kWinograd);
  EXPECT_EQ(of_5x5(14, false), Algorithm::kWinograd);
  // Of 1x1 filters a product of few pixels, less than two parts, is cut by its filters; in whole vectors of float32.
  const auto of_rows = [](int64_t rows, int64_t filters, bool float32) {
    return algorithm_of(convolution_of({1, rows, 1, 64, filters, 1, 1}), true, float32);
  };
  EXPECT_EQ(algorithm_of(convolution_of({64, 14, 14, 64, 64, 1, 1}), true), Algorithm::kPointwise);
  EXPECT_EQ(algorithm_of(convolution_of({1, 28, 26, 64, 64, 1, 1, 2}), true), Algorithm::kDirect);
  EXPECT_EQ(of_rows(191, 64, true), Algorithm::kDirect);
  EXPECT_EQ(of_rows(192, 64, true), Algorithm::kPointwise);
  EXPECT_EQ(of_rows(1, 72, true), Algorithm::kPointwise);
  EXPECT_EQ(of_rows(1, 64, false), Algorithm::kPointwise);
  EXPECT_EQ(algorithm_of(convolution_of({64, 14, 14, 64, 64, 3, 3, 2}), true), Algorithm::kDirect);
}

}  // namespace
}  // namespace mox::convolutions::testing
