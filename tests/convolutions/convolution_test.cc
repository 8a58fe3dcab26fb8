// convolutions/convolution.h against convolutions by their definition.
#include "convolutions/convolution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>

#include "convolutions/convolution_reference.h"

namespace mox::convolutions::testing {
namespace {

struct Error {
  double worst = 0;                        // relative to the magnitude
  double square = 0, square_of_plain = 0;  // sums; of a sum in float32 term by term
  int64_t wrong = 0;
  std::string first_wrong;
};

bool all_finite(const Guarded<float>& got, Error* error) {  // an element that is not written is a NaN
  for (int64_t i = 0; i < got.size(); ++i)
    if (!std::isfinite(got[i])) {
      ++error->wrong;
      error->first_wrong = "element " + std::to_string(i) + " is not finite";
      return false;
    }
  return true;
}

// `mixes`: as Winograd's algorithm does.
Error error_of(const Guarded<float>& got, const Wanted& wanted, bool mixes) {
  Error error;
  if (!all_finite(got, &error)) return error;
  for (size_t n = 0; n < wanted.rows.size(); ++n) {
    const Sums& sums = wanted.sums[n];
    const auto columns = static_cast<int64_t>(sums.values.size());
    for (int64_t i = 0; i < columns; ++i) {
      const double magnitude = mixes ? wanted.largest : sums.magnitudes[i], of_plain = sums.plain[i] - sums.values[i];
      const float found = got[wanted.rows[n] * columns + i];
      const double difference = std::abs(found - sums.values[i]);
      if (difference > kBound * magnitude && error.wrong++ == 0)
        error.first_wrong = "row " + std::to_string(wanted.rows[n]) + ", column " + std::to_string(i) + ": expected " +
                            std::to_string(sums.values[i]) + ", got " + std::to_string(found) + ", magnitude " +
                            std::to_string(magnitude);
      if (magnitude > 0) error.worst = std::max(error.worst, difference / magnitude);
      error.square += difference * difference;
      error.square_of_plain += of_plain * of_plain;
    }
  }
  return error;
}

// Calls check(name, error) for all that there is.
template <typename T, typename Check>
void for_errors(const Data<T>& data, int64_t budget, int64_t threads, const Check& check) {
  for (const Result result : kResults) {
    Wanted wanted;
    for (const LoopsOf& of : loops_of_this_machine()) {
      if (!computes<T>(result, data.c, *of.loops)) continue;
      if (wanted.rows.empty()) wanted = wanted_of(data, result, budget);
      check(name_of(of, data, result), result,
            error_of(compute(result, data, *of.loops, threads), wanted, mixes(result, data.c)));
    }
  }
}

// In both types.
void expect_right(const Shape& shape, int64_t budget, int seed, int64_t threads = 2) {
  if (convolution_of(shape).batch == 0) return;
  int checks = 0;
  const auto check = [&](const std::string& name, Result, const Error& error) {
    ++checks;
    EXPECT_EQ(error.wrong, 0) << name << ": " << error.first_wrong;
  };
  for_errors(Data<float>(shape, seed), budget, threads, check);
  EXPECT_GT(checks, 0) << text(shape);
  for_errors(Data<bfloat16_bits>(shape, seed), budget, threads, check);
}

using Convolutions = ConvolutionTest;

// 1x1 to several tiles, with every remainder of 4, wide and tall.
const std::vector<std::pair<int64_t, int64_t>> kSides = {{1, 1}, {1, 9}, {2, 3},  {4, 4},  {5, 5},
                                                         {7, 7}, {8, 6}, {3, 41}, {37, 2}, {14, 13}};

TEST_F(Convolutions, OfEverySize) {
  int seed = 1;
  for (const auto& [height, width] : kSides)
    for (const int64_t batch : {1, 3})
      for (const bool same : {true, false}) {
        expect_right({batch, height, width, 16, 32, 3, 3, 1, same}, 500'000, ++seed);
        expect_right({batch, height, width, 48, 16, 3, 3, 1, same}, 500'000, ++seed);
        expect_right({batch, height, width, 16, 32, 5, 5, 1, same}, 500'000, ++seed);
        for (const int64_t stride : {1, 2, 3})
          expect_right({batch, height, width, 32, 48, 1, 1, stride, same}, 200'000, ++seed);
      }
}

// Rows of filters whose windows reach beyond the image on one side, on both, or altogether; strides that leave pixels
// out; channels that fill no vector.
TEST_F(Convolutions, OfEveryFilter) {
  int seed = 50;
  for (const auto& [height, width] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {5, 5}, {1, 7}, {7, 1}, {3, 3}, {2, 4}, {11, 11}})
    for (const int64_t channels : {3, 16, 19})
      for (const int64_t stride : {1, 2, 3})
        for (const bool same : {true, false}) {
          expect_right({3, 13, 9, channels, 16, height, width, stride, same}, 200'000, ++seed);
          expect_right({1, 5, 27, channels, 80, height, width, stride, same}, 200'000, ++seed);
          if (channels > 3) expect_right({1, 13, 9, channels, 44, height, width, stride, same}, 200'000, ++seed);
        }
}

TEST_F(Convolutions, OfEveryDepth) {
  int seed = 300;
  for (const int64_t channels : {16, 32, 48, 96, 272})
    for (const int64_t filters : {16, 32, 48, 96, 272}) {
      expect_right({2, 6, 7, channels, filters}, 500'000, ++seed);
      expect_right({2, 5, 7, channels, filters, 5, 5}, 300'000, ++seed);
      expect_right({1, 9, 7, channels, filters, 1, 1}, 500'000, ++seed);
      expect_right({3, 9, 7, channels, filters, 1, 1, 2, false}, 500'000, ++seed);
    }
}

// More than one block of tiles, of pixels (96 forward; 192, in bfloat16 256, for the gradient of a filter) and of depth
// (256; 512 of a row, and of filters): each is computed in another way. Many pixels of a small filter are summed in up
// to eight cuts.
TEST_F(Convolutions, OfManyBlocks) {
  int seed = 400;
  for (const Shape& shape : std::vector<Shape>{{3, 101, 99, 16, 16},
                                               {2, 65, 67, 96, 80},
                                               {1, 73, 70, 16, 272},
                                               {5, 31, 33, 272, 16},
                                               {1, 45, 46, 256, 288, 3, 3, 1, false},
                                               {3, 51, 49, 16, 32, 5, 5},
                                               {1, 33, 34, 96, 80, 5, 5, 1, false},
                                               {2, 40, 41, 528, 64, 1, 1},
                                               {2, 57, 55, 64, 528, 1, 1, 2},
                                               {7, 7, 7, 1040, 304, 1, 1},
                                               {300, 1, 1, 32, 16},
                                               {1, 7, 7, 1040, 48},
                                               {1, 29, 29, 272, 32, 3, 3, 2},       // 225 pixels, rows of 816
                                               {2, 25, 23, 131, 48, 5, 5, 1},       // rows of 655
                                               {3, 17, 19, 519, 16, 1, 1},          // 969 pixels, odd
                                               {1, 31, 31, 3, 64, 7, 7, 1, false},  // 625 pixels
                                               {9, 15, 15, 19, 16, 1, 7, 3},
                                               {1, 257, 1, 35, 16, 2, 1},  // one pixel more than a part of them
                                               {1, 1, 769, 16, 32, 1, 3},
                                               {3, 71, 61, 32, 48, 1, 1},     // 12,993 pixels
                                               {2, 47, 49, 19, 80, 5, 3},     // 4,606
                                               {1, 129, 65, 3, 32, 7, 7, 2},  // 2,145, windows at every edge
                                               {1, 9, 11, 48, 1040, 1, 1},    // more filters than columns
                                               {1, 5, 5, 528, 560, 1, 1, 2},
                                               // 6,000 pixels and more: rows and columns exchanged
                                               {3, 47, 49, 80, 96, 1, 1},
                                               {2, 113, 115, 48, 32, 3, 3, 2},
                                               {1, 79, 83, 272, 16, 1, 3, 1, false},
                                               {1, 241, 239, 16, 528, 3, 1, 3},
                                               {3, 71, 61, 96, 32, 1, 1},  // and not
                                               {3, 71, 61, 32, 44, 1, 1},  // filters that fill no vector
                                               {2, 31, 29, 88, 88, 3, 3, 2},
                                               {1, 47, 49, 530, 21, 1, 1},
                                               {1, 9, 11, 48, 255, 1, 1}})
    expect_right(shape, 5'000'000, ++seed);
}

TEST_F(Convolutions, OfRandomShapes) {
  std::mt19937 engine(20260731);
  const auto from_to = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(engine() % (high - low + 1));
  };
  for (int i = 0; i < 150; ++i) {
    const int64_t most = from_to(0, 3) ? 8 : 40;
    Shape shape{from_to(1, 4), from_to(1, most), from_to(1, most), 16 * from_to(1, 10), 16 * from_to(1, 10)};
    if (from_to(0, 1)) {
      shape.channels = from_to(1, 160);
      shape.filter_height = from_to(1, 7), shape.filter_width = from_to(1, 7), shape.stride = from_to(1, 3);
    } else if (from_to(0, 1)) {
      shape.filter_height = shape.filter_width = 5;
    }
    shape.same = from_to(0, 1);
    expect_right(shape, 300'000, 1000 + i, from_to(1, 5));
    if (HasFailure()) break;  // the first says enough
  }
}

// Root mean square errors. A plain sum of few products (25, of the gradient of a filter over one image of 5x5) hardly
// errs: there Winograd's transforms weigh more, as in the gradient of a 5x5 filter, of powers of the points up to 4.
TEST_F(Convolutions, AreAboutAsExactAsSumsInFloat32) {
  int seed = 500;
  for (const Shape& shape : std::vector<Shape>{{2, 28, 28, 16, 32},
                                               {2, 14, 14, 96, 96},
                                               {1, 14, 14, 272, 48},
                                               {4, 7, 7, 256, 128},
                                               {1, 5, 5, 16, 16},
                                               {2, 14, 14, 32, 64, 5, 5},
                                               {1, 13, 15, 272, 48, 5, 5},
                                               {2, 14, 14, 96, 96, 1, 1},
                                               {2, 15, 15, 272, 96, 1, 1, 2},
                                               {2, 29, 29, 19, 64, 5, 5},
                                               {3, 7, 7, 512, 64, 1, 1}}) {
    const Data<float> data(shape, ++seed);
    for_errors(data, 10'000'000, 2, [&](const std::string& name, Result result, const Error& error) {
      const bool weighs = data.rows_of_y() < 49 || (mixes(result, data.c) && data.c.filter_height == 5);
      const double most = weighs && result == Result::kFilterGradient ? 6 : 3;
      EXPECT_LE(std::sqrt(error.square), most * std::sqrt(error.square_of_plain)) << name;
      if (std::getenv("MOX_PRINT_ERRORS"))
        std::printf("%-90s worst %.1e of the magnitude, error %.2f of a plain sum's\n", name.c_str(), error.worst,
                    std::sqrt(error.square / error.square_of_plain));
    });
  }
}

}  // namespace
}  // namespace mox::convolutions::testing
