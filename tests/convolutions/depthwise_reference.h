// Depthwise convolutions by their definition, for tests of convolutions/depthwise.h.
#pragma once

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "convolutions/convolution_reference.h"
#include "convolutions/depthwise.h"

namespace mox::convolutions::testing {

struct NamedLoops {
  std::string name;
  const DepthwiseLoops* loops;
};

// Those that this machine runs.
inline std::vector<NamedLoops> depthwise_loops_of_this_machine() {
  std::vector<NamedLoops> found;
  for (const LoopsOf& of : loops_of_this_machine()) {
    if (of.name == "AVX-512") found.push_back({of.name, depthwise_loops_avx512()});
    if (of.name == "AVX2") found.push_back({of.name, depthwise_loops_avx2()});
  }
  return found;
}

inline Shape shape_of(int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t size, int64_t stride,
                      bool same) {
  return {batch, height, width, channels, 1, size, size, stride, same};
}

// Images and a filter; numbers between -1 and 1, the same for the same seed.
template <typename T>
struct DepthwiseData {
  DepthwiseData(const Shape& s, int seed) : shape(s) {
    const Convolution c = convolution_of(s);
    d = {c.batch,     c.height,        c.width,  c.channels, c.out_height,
         c.out_width, c.filter_height, c.stride, c.pad_top,  c.pad_left};
    std::mt19937 engine(seed);
    std::uniform_real_distribution<float> uniform(-1, 1);
    const auto fill = [&](auto* to, int64_t count) {
      *to = std::remove_pointer_t<decltype(to)>(count);
      for (int64_t i = 0; i < count; ++i)
        (*to)[i] = from_float<std::remove_reference_t<decltype((*to)[0])>>(uniform(engine));
    };
    fill(&x, d.batch * d.height * d.width * d.channels);
    fill(&dy, d.batch * d.out_height * d.out_width * d.channels);
    fill(&filter, d.size * d.size * d.channels);
    fill(&bias, d.channels);
  }

  // Calls meet(index of x, of the filter and of y) for all products.
  template <typename Meet>
  void for_products(const Meet& meet) const {
    for (int64_t n = 0; n < d.batch; ++n)
      for (int64_t oy = 0; oy < d.out_height; ++oy)
        for (int64_t ox = 0; ox < d.out_width; ++ox)
          for (int64_t r = 0; r < d.size; ++r)
            for (int64_t s = 0; s < d.size; ++s) {
              const int64_t iy = oy * d.stride + r - d.pad_top, ix = ox * d.stride + s - d.pad_left;
              if (iy < 0 || iy >= d.height || ix < 0 || ix >= d.width) continue;
              const int64_t at_x = ((n * d.height + iy) * d.width + ix) * d.channels,
                            at_y = ((n * d.out_height + oy) * d.out_width + ox) * d.channels,
                            at_filter = (r * d.size + s) * d.channels;
              for (int64_t c = 0; c < d.channels; ++c) meet(at_x + c, at_filter + c, at_y + c);
            }
  }

  Shape shape;
  Depthwise d;
  Guarded<T> x, dy;
  Guarded<float> filter, bias;
};

// By the definition in double, and the sums of the products' absolute values.
struct Exact {
  explicit Exact(int64_t count) : values(count), magnitudes(count) {}
  void add(int64_t at, double product) {
    values[at] += product;
    magnitudes[at] += std::abs(product);
  }
  std::vector<double> values, magnitudes;
};

template <typename T>
Exact exact(Direction direction, const DepthwiseData<T>& data) {
  Exact sums(direction == Direction::kForward         ? data.dy.size()
             : direction == Direction::kInputGradient ? data.x.size()
                                                      : data.filter.size());
  data.for_products([&](int64_t x, int64_t f, int64_t y) {
    if (direction == Direction::kForward) sums.add(y, double{to_float(data.x[x])} * data.filter[f]);
    if (direction == Direction::kInputGradient) sums.add(x, double{to_float(data.dy[y])} * data.filter[f]);
    if (direction == Direction::kFilterGradient) sums.add(f, double{to_float(data.x[x])} * to_float(data.dy[y]));
  });
  return sums;
}

// Of T, but for the gradient of the filter, which is float.
template <typename T>
Guarded<T> image(Direction direction, const DepthwiseData<T>& data, const DepthwiseLoops& loops, int64_t threads,
                 const Epilogue& epilogue = {}, const Prologue& prologue = {}, const RowsDone& done = {}) {
  Guarded<T> to(direction == Direction::kForward ? data.dy.size() : data.x.size());
  on_threads(*loops_of_this_machine()[0].loops, threads, [&](const Resources& on) {
    if (direction == Direction::kForward)
      return depthwise(data.d, data.x.data(), prologue, data.filter.data(), epilogue, to.data(), done, loops, on);
    depthwise_input_gradient(data.d, data.filter.data(), data.dy.data(), to.data(), done, loops, on);
  });
  return to;
}

template <typename T>
Guarded<float> filter_gradient(const DepthwiseData<T>& data, const DepthwiseLoops& loops, int64_t threads,
                               const Prologue& prologue = {}) {
  Guarded<float> to(data.filter.size());
  on_threads(*loops_of_this_machine()[0].loops, threads, [&](const Resources& on) {
    depthwise_filter_gradient(data.d, data.x.data(), prologue, data.dy.data(), to.data(), loops, on);
  });
  return to;
}

template <typename T>
void expect_close(const Guarded<T>& got, const Exact& wanted, const std::string& name) {
  ASSERT_EQ(got.size(), static_cast<int64_t>(wanted.values.size())) << name;
  // What is stored in bfloat16 is rounded to 8 bits.
  const double rounding = sizeof(T) == 2 ? 1 / 256.0 : 0;
  int64_t wrong = 0, first = -1;
  for (int64_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(to_float(got[i]) - wanted.values[i]);
    if (error <= kBound * wanted.magnitudes[i] + rounding * std::abs(wanted.values[i])) continue;
    if (wrong++ == 0) first = i;
  }
  EXPECT_EQ(wrong, 0) << name << ": element " << first << " is " << to_float(got[first]) << ", not "
                      << wanted.values[first];
}

}  // namespace mox::convolutions::testing
