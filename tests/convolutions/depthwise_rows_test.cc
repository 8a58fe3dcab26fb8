// Who is told of the rows of depthwise convolutions, and when (RowsDone of convolutions/depthwise.h).
#include <gtest/gtest.h>

#include <atomic>

#include "convolutions/depthwise_reference.h"

namespace mox::convolutions::testing {
namespace {

using DepthwiseRows = ConvolutionTest;

// Keeps what it is shown, and says what is wrong with the order.
template <typename T>
class Listener {
 public:
  Listener(const RowParts& parts, int64_t channels)
      : parts_(parts), channels_(channels), next_(parts.parts), busy_(parts.parts), shown_(parts.rows * channels) {
    for (int64_t part = 0; part < parts.parts; ++part) next_[part] = parts.begin(part);
  }

  RowsDone rows_done() {
    return {[this](int64_t part, int64_t begin, int64_t end, const void* rows) { call(part, begin, end, rows); }};
  }
  // Errors; all rows were shown.
  int64_t finish() {
    for (int64_t part = 0; part < parts_.parts; ++part) wrong_ += next_[part] != parts_.begin(part + 1);
    return wrong_;
  }
  const Guarded<T>& shown() const { return shown_; }
  int64_t calls() const { return calls_; }

 private:
  void call(int64_t part, int64_t begin, int64_t end, const void* rows) {
    ++calls_;
    if (part < 0 || part >= parts_.parts) {
      ++wrong_;
      return;
    }
    if (busy_[part].exchange(true)) ++wrong_;  // two threads at one part
    if (begin != next_[part] || end <= begin || end > parts_.begin(part + 1) || begin % parts_.unit != 0) {
      ++wrong_;
    } else {
      std::memcpy(shown_.data() + begin * channels_, rows, (end - begin) * channels_ * sizeof(T));
      next_[part] = end;
    }
    busy_[part] = false;
  }

  const RowParts parts_;
  const int64_t channels_;
  std::vector<int64_t> next_;
  std::vector<std::atomic<bool>> busy_;
  Guarded<T> shown_;
  std::atomic<int64_t> wrong_{0}, calls_{0};
};

template <typename T>
void expect_shown_in(const Shape& shape, int seed) {
  const DepthwiseData<T> data(shape, seed);
  const Depthwise& d = data.d;
  if (d.batch == 0) return;
  std::vector<float> scale(d.channels, 0.5f), shift(d.channels, 0.25f);
  for (const NamedLoops& of : depthwise_loops_of_this_machine())
    for (const int64_t threads : {1, 2, 3, 7}) {
      const std::string name = of.name + ": " + text(shape) + ", " + std::to_string(threads) + " threads";
      for (const Prologue& prologue : {Prologue{}, Prologue{scale.data(), shift.data(), 0}}) {
        Listener<T> listener(parts_of_output(d), d.channels);
        const Epilogue epilogue{data.bias.data(), 0, 2};
        const Guarded<T> y =
            image(Direction::kForward, data, *of.loops, threads, epilogue, prologue, listener.rows_done());
        EXPECT_EQ(listener.finish(), 0) << name << ", y";
        EXPECT_TRUE(listener.shown().same_bits(y)) << name << ", y";
        EXPECT_TRUE(y.same_bits(image(Direction::kForward, data, *of.loops, threads, epilogue, prologue)))
            << name << ", y that nobody looks at";
      }
      const Guarded<T> alone = image(Direction::kInputGradient, data, *of.loops, threads);
      for (const bool kept : {true, false}) {
        Listener<T> listener(parts_of_input(d), d.channels);
        RowsDone done = listener.rows_done();
        done.reads[1] = data.x.data();
        Guarded<T> dx(data.x.size());
        on_threads(*loops_of_this_machine()[0].loops, threads, [&](const Resources& on) {
          depthwise_input_gradient(d, data.filter.data(), data.dy.data(), kept ? dx.data() : nullptr, done, *of.loops,
                                   on);
        });
        EXPECT_EQ(listener.finish(), 0) << name << ", dx" << (kept ? "" : " that nobody keeps");
        EXPECT_TRUE(listener.shown().same_bits(alone)) << name << ", dx" << (kept ? "" : " that nobody keeps");
        if (kept) EXPECT_TRUE(dx.same_bits(alone)) << name;
      }
    }
}

TEST_F(DepthwiseRows, AreShownOnceInOrder) {
  int seed = 1;
  for (const int64_t size : {3, 5, 7})
    for (const int64_t stride : {1, 2})
      for (const bool same : {true, false})
        for (const Shape& shape :
             {shape_of(1, 1, 1, 3, size, stride, same), shape_of(3, 9, 11, 33, size, stride, same),
              shape_of(2, 37, 31, 24, size, stride, same), shape_of(1, 13, 1, 100, size, stride, same)}) {
          expect_shown_in<float>(shape, ++seed);
          expect_shown_in<bfloat16_bits>(shape, ++seed);
        }
  // More lines than the most parts of the fewest rows, and lines wider than the fewest.
  expect_shown_in<float>(shape_of(2, 131, 50, 8, 3, 1, true), ++seed);
  expect_shown_in<float>(shape_of(3, 2, 301, 20, 5, 2, true), ++seed);
  expect_shown_in<bfloat16_bits>(shape_of(1, 9, 91, 600, 3, 1, true), ++seed);
}

// Whole lines, every one of them, in parts of about as many.
TEST_F(DepthwiseRows, PartsAreWholeLines) {
  for (const int64_t lines : {1, 2, 3, 7, 63, 64, 65, 200, 1000})
    for (const int64_t width : {1, 2, 7, 56, 96, 97, 301}) {
      const RowParts parts(lines * width, width);
      EXPECT_EQ(parts.begin(0), 0);
      EXPECT_EQ(parts.begin(parts.parts), lines * width);
      EXPECT_LE(parts.parts, std::min(RowParts::kMost, lines));
      for (int64_t part = 0; part < parts.parts; ++part) {
        EXPECT_LT(parts.begin(part), parts.begin(part + 1)) << lines << " lines of " << width;
        EXPECT_EQ(parts.begin(part) % width, 0);
      }
    }
}

}  // namespace
}  // namespace mox::convolutions::testing
