// What a batch norm makes of x where convolutions read it (Prologue), against the same made of x before by plain code.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "convolutions/depthwise_reference.h"

namespace mox::convolutions::testing {
namespace {

using Prologues = ConvolutionTest;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Vectors that end where no page follows.
struct Vectors {
  explicit Vectors(int64_t channels) : scale(channels), shift(channels) {
    std::mt19937 engine(static_cast<unsigned>(channels));
    std::uniform_real_distribution<float> uniform(-2, 2);
    for (int64_t c = 0; c < channels; ++c) scale[c] = uniform(engine), shift[c] = uniform(engine);
  }
  Prologue prologue(float floor, float ceiling) const { return {scale.data(), shift.data(), floor, ceiling}; }

  Guarded<float> scale, shift;
};

// No clamp, ReLU's and ReLU6's.
constexpr std::pair<float, float> kClamps[] = {{-kInfinity, kInfinity}, {0, kInfinity}, {0, 6}};

// x as prepared: a product and a sum that is rounded once, or twice where the processor does not fuse them.
template <typename T>
Guarded<T> prepared(const Guarded<T>& x, const Prologue& p, int64_t channels, bool fused) {
  Guarded<T> to(x.size());
  for (int64_t i = 0; i < x.size(); ++i) {
    const float scale = p.scale[i % channels], shift = p.shift[i % channels], value = to_float(x[i]);
    volatile float product = value * scale;
    float v = fused ? std::fma(value, scale, shift) : product + shift;
    v = v < p.floor ? p.floor : v;  // in this order a NaN passes
    to[i] = from_float<T>(v > p.ceiling ? p.ceiling : v);
  }
  return to;
}

// A NaN and infinities, each in an image and a channel of its own where there are so many.
template <typename T>
void spoil(Guarded<T>* x) {
  const int64_t n = x->size();
  (*x)[n / 2] = from_float<T>(std::numeric_limits<float>::quiet_NaN());
  (*x)[n / 5] = from_float<T>(kInfinity);
  (*x)[n - 1] = from_float<T>(-kInfinity);
}

// NaNs may be of any bits.
template <typename T>
int64_t differences(const Guarded<T>& a, const Guarded<T>& b) {
  int64_t count = a.size() != b.size();
  for (int64_t i = 0; i < a.size() && i < b.size(); ++i) {
    const float left = to_float(a[i]), right = to_float(b[i]);
    count += std::isnan(left) ? !std::isnan(right) : left != right;
  }
  return count;
}

// compute(data, prologue, threads) with a prologue, and of an x that was prepared before.
template <typename Data, typename Compute>
void expect_as_prepared(const Data& data, int64_t channels, const std::string& name, const Compute& compute) {
  const Vectors vectors(channels);
  for (const auto& [floor, ceiling] : kClamps) {
    const Prologue prologue = vectors.prologue(floor, ceiling);
    const auto one = compute(data, prologue, 1);
    Data before = data;
    int64_t different = one.size();
    for (const bool fused : {true, false}) {
      if (different == 0) break;
      before.x = prepared(data.x, prologue, channels, fused);
      different = differences(one, compute(before, Prologue{}, 1));
    }
    EXPECT_EQ(different, 0) << name << ", clamped from " << floor << " to " << ceiling << ", of " << one.size();
    if (ceiling != 6) continue;
    for (const int64_t threads : {2, 3, 7})
      EXPECT_TRUE(one.same_bits(compute(data, prologue, threads))) << name << ", " << threads << " threads";
  }
}

// ---- 1x1

// Copies are deep.
template <typename T>
struct PointwiseData {
  PointwiseData(const Shape& shape, int seed) : c(convolution_of(shape)) {
    const Data<T> data(shape, seed);
    x = copy(data.x);
    dy = copy(data.dy);
    filter = Guarded<T>(data.filter.size());
    for (int64_t i = 0; i < filter.size(); ++i) filter[i] = from_float<T>(data.filter[i]);
    bias = copy(data.bias);
  }
  PointwiseData(const PointwiseData& other)
      : c(other.c), x(copy(other.x)), dy(copy(other.dy)), filter(copy(other.filter)), bias(copy(other.bias)) {}
  template <typename E>
  static Guarded<E> copy(const Guarded<E>& from) {
    Guarded<E> to(from.size());
    std::copy_n(from.data(), from.size(), to.data());
    return to;
  }

  Convolution c;
  Guarded<T> x, dy, filter;
  Guarded<float> bias;
};

template <typename T>
Guarded<T> convolved(const PointwiseData<T>& data, const Prologue& prologue, const ConvolutionLoops& loops,
                     int64_t threads) {
  const Convolution& c = data.c;
  Guarded<T> y(data.dy.size());
  on_threads(loops, threads, [&](const Resources& on) {
    constexpr Algorithm kAlgorithm = Algorithm::kPointwise;
    Guarded<float> packed(packed_size(c, kAlgorithm, on, sizeof(T) == 4));
    pack(c, kAlgorithm, data.filter.data(), packed.data(), on);
    convolve(c, kAlgorithm, data.x.data(), prologue, packed.data(), {data.bias.data(), -1}, y.data(), RowsDone{}, on);
  });
  return y;
}

template <typename T>
Guarded<float> filter_gradient(const PointwiseData<T>& data, const Prologue& prologue, const ConvolutionLoops& loops,
                               int64_t threads) {
  Guarded<float> to(data.filter.size());
  on_threads(loops, threads, [&](const Resources& on) {
    gradient_of_filter(data.c, data.x.data(), prologue, data.dy.data(), to.data(), on);
  });
  return to;
}

template <typename T>
int expect_pointwise_in(const Shape& shape, int seed, bool spoiled) {
  PointwiseData<T> data(shape, seed);
  if (spoiled) spoil(&data.x);
  int checks = 0;
  for (const LoopsOf& of : loops_of_this_machine()) {
    if (sizeof(T) == 2 && !of.loops->multiply_pairs) continue;
    const std::string name = of.name + (sizeof(T) == 2 ? " of bfloat16: " : ": ") + text(shape);
    if (is_fast(Direction::kForward, data.c, sizeof(T) == 4)) {
      expect_as_prepared(data, data.c.channels, name + ", y",
                         [&](const PointwiseData<T>& of_x, const Prologue& prologue, int64_t threads) {
                           return convolved(of_x, prologue, *of.loops, threads);
                         });
      ++checks;
    }
    if (is_fast(Direction::kFilterGradient, data.c, sizeof(T) == 4)) {
      expect_as_prepared(data, data.c.channels, name + ", dfilter",
                         [&](const PointwiseData<T>& of_x, const Prologue& prologue, int64_t threads) {
                           return filter_gradient(of_x, prologue, *of.loops, threads);
                         });
      ++checks;
    }
  }
  return checks;
}

// An odd number of channels has no pairs.
void expect_pointwise(Shape shape, int seed, bool spoiled = false) {
  shape.filter_height = shape.filter_width = 1;
  const auto loops = static_cast<int>(loops_of_this_machine().size());
  EXPECT_EQ(expect_pointwise_in<float>(shape, seed, spoiled), 2 * loops) << text(shape);
  EXPECT_EQ(expect_pointwise_in<bfloat16_bits>(shape, seed, spoiled),
            convolution_loops()->multiply_pairs ? 1 + (shape.channels % 2 == 0) : 0)
      << text(shape);
}

TEST_F(Prologues, OfOnePixel) {
  int seed = 1;
  for (const int64_t channels : {16, 17, 24, 33, 100, 600})
    for (const int64_t filters : {16, 33}) {
      expect_pointwise({1, 1, 1, channels, filters}, ++seed);
      expect_pointwise({2, 7, 5, channels, filters}, ++seed);
      expect_pointwise({3, 15, 13, channels, filters}, ++seed);
    }
  // Several chunks and cuts, columns of several threads, and a filter that stays in no cache.
  expect_pointwise({2, 43, 41, 24, 32}, ++seed);
  expect_pointwise({1, 31, 29, 1040, 48}, ++seed);
  expect_pointwise({1, 7, 7, 512, 1104}, ++seed);
}

TEST_F(Prologues, OfOnePixelShowNaNs) {
  for (const int64_t channels : {24, 100}) expect_pointwise({3, 15, 13, channels, 48}, 100, true);
}

// ---- Depthwise

template <typename T>
void expect_depthwise_in(const Shape& shape, int seed, bool spoiled) {
  DepthwiseData<T> data(shape, seed);
  if (data.d.batch == 0) return;
  if (spoiled) spoil(&data.x);
  struct OfX {
    explicit OfX(const DepthwiseData<T>& all) : x(PointwiseData<T>::copy(all.x)) {}
    OfX(const OfX& other) : x(PointwiseData<T>::copy(other.x)) {}
    Guarded<T> x;
  };
  for (const NamedLoops& of : depthwise_loops_of_this_machine()) {
    const std::string name = of.name + (sizeof(T) == 2 ? " of bfloat16: " : ": ") + text(shape);
    expect_as_prepared(OfX(data), data.d.channels, name + ", y",
                       [&](const OfX& of_x, const Prologue& prologue, int64_t threads) {
                         Guarded<T> y(data.dy.size());
                         on_threads(*loops_of_this_machine()[0].loops, threads, [&](const Resources& on) {
                           depthwise(data.d, of_x.x.data(), prologue, data.filter.data(), {data.bias.data(), -1},
                                     y.data(), RowsDone{}, *of.loops, on);
                         });
                         return y;
                       });
    expect_as_prepared(OfX(data), data.d.channels, name + ", dfilter",
                       [&](const OfX& of_x, const Prologue& prologue, int64_t threads) {
                         Guarded<float> to(data.filter.size());
                         on_threads(*loops_of_this_machine()[0].loops, threads, [&](const Resources& on) {
                           depthwise_filter_gradient(data.d, of_x.x.data(), prologue, data.dy.data(), to.data(),
                                                     *of.loops, on);
                         });
                         return to;
                       });
  }
}

void expect_depthwise(const Shape& shape, int seed, bool spoiled = false) {
  expect_depthwise_in<float>(shape, seed, spoiled);
  expect_depthwise_in<bfloat16_bits>(shape, seed, spoiled);
}

TEST_F(Prologues, OfDepthwise) {
  int seed = 200;
  for (const int64_t size : {3, 5, 7})
    for (const int64_t stride : {1, 2})
      for (const bool same : {true, false}) {
        for (const int64_t channels : {16, 17, 24, 33, 100})
          expect_depthwise(shape_of(1 + seed % 3, 13 + seed % 2, 9, channels, size, stride, same), ++seed);
        expect_depthwise(shape_of(2, 7, 8, 600, size, stride, same), ++seed);
        expect_depthwise(shape_of(3, 1, 1, 20, size, stride, same), ++seed);
        expect_depthwise(shape_of(1, 2, 5, 3, size, stride, same), ++seed);
      }
}

// Lines so wide that few results' are prepared at a time: one, or some.
TEST_F(Prologues, OfWideLines) {
  int seed = 400;
  for (const int64_t size : {3, 5, 7})
    for (const int64_t stride : {1, 2})
      for (const bool same : {true, false})
        expect_depthwise(shape_of(1, 9, same ? 91 : 31, 600, size, stride, same), ++seed);
}

TEST_F(Prologues, OfDepthwiseShowNaNs) {
  for (const int64_t stride : {1, 2}) expect_depthwise(shape_of(3, 13, 11, 37, 3, stride, true), 600, true);
}

}  // namespace
}  // namespace mox::convolutions::testing
