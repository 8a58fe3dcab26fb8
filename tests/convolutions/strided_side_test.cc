// What is added to the pixels that a stride reads, while the gradient of a 1x1 convolution's input is made.
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "convolutions/pointwise_reference.h"

namespace mox::convolutions::testing {
namespace {

using Strided = ConvolutionTest;

int64_t divided(int64_t n, int64_t by) { return (n + by - 1) / by; }

// Numbers of T, of which sums with the gradient have no more digits than either.
template <typename T>
Guarded<T> side_of(const Convolution& c, int64_t stride) {
  Guarded<T> side(c.batch * divided(c.height, stride) * divided(c.width, stride) * c.channels);
  for (int64_t i = 0; i < side.size(); ++i)
    side[i] = from_float<T>(2 + std::sin(static_cast<float>(i) * 1.7f));  // no zero: what is left out shows
  return side;
}

// The row of the side that `pixel` has; -1: none. By its definition.
int64_t row_of_side(const Convolution& c, int64_t stride, int64_t pixel) {
  const int64_t column = pixel % c.width, line = pixel / c.width % c.height, image = pixel / c.width / c.height;
  if (column % stride != 0 || line % stride != 0) return -1;
  return (image * divided(c.height, stride) + line / stride) * divided(c.width, stride) + column / stride;
}

template <typename T>
class Gradient {
 public:
  Gradient(const Shape& shape, int64_t stride, int seed)
      : data_(shape, seed), stride_(stride), side_(side_of<T>(data_.c, stride)), filter_(in_type<T>(data_.filter)) {}

  const Data<T>& data() const { return data_; }

  // With what is added, or without; `shown`: only the rows that somebody is told of, with what he reads fetched ahead.
  Guarded<T> compute(const LoopsOf& of, int64_t threads, bool with, bool shown = false) const {
    Guarded<T> to(data_.x.size()), kept(data_.x.size());
    const StridedSide side{with ? side_.data() : nullptr, stride_};
    std::mutex mutex;
    RowsDone done;
    done.reads[0] = done.reads[1] = data_.x.data();
    if (shown)
      done.call = [&](int64_t, int64_t begin, int64_t end, const void* rows) {
        const std::lock_guard lock(mutex);
        std::memcpy(kept.data() + begin * data_.c.channels, rows, (end - begin) * data_.c.channels * sizeof(T));
      };
    on_threads(*of.loops, threads, [&](const Resources& on) {
      gradient_of_input(data_.c, filter_.data(), data_.dy.data(), shown ? nullptr : to.data(), done, on, side);
    });
    EXPECT_TRUE(to.is_end_untouched()) << text(data_.shape);
    return shown ? std::move(kept) : std::move(to);
  }

  // Some rows against the definition, rounded once; all others as they are without.
  void expect_right(const Guarded<T>& got, const Guarded<T>& without, const std::string& name) const {
    const Wanted wanted = wanted_of(data_, Result::kInputGradient, 300'000);
    const int64_t columns = data_.c.channels;
    int64_t wrong = 0, added = 0, changed = 0;
    for (size_t n = 0; n < wanted.rows.size(); ++n) {
      const int64_t row = row_of_side(data_.c, stride_, wanted.rows[n]);
      added += row >= 0;
      for (int64_t i = 0; i < columns; ++i) {
        const double side = row < 0 ? 0 : to_float(side_[row * columns + i]), sum = wanted.sums[n].values[i] + side,
                     magnitude = wanted.sums[n].magnitudes[i] + side;
        wrong += !is_rounded(got[wanted.rows[n] * columns + i], sum, kBound * magnitude);
      }
    }
    EXPECT_EQ(wrong, 0) << name;
    EXPECT_GT(added, 0) << name << " shows nothing";
    for (int64_t pixel = 0; pixel < data_.rows_of_dx(); ++pixel)
      changed += (std::memcmp(got.data() + pixel * columns, without.data() + pixel * columns, columns * sizeof(T)) !=
                  0) != (row_of_side(data_.c, stride_, pixel) >= 0);
    EXPECT_EQ(changed, 0) << name << ": other pixels than those of the stride changed";
  }

 private:
  const Data<T> data_;
  const int64_t stride_;
  const Guarded<T> side_, filter_;
};

template <typename T>
void expect_added(const Shape& shape, int64_t stride, int seed) {
  const Gradient<T> gradient(shape, stride, seed);
  for (const LoopsOf& of : loops_of_this_machine()) {
    if (!computes_pointwise<T>(Direction::kInputGradient, gradient.data().c, *of.loops)) continue;
    const std::string name =
        name_of(of, gradient.data(), Direction::kInputGradient) + ", a side with stride " + std::to_string(stride);
    const Guarded<T> without = gradient.compute(of, 2, false), one = gradient.compute(of, 1, true);
    gradient.expect_right(one, without, name);
    for (const int64_t threads : {2, 7})
      EXPECT_TRUE(gradient.compute(of, threads, true).same_bits(one)) << name << ", " << threads << " threads";
    for (const int64_t threads : {1, 3})
      EXPECT_TRUE(gradient.compute(of, threads, true, true).same_bits(one)) << name << ", rows that are only shown";
  }
}

// Lines and columns that a stride divides and not, a last line and column that have a side and that have none, more
// images, one that is a pixel; channels in whole vectors and not; few rows, which are cut by channels.
TEST_F(Strided, SideIsAddedWhereTheStrideReads) {
  int seed = 1;
  for (const int64_t stride : {2, 3, 5})
    for (const auto& [height, width] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {1, 13}, {7, 7}, {14, 13}, {13, 14}, {12, 18}, {28, 27}})
      for (const auto& [channels, filters] : std::vector<std::pair<int64_t, int64_t>>{{64, 32}, {40, 70}, {17, 16}})
        for (const int64_t batch : {1, 3}) {
          const Shape shape{batch, height, width, channels, filters, 1, 1};
          expect_added<float>(shape, stride, ++seed);
          expect_added<bfloat16_bits>(shape, stride, seed);
        }
}

// More rows than the most parts of the fewest, and filters that stay in no cache.
TEST_F(Strided, SideIsAddedToManyPartsAndOfLargeFilters) {
  int seed = 700;
  for (const Shape& shape : std::vector<Shape>{{3, 61, 67, 24, 64, 1, 1},
                                               {1, 1229, 5, 16, 16, 1, 1},
                                               {2, 14, 14, 1100, 512, 1, 1},
                                               {1, 7, 7, 304, 48, 1, 1},
                                               {1, 15, 13, 512, 1100, 1, 1}})
    for (const int64_t stride : {2, 3}) {
      expect_added<float>(shape, stride, ++seed);
      expect_added<bfloat16_bits>(shape, stride, seed);
    }
}

// What is left out of the gradient of a strided convolution's input: by its definition all of it is 0.
TEST_F(Strided, GradientWithoutItsStrideIsAllThatIsNotZero) {
  for (const int64_t stride : {2, 3})
    for (const bool same : {true, false})
      for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{7, 8}, {9, 6}, {1, 4}}) {
        const Data<float> data({2, height, width, 32, 48, 1, 1, stride, same}, 800);
        const Convolution compact = without_stride(data.c);
        ASSERT_EQ(compact.height, divided(height, stride));
        ASSERT_EQ(compact.width, divided(width, stride));
        Data<float> part({2, compact.height, compact.width, 32, 48, 1, 1}, 801);
        ASSERT_EQ(part.dy.size(), data.dy.size());
        std::memcpy(part.dy.data(), data.dy.data(), data.dy.size() * sizeof(float));
        std::memcpy(part.filter.data(), data.filter.data(), data.filter.size() * sizeof(float));
        for (const LoopsOf& of : loops_of_this_machine()) {
          const Guarded<float> got = compute_pointwise(Direction::kInputGradient, part, *of.loops);
          for (int64_t pixel = 0; pixel < data.rows_of_dx(); ++pixel) {
            const Sums wanted = data.dx(pixel);
            const int64_t row = row_of_side(data.c, stride, pixel);
            for (int64_t i = 0; i < 32; ++i)
              EXPECT_NEAR(row < 0 ? 0 : got[row * 32 + i], wanted.values[i], kBound * wanted.magnitudes[i]);
          }
        }
      }
}

}  // namespace
}  // namespace mox::convolutions::testing
