// convolutions/depthwise.h against depthwise convolutions by their definition.
#include "convolutions/depthwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "convolutions/depthwise_reference.h"

namespace mox::convolutions::testing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <typename T>
void expect_right_in(const Shape& shape, int seed, int64_t threads) {
  const DepthwiseData<T> data(shape, seed);
  const Exact y = exact(Direction::kForward, data), dx = exact(Direction::kInputGradient, data),
              dfilter = exact(Direction::kFilterGradient, data);
  for (const NamedLoops& of : depthwise_loops_of_this_machine()) {
    const std::string name = of.name + (sizeof(T) == 2 ? " of bfloat16: " : ": ") + text(shape);
    expect_close(image(Direction::kForward, data, *of.loops, threads), y, name + ", y");
    expect_close(image(Direction::kInputGradient, data, *of.loops, threads), dx, name + ", dx");
    expect_close(filter_gradient(data, *of.loops, threads), dfilter, name + ", dfilter");
  }
}

void expect_right(const Shape& shape, int seed, int64_t threads = 2) {
  if (convolution_of(shape).batch == 0) return;
  expect_right_in<float>(shape, seed, threads);
  expect_right_in<bfloat16_bits>(shape, seed, threads);
}

using DepthwiseConvolutions = ConvolutionTest;

TEST_F(DepthwiseConvolutions, OfEveryFilterAndChannel) {
  int seed = 1;
  for (const int64_t size : {3, 5, 7})
    for (const int64_t stride : {1, 2})
      for (const bool same : {true, false})
        for (const int64_t channels : {1, 3, 4, 8, 11, 16, 23, 24, 44, 144})
          for (const auto& [height, width] : {std::pair<int64_t, int64_t>{9, 13}, {8, 17}})
            expect_right(shape_of(2, height, width, channels, size, stride, same), ++seed);
}

// Images smaller than the filter, one pixel less and more than what is computed at a time (8), and several times that.
TEST_F(DepthwiseConvolutions, OfEverySize) {
  int seed = 200;
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{1, 1},
                                                                              {1, 2},
                                                                              {2, 1},
                                                                              {2, 3},
                                                                              {3, 2},
                                                                              {4, 4},
                                                                              {5, 5},
                                                                              {6, 6},
                                                                              {7, 7},
                                                                              {3, 8},
                                                                              {3, 9},
                                                                              {2, 15},
                                                                              {2, 16},
                                                                              {2, 17},
                                                                              {1, 31},
                                                                              {2, 33},
                                                                              {41, 1},
                                                                              {29, 3}})
    for (const int64_t size : {3, 5, 7})
      for (const int64_t stride : {1, 2})
        for (const bool same : {true, false}) {
          expect_right(shape_of(1, height, width, 20, size, stride, same), ++seed);
          expect_right(shape_of(3, height, width, 32, size, stride, same), ++seed);
        }
}

TEST_F(DepthwiseConvolutions, OfRandomShapes) {
  std::mt19937 engine(20261130);
  const auto from_to = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(engine() % (high - low + 1));
  };
  for (int i = 0; i < 60; ++i) {
    expect_right(shape_of(from_to(1, 4), from_to(1, 25), from_to(1, 25), from_to(1, 100), 3 + 2 * from_to(0, 2),
                          from_to(1, 2), from_to(0, 1)),
                 1000 + i, from_to(1, 5));
    if (HasFailure()) break;  // the first says enough
  }
}

// Sums of 25,000 and of 200,000 products.
TEST_F(DepthwiseConvolutions, OfManyPixels) {
  expect_right(shape_of(2, 112, 112, 16, 3, 1, true), 400);
  expect_right(shape_of(64, 57, 56, 8, 3, 1, true), 401);
}

TEST_F(DepthwiseConvolutions, AddABiasAndClamp) {
  const DepthwiseData<float> data(shape_of(2, 15, 11, 44, 5, 1, true), 500);
  const Exact sums = exact(Direction::kForward, data);
  for (const NamedLoops& of : depthwise_loops_of_this_machine())
    for (const float* bias : {static_cast<const float*>(nullptr), data.bias.data()})
      for (const auto& [floor, ceiling] :
           {std::pair(-kInfinity, kInfinity), std::pair(0.f, kInfinity), std::pair(0.f, 2.f)}) {
        const Guarded<float> y = image(Direction::kForward, data, *of.loops, 2, {bias, floor, ceiling});
        int64_t wrong = 0, at_floor = 0, at_ceiling = 0;
        for (int64_t i = 0; i < y.size(); ++i) {
          const double added = bias ? bias[i % data.d.channels] : 0,
                       wanted = std::clamp<double>(sums.values[i] + added, floor, ceiling);
          wrong += !(std::abs(y[i] - wanted) <= kBound * (sums.magnitudes[i] + std::abs(added)));
          at_floor += y[i] == floor;
          at_ceiling += y[i] == ceiling;
        }
        EXPECT_EQ(wrong, 0) << of.name << (bias ? " bias" : "") << ", clamped from " << floor << " to " << ceiling;
        if (floor == 0) EXPECT_GT(at_floor, 0);
        if (ceiling == 2) EXPECT_GT(at_ceiling, 0) << "no output reaches it: the test shows nothing";
      }
}

template <typename T>
void expect_nans() {
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(), kInfinity})
    for (const int64_t stride : {1, 2}) {
      DepthwiseData<T> data(shape_of(3, 13, 17, 37, 3, stride, true), 600);
      const int64_t bad_x = ((data.d.height + 4) * data.d.width + 8) * data.d.channels + 34,
                    bad_dy = ((data.d.out_height + 3) * data.d.out_width + 5) * data.d.channels + 34;
      data.x[bad_x] = data.dy[bad_dy] = from_float<T>(value);
      std::vector<bool> y_sees(data.dy.size()), dx_sees(data.x.size()), dfilter_sees(data.filter.size());
      data.for_products([&](int64_t x, int64_t f, int64_t y) {
        if (x == bad_x) y_sees[y] = true;
        if (y == bad_dy) dx_sees[x] = true;
        if (x == bad_x || y == bad_dy) dfilter_sees[f] = true;
      });
      const auto expect_only = [&](const auto& got, const std::vector<bool>& sees, const std::string& name) {
        int64_t wrong = 0;
        for (int64_t i = 0; i < got.size(); ++i) wrong += std::isfinite(to_float(got[i])) == sees[i];
        EXPECT_EQ(wrong, 0) << name << " of " << value << " with stride " << stride;
      };
      for (const NamedLoops& of : depthwise_loops_of_this_machine()) {
        expect_only(image(Direction::kForward, data, *of.loops, 2), y_sees, of.name + ", y");
        expect_only(image(Direction::kInputGradient, data, *of.loops, 2), dx_sees, of.name + ", dx");
        expect_only(filter_gradient(data, *of.loops, 2), dfilter_sees, of.name + ", dfilter");
        if (!std::isnan(value)) continue;
        // A ReLU6 hides none.
        const Guarded<T> y = image(Direction::kForward, data, *of.loops, 2, {data.bias.data(), 0, 6});
        expect_only(y, y_sees, of.name + ", clamped y");
      }
    }
}

TEST_F(DepthwiseConvolutions, ShowNaNs) {
  expect_nans<float>();
  expect_nans<bfloat16_bits>();
}

// The last bit of 1 is 1 / 128: half of it is left out of 1, whose last bit is even, and rounds 1 + 1 / 128 up.
TEST_F(DepthwiseConvolutions, RoundToBfloat16) {
  DepthwiseData<bfloat16_bits> data(shape_of(1, 1, 3, 20, 3, 1, true), 700);
  for (int64_t i = 0; i < data.filter.size(); ++i) data.filter[i] = i / data.d.channels == 4 ? 1 : 0;
  for (int64_t i = 0; i < data.bias.size(); ++i) data.bias[i] = 1 / 256.f;
  for (int64_t i = 0; i < data.x.size(); ++i) data.x[i] = from_float<bfloat16_bits>(i % 2 ? 1 : 1 + 1 / 128.f);
  for (const NamedLoops& of : depthwise_loops_of_this_machine()) {
    const Guarded<bfloat16_bits> y = image(Direction::kForward, data, *of.loops, 1, {data.bias.data()});
    for (int64_t i = 0; i < y.size(); ++i) EXPECT_EQ(to_float(y[i]), i % 2 ? 1 : 1 + 2 / 128.f) << of.name << " " << i;
  }
}

template <typename T>
void expect_same_on_all_threads(const Shape& shape) {
  const DepthwiseData<T> data(shape, 800);
  for (const NamedLoops& of : depthwise_loops_of_this_machine()) {
    const Guarded<T> y = image(Direction::kForward, data, *of.loops, 1),
                     dx = image(Direction::kInputGradient, data, *of.loops, 1);
    const Guarded<float> dfilter = filter_gradient(data, *of.loops, 1);
    for (const int64_t threads : {2, 3, 7, 64}) {
      const std::string name = of.name + ": " + text(shape) + ", " + std::to_string(threads) + " threads";
      EXPECT_TRUE(y.same_bits(image(Direction::kForward, data, *of.loops, threads))) << name;
      EXPECT_TRUE(dx.same_bits(image(Direction::kInputGradient, data, *of.loops, threads))) << name;
      EXPECT_TRUE(dfilter.same_bits(filter_gradient(data, *of.loops, threads))) << name;
    }
  }
}

// Shared by rows, and, where these are few, by channels.
TEST_F(DepthwiseConvolutions, AreTheSameWhateverTheThreads) {
  for (const Shape& shape : {shape_of(4, 30, 31, 72, 5, 1, true), shape_of(3, 29, 45, 100, 7, 2, false),
                             shape_of(1, 2, 65, 521, 7, 1, true), shape_of(1, 1, 1, 3, 3, 2, true)}) {
    expect_same_on_all_threads<float>(shape);
    expect_same_on_all_threads<bfloat16_bits>(shape);
  }
}

TEST_F(DepthwiseConvolutions, WhichAreFast) {
  for (const int64_t size : {-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11})
    for (const int64_t stride : {-1, 0, 1, 2, 3})
      for (const int64_t channels : {-1, 0, 1, 17, 960})
        EXPECT_EQ(is_fast({.channels = channels, .size = size, .stride = stride}),
                  (size == 3 || size == 5 || size == 7) && (stride == 1 || stride == 2) && channels > 0)
            << size << " " << stride << " " << channels;
}

}  // namespace
}  // namespace mox::convolutions::testing
