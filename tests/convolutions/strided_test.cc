// Gradients of inputs with a stride (convolutions/strided.cc) against their definition, on any number of threads and
// with somebody who looks at their rows.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "convolutions/pointwise_reference.h"
#include "convolutions/row_listener.h"

namespace mox::convolutions::testing {
namespace {

using Strided = ConvolutionTest;

constexpr int64_t kAll = int64_t{1} << 40;
constexpr Direction kDirection = Direction::kInputGradient;

// Returns how many checks there were. Threads: the same bits as with one.
template <typename T>
int expect_right_in(const Shape& shape, int64_t budget, int seed) {
  const Data<T> data(shape, seed);
  const Wanted wanted = wanted_of(data, Result::kInputGradient, budget);
  int checks = 0;
  for (const LoopsOf& of : loops_of_this_machine()) {
    if (!computes_pointwise<T>(kDirection, data.c, *of.loops)) continue;
    const Guarded<T> one = compute_pointwise(kDirection, data, *of.loops, {.threads = 1});
    expect_rows(one, wanted, name_of(of, data, kDirection));
    for (const int64_t threads : {2, 3, 8})
      EXPECT_TRUE(compute_pointwise(kDirection, data, *of.loops, {.threads = threads}).same_bits(one))
          << name_of(of, data, kDirection) << ", " << threads << " threads";
    ++checks;
  }
  return checks;
}

void expect_right(const Shape& shape, int64_t budget, int seed) {
  ASSERT_GT(convolution_of(shape).batch, 0) << text(shape);
  EXPECT_EQ(expect_right_in<float>(shape, budget, seed), loops_of_this_machine().size()) << text(shape);
  const bool pairs = convolution_loops()->multiply_pairs;
  EXPECT_EQ(expect_right_in<bfloat16_bits>(shape, budget, seed), pairs * (shape.filters % 2 == 0)) << text(shape);
}

// Phases of which some meet no place of the filter, and images smaller than the stride.
TEST_F(Strided, OfEveryWindow) {
  int seed = 1;
  for (int64_t height = 1; height <= 7; ++height)
    for (int64_t width = 1; width <= 7; ++width)
      for (const int64_t stride : {2, 3}) {
        expect_right({2, height + seed % 5, width + seed % 3, 16, 18, height, width, stride, true}, kAll, ++seed);
        expect_right({1, height + seed % 4, width + seed % 5, 19, 16, height, width, stride, false}, kAll, ++seed);
      }
  for (const int64_t stride : {4, 5, 8})
    for (const int64_t size : {1, 3, 6}) expect_right({2, 11, 13, 16, 16, size, size, stride, true}, kAll, ++seed);
  expect_right({1, 2, 3, 16, 16, 2, 2, 5, false}, kAll, ++seed);
}

TEST_F(Strided, OfEveryPadding) {
  int seed = 200;
  for (const int64_t top : {0, 1, 2, 4})
    for (const int64_t left : {0, 1, 3})
      for (const int64_t more : {0, 1, 2})
        for (const int64_t stride : {2, 3}) {
          expect_right({2, 9, 10, 16, 18, 3, 3, stride, true, {top, more, left, 2 - more}}, kAll, ++seed);
          expect_right({1, 10, 7, 17, 16, 5, 4, stride, true, {top, more, left, more}}, kAll, ++seed);
        }
}

TEST_F(Strided, OfEveryNumberOfChannelsAndFilters) {
  int seed = 400;
  for (const int64_t channels : {16, 17, 19, 24, 31, 33, 48, 70})
    for (const int64_t filters : {16, 17, 19, 24, 31, 33, 48, 70})
      expect_right({2, 7, 6, channels, filters, 3, 3, 2}, kAll, ++seed);
}

// Many parts, or few that are cut by channels; more lines than are computed at once; more filters than a product is
// deep.
TEST_F(Strided, OfEverySize) {
  int seed = 600;
  for (const Shape& shape : std::vector<Shape>{{3, 56, 56, 32, 48, 3, 3, 2, true, {1, 1, 1, 1}},
                                               {2, 57, 55, 32, 48, 3, 3, 2, false},
                                               {9, 14, 14, 40, 300, 3, 3, 2, true, {1, 1, 1, 1}},
                                               {1, 7, 7, 176, 530, 3, 3, 2},
                                               {2, 7, 7, 80, 1040, 3, 3, 2},
                                               {1, 113, 450, 16, 16, 3, 3, 2},
                                               {40, 4, 4, 32, 32, 3, 3, 2},
                                               {40, 3, 3, 32, 32, 2, 2, 3},
                                               {1, 9, 1200, 16, 16, 5, 7, 3}})
    expect_right(shape, 2'000'000, ++seed);
}

TEST_F(Strided, OfRandomShapes) {
  std::mt19937 engine(20261201);
  const auto draw = [&](int64_t from, int64_t to) { return std::uniform_int_distribution<int64_t>(from, to)(engine); };
  for (int seed = 700; seed < 760;) {
    Shape shape{draw(1, 4), draw(1, 40), draw(1, 40), draw(16, 100), draw(16, 100),
                draw(1, 7), draw(1, 7),  draw(2, 4),  true,          {}};
    for (int i = 0; i < 4; ++i) shape.pads.push_back(draw(0, 3));
    if (convolution_of(shape).batch > 0) expect_right(shape, 500'000, ++seed);
  }
}

template <typename T>
void expect_told(const Shape& shape) {
  const Data<T> data(shape, 800);
  for (const LoopsOf& of : loops_of_this_machine())
    if (computes_pointwise<T>(kDirection, data.c, *of.loops)) expect_told(data, kDirection, Algorithm::kPointwise, of);
}

const std::vector<Shape>& told_shapes() {
  static const std::vector<Shape> kShapes{
      {1, 2, 2, 16, 16, 3, 3, 2},    {3, 28, 28, 48, 34, 3, 3, 2, true, {1, 1, 1, 1}},
      {2, 23, 21, 33, 40, 3, 3, 2},  {3, 61, 67, 24, 40, 5, 3, 3},
      {5, 14, 14, 80, 520, 3, 3, 2}, {1, 1230, 6, 17, 16, 1, 1, 2},
      {3, 41, 43, 96, 48, 3, 3, 2}};  // a part an image, of several pieces
  return kShapes;
}

TEST_F(Strided, RowsAreToldOfOnceInOrderWhenTheyAreThere) {
  for (const Shape& shape : told_shapes()) {
    expect_told<float>(shape);
    expect_told<bfloat16_bits>(shape);
  }
}

// Where nobody wants the result, its rows are shown all the same.
template <typename T>
void expect_shown(const Shape& shape) {
  const Data<T> data(shape, 810);
  const Guarded<T> filter = in_type<T>(data.filter);
  for (const LoopsOf& of : loops_of_this_machine()) {
    if (!computes_pointwise<T>(kDirection, data.c, *of.loops)) continue;
    const Guarded<T> wanted = compute_pointwise(kDirection, data, *of.loops);
    Guarded<T> beside(wanted.size());
    for (const int64_t threads : {1, 3, 8}) {
      Guarded<T> shown(wanted.size());
      const RowsDone done{[&](int64_t, int64_t begin, int64_t end, const void* rows) {
                            std::memcpy(shown.data() + begin * data.c.channels, rows,
                                        (end - begin) * data.c.channels * sizeof(T));
                          },
                          {beside.data(), nullptr, beside.data()}};
      on_threads(*of.loops, threads, [&](const Resources& on) {
        gradient_of_input(data.c, filter.data(), data.dy.data(), static_cast<T*>(nullptr), done, on);
      });
      EXPECT_TRUE(shown.same_bits(wanted)) << name_of(of, data, kDirection) << ", " << threads << " threads";
    }
  }
}

TEST_F(Strided, RowsAreShownWithoutAResult) {
  for (const Shape& shape : told_shapes()) {
    expect_shown<float>(shape);
    expect_shown<bfloat16_bits>(shape);
  }
}

// What is not finite reaches the pixels that its output was a sum of, and no others.
template <typename T>
void expect_kept(float value) {
  const Shape shape{2, 14, 13, 34, 32, 3, 3, 2, true, {1, 1, 1, 1}};
  const Data<T> clean(shape, 820);
  Data<T> data(shape, 820);
  const Convolution& c = data.c;
  const int64_t oy = 3, ox = 5;
  data.dy[((c.out_height + oy) * c.out_width + ox) * c.filters + 7] = from_float<T>(value);
  for (const LoopsOf& of : loops_of_this_machine()) {
    if (!computes_pointwise<T>(kDirection, c, *of.loops)) continue;
    const Guarded<T> got = compute_pointwise(kDirection, data, *of.loops),
                     without = compute_pointwise(kDirection, clean, *of.loops);
    int64_t wrong = 0;
    for (int64_t i = 0; i < got.size(); ++i) {
      const int64_t x = i / c.channels % c.width, y = i / c.channels / c.width % c.height,
                    image = i / c.channels / c.width / c.height;
      const bool met = image == 1 && std::abs(y - 2 * oy) <= 1 && std::abs(x - 2 * ox) <= 1;
      wrong += met ? std::isfinite(to_float(got[i])) : std::memcmp(&got[i], &without[i], sizeof(T)) != 0;
    }
    EXPECT_EQ(wrong, 0) << name_of(of, data, kDirection) << " of " << value;
  }
}

TEST_F(Strided, KeepsWhatIsNotFinite) {
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    expect_kept<float>(value);
    expect_kept<bfloat16_bits>(value);
  }
}

TEST(StridedParts, CoverAllRowsAndDependOnSizesAlone) {
  for (const int64_t stride : {2, 3})
    for (int64_t batch = 1; batch < 40; batch += 5)
      for (int64_t size = 1; size < 70; ++size) {
        const Convolution c{
            .batch = batch, .height = size, .width = size + 1, .channels = 16, .filters = 16, .stride = stride};
        const RowParts parts = parts_of_input(c);
        ASSERT_EQ(parts.begin(0), 0);
        ASSERT_EQ(parts.begin(parts.parts), batch * size * (size + 1));
        ASSERT_LE(parts.parts, RowParts::kMost);
        for (int64_t part = 0; part < parts.parts; ++part) {
          ASSERT_LT(parts.begin(part), parts.begin(part + 1)) << size << ", part " << part;
          // A line of an image from which a whole stride of lines is left.
          ASSERT_EQ(parts.begin(part) % c.width, 0);
          ASSERT_EQ(parts.begin(part) / c.width % c.height % stride, 0);
        }
      }
}

}  // namespace
}  // namespace mox::convolutions::testing
