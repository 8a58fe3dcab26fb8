// convolutions/grouped.h against grouped convolutions by their definition, on memory that faults beyond its end.
#include "convolutions/grouped.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "convolutions/convolution_reference.h"

namespace mox::convolutions::testing {
namespace {

using GroupedConvolutions = ConvolutionTest;

struct Grouped {
  int64_t group;
  Shape shape;
  int64_t groups() const { return shape.channels / group; }
};

std::string name_of(const Grouped& g) { return std::to_string(g.group) + " a group, " + text(g.shape); }

// What a result is by the definition: elements, and the sums of the products' absolute values.
struct Reference {
  explicit Reference(int64_t count) : values(count), magnitudes(count) {}
  std::vector<double> values, magnitudes;
  void add(int64_t at, double product) {
    values[at] += product;
    magnitudes[at] += std::abs(product);
  }
};

template <typename T>
struct Inputs {
  Inputs(const Grouped& g, int seed) : grouped(g), c(convolution_of(g.shape)) {
    std::mt19937 engine(seed);
    const auto numbers = [&](auto* to, int64_t count) {
      *to = std::remove_pointer_t<decltype(to)>(count);
      std::uniform_real_distribution<float> uniform(-1, 1);
      for (int64_t i = 0; i < count; ++i)
        (*to)[i] = from_float<std::remove_reference_t<decltype((*to)[0])>>(uniform(engine));
    };
    numbers(&x, c.batch * c.height * c.width * c.channels);
    numbers(&dy, c.batch * c.out_height * c.out_width * c.filters);
    numbers(&filter, c.filter_height * c.filter_width * g.group * c.filters);
  }

  // Calls use(element of x, of the filter, of y) for all products.
  template <typename Use>
  void for_products(const Use& use) const {
    for (int64_t pixel = 0; pixel < c.batch * c.out_height * c.out_width; ++pixel)
      for (int64_t place = 0; place < c.filter_height * c.filter_width; ++place) {
        const int64_t iy = pixel / c.out_width % c.out_height * c.stride + place / c.filter_width - c.pad_top,
                      ix = pixel % c.out_width * c.stride + place % c.filter_width - c.pad_left,
                      image = pixel / (c.out_width * c.out_height);
        if (iy < 0 || iy >= c.height || ix < 0 || ix >= c.width) continue;
        const int64_t from = ((image * c.height + iy) * c.width + ix) * c.channels;
        for (int64_t k = 0; k < c.filters; ++k)
          for (int64_t i = 0; i < grouped.group; ++i)
            use(from + k / grouped.group * grouped.group + i, (place * grouped.group + i) * c.filters + k,
                pixel * c.filters + k);
      }
  }

  Grouped grouped;
  Convolution c;
  Guarded<T> x, dy;
  Guarded<float> filter;
};

template <typename T>
struct Results {
  Guarded<T> y, dx;
  Guarded<float> dfilter;
};

template <typename T>
Results<T> compute(const Inputs<T>& in, const ConvolutionLoops& loops, int64_t threads) {
  const int64_t groups = in.grouped.groups();
  Results<T> results{Guarded<T>(in.dy.size()), Guarded<T>(in.x.size()), Guarded<float>(in.filter.size())};
  on_threads(loops, threads, [&](const Resources& on) {
    convolve_groups(in.c, groups, in.x.data(), in.filter.data(), results.y.data(), on);
    gradient_of_grouped_input(in.c, groups, in.filter.data(), in.dy.data(), results.dx.data(), on);
    gradient_of_grouped_filter(in.c, groups, in.x.data(), in.dy.data(), results.dfilter.data(), on);
  });
  return results;
}

template <typename T>
void expect_close(const Guarded<T>& got, const Reference& wanted, const std::string& name) {
  int64_t wrong = 0;
  std::string first;
  for (int64_t i = 0; i < got.size(); ++i) {
    const double rounding = sizeof(T) == 2 ? std::abs(wanted.values[i]) / 256 : 0,
                 difference = std::abs(to_float(got[i]) - wanted.values[i]);
    if (!(difference <= kBound * wanted.magnitudes[i] + rounding) && wrong++ == 0)
      first = "element " + std::to_string(i) + ": expected " + std::to_string(wanted.values[i]) + ", got " +
              std::to_string(to_float(got[i]));
  }
  EXPECT_EQ(wrong, 0) << name << ": " << first;
}

template <typename T>
void expect_right(const Grouped& grouped, int seed, int64_t threads = 2) {
  if (convolution_of(grouped.shape).batch == 0) return;
  const Inputs<T> in(grouped, seed);
  ASSERT_TRUE(is_fast_grouped(in.c, grouped.groups())) << name_of(grouped);
  Reference y(in.dy.size()), dx(in.x.size()), dfilter(in.filter.size());
  in.for_products([&](int64_t i, int64_t w, int64_t o) {
    const double x = to_float(in.x[i]), dy = to_float(in.dy[o]), filter = in.filter[w];
    y.add(o, x * filter);
    dx.add(i, dy * filter);
    dfilter.add(w, x * dy);
  });
  for (const LoopsOf& of : loops_of_this_machine()) {
    const Results<T> results = compute(in, *of.loops, threads);
    const std::string name = of.name + (sizeof(T) == 2 ? " of bfloat16: " : ": ") + name_of(grouped);
    expect_close(results.y, y, name + ", y");
    expect_close(results.dx, dx, name + ", dx");
    expect_close(results.dfilter, dfilter, name + ", dfilter");
  }
}

constexpr int64_t kGroups[] = {4, 8, 16, 32};

// Images as wide as what is computed at once (7 and 14), wider and narrower.
TEST_F(GroupedConvolutions, OfEverySize) {
  int seed = 1;
  for (const int64_t group : kGroups)
    for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{
             {1, 1}, {1, 9}, {2, 3}, {7, 7}, {8, 6}, {3, 41}, {19, 2}, {14, 13}, {5, 15}})
      for (const int64_t stride : {1, 2, 3})
        for (const bool same : {true, false}) {
          expect_right<float>({group, {2, height, width, 32, 32, 3, 3, stride, same}}, ++seed);
          expect_right<bfloat16_bits>({group, {2, height, width, 32, 32, 3, 3, stride, same}}, ++seed);
        }
}

// Rows of filters of every length, also longer than the image; strides that leave pixels out; several blocks of
// channels.
TEST_F(GroupedConvolutions, OfEveryFilter) {
  int seed = 500;
  for (const int64_t group : kGroups)
    for (const auto& [height, width] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {5, 5}, {1, 7}, {7, 1}, {2, 4}, {3, 2}, {1, 3}, {11, 11}})
      for (const int64_t stride : {1, 2, 4})
        for (const bool same : {true, false}) {
          expect_right<float>({group, {3, 13, 9, 64, 64, height, width, stride, same}}, ++seed);
          expect_right<bfloat16_bits>({group, {1, 6, 17, 160, 160, height, width, stride, same}}, ++seed);
        }
}

// Several bands of rows, and ranges of channels (128) where one is cut short.
TEST_F(GroupedConvolutions, OfManyBands) {
  int seed = 900;
  for (const Grouped& grouped : std::vector<Grouped>{{4, {2, 57, 55, 128, 128}},
                                                     {8, {1, 57, 55, 256, 256, 3, 3, 2}},
                                                     {16, {1, 61, 30, 272, 272}},
                                                     {32, {3, 15, 15, 416, 416, 3, 3, 2, false}},
                                                     {4, {17, 5, 5, 144, 144}},
                                                     {4, {1, 3, 1100, 16, 16}},
                                                     {8, {1, 400, 5, 48, 48, 3, 3, 2}},
                                                     {32, {2, 7, 7, 1024, 1024}}}) {
    expect_right<float>(grouped, ++seed);
    expect_right<bfloat16_bits>(grouped, ++seed);
  }
}

// A gradient that goes past the caches: 32 MiB and more.
TEST_F(GroupedConvolutions, OfLargeImages) { expect_right<float>({8, {1, 513, 128, 128, 128, 1, 1, 2}}, 951); }

template <typename T>
void expect_same_on_all_threads(const Grouped& grouped) {
  const Inputs<T> in(grouped, 77);
  for (const LoopsOf& of : loops_of_this_machine()) {
    const Results<T> one = compute(in, *of.loops, 1);
    for (const int64_t threads : {2, 3, 7, 64}) {
      const Results<T> many = compute(in, *of.loops, threads);
      EXPECT_TRUE(one.y.same_bits(many.y)) << of.name << name_of(grouped) << ", y, " << threads << " threads";
      EXPECT_TRUE(one.dx.same_bits(many.dx)) << of.name << name_of(grouped) << ", dx, " << threads << " threads";
      EXPECT_TRUE(one.dfilter.same_bits(many.dfilter))
          << of.name << name_of(grouped) << ", dfilter, " << threads << " threads";
    }
  }
}

TEST_F(GroupedConvolutions, AreTheSameWhateverTheThreads) {
  for (const int64_t group : kGroups)
    for (const Shape& shape : std::vector<Shape>{{1, 1, 1, 32, 32},
                                                 {5, 29, 27, 96, 96},
                                                 {1, 57, 55, 256, 256, 3, 3, 2},
                                                 {19, 7, 7, 160, 160, 3, 3, 2, false},
                                                 {2, 9, 13, 64, 64, 5, 5}}) {
      expect_same_on_all_threads<float>({group, shape});
      expect_same_on_all_threads<bfloat16_bits>({group, shape});
    }
}

// A NaN reaches what its own group makes of it, and nothing else; bfloat16's rounding keeps it, and infinity.
template <typename T>
void expect_nans(const Grouped& grouped) {
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Inputs<T> in(grouped, 88);
    const Convolution& c = in.c;
    const int64_t bad_x = ((c.height + 4) * c.width + 8) * c.channels + 5,
                  bad_dy = ((c.out_height + 2) * c.out_width + 3) * c.filters + 21;
    in.x[bad_x] = from_float<T>(value);
    in.dy[bad_dy] = from_float<T>(value);
    std::vector<bool> y(in.dy.size()), dx(in.x.size()), dfilter(in.filter.size());
    in.for_products([&](int64_t i, int64_t w, int64_t o) {
      if (i == bad_x) y[o] = dfilter[w] = true;
      if (o == bad_dy) dx[i] = dfilter[w] = true;
    });
    const auto expect = [&](const auto& got, const std::vector<bool>& bad, const std::string& name) {
      int64_t wrong = 0;
      for (int64_t i = 0; i < got.size(); ++i) wrong += std::isfinite(to_float(got[i])) == bad[i];
      EXPECT_EQ(wrong, 0) << name << " " << name_of(grouped) << ", " << value;
    };
    for (const LoopsOf& of : loops_of_this_machine()) {
      const Results<T> results = compute(in, *of.loops, 2);
      expect(results.y, y, of.name + " y");
      expect(results.dx, dx, of.name + " dx");
      expect(results.dfilter, dfilter, of.name + " dfilter");
    }
  }
}

TEST_F(GroupedConvolutions, ShowNaNs) {
  for (const int64_t group : kGroups)
    for (const int64_t stride : {1, 2}) {
      expect_nans<float>({group, {2, 13, 17, 64, 64, 3, 3, stride}});
      expect_nans<bfloat16_bits>({group, {2, 13, 17, 64, 64, 3, 3, stride}});
    }
}

TEST_F(GroupedConvolutions, WhichAreFast) {
  const auto fast = [](int64_t channels, int64_t filters, int64_t groups, int64_t stride = 1, int64_t side = 3) {
    return is_fast_grouped(
        {.channels = channels, .filters = filters, .filter_height = side, .filter_width = side, .stride = stride},
        groups);
  };
  for (const int64_t group : kGroups)
    for (const int64_t stride : {1, 2, 3})
      for (const int64_t side : {1, 3, 5}) EXPECT_TRUE(fast(group * 16, group * 16, 16, stride, side));
  EXPECT_TRUE(fast(16, 16, 1));
  for (const int64_t group : {1, 2, 3, 5, 12, 24, 48, 64, 128}) EXPECT_FALSE(fast(group * 16, group * 16, 16)) << group;
  EXPECT_FALSE(fast(64, 128, 16));
  EXPECT_FALSE(fast(128, 64, 16));
  EXPECT_FALSE(fast(24, 24, 6)) << "not whole vectors";
  EXPECT_FALSE(fast(64, 64, 15));
  for (const int64_t bad : {-1, 0}) {
    EXPECT_FALSE(fast(bad, bad, 16));
    EXPECT_FALSE(fast(64, 64, bad));
    EXPECT_FALSE(fast(64, 64, 16, bad));
    EXPECT_FALSE(fast(64, 64, 16, 1, bad));
  }
}

}  // namespace
}  // namespace mox::convolutions::testing
