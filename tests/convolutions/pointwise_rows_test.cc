// Whom a convolution tells of its rows (convolutions/rows.h), what is not finite in a row or a filter of 1x1, and a
// packed filter that is used again.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "convolutions/pointwise_reference.h"
#include "convolutions/row_listener.h"

namespace mox::convolutions::testing {
namespace {

using PointwiseRows = ConvolutionTest;

TEST(RowParts, CoverAllRowsInOrder) {
  for (int64_t rows = 0; rows < 20'000; rows += rows < 300 ? 1 : 37) {
    const RowParts parts(rows);
    ASSERT_GE(parts.parts, 1) << rows;
    ASSERT_LE(parts.parts, RowParts::kMost) << rows;
    ASSERT_EQ(parts.begin(0), 0) << rows;
    ASSERT_EQ(parts.begin(parts.parts), rows);
    for (int64_t part = 0; part < parts.parts; ++part) {
      ASSERT_EQ(parts.begin(part) % RowParts::kUnit, 0) << rows;
      const int64_t size = parts.begin(part + 1) - parts.begin(part);
      ASSERT_GE(size, std::min(rows, RowParts::kFewest - 2 * RowParts::kUnit)) << rows << ", part " << part;
    }
  }
}

template <typename T>
void expect_told(const Shape& shape) {
  const Data<T> data(shape, 900);
  for_pointwise<T>(data.c, [&](Direction direction, const LoopsOf& of) {
    expect_told(data, direction, Algorithm::kPointwise, of);
    const Algorithm chosen = algorithm_of(data.c, false, sizeof(T) == 4);
    if (direction == Direction::kForward && chosen != Algorithm::kPointwise) expect_told(data, direction, chosen, of);
  });
}

TEST_F(PointwiseRows, AreToldOfOnceInOrderWhenTheyAreThere) {
  for (const Shape& shape : std::vector<Shape>{{1, 1, 1, 16, 16, 1, 1},
                                               {1, 7, 7, 48, 304, 1, 1},
                                               {1, 7, 7, 48, 299, 1, 1},
                                               {2, 14, 14, 100, 33, 1, 1},  // four parts: in parts of filters, or not
                                               {4, 13, 12, 64, 96, 1, 1},   // and parts of several pieces
                                               {3, 23, 21, 64, 40, 1, 1, 2},
                                               {3, 61, 67, 24, 40, 1, 1},
                                               {1, 1229, 5, 17, 16, 1, 1},
                                               {2, 14, 14, 512, 1100, 1, 1}}) {
    expect_told<float>(shape);
    expect_told<bfloat16_bits>(shape);
  }
}

// Of other convolutions, once the result is there.
TEST_F(PointwiseRows, AreToldOfByOtherAlgorithms) {
  for (const Shape& shape : std::vector<Shape>{{1, 3, 3, 16, 16}, {2, 14, 14, 48, 32}, {3, 53, 47, 16, 16}}) {
    const Data<float> data(shape, 910);
    for (const LoopsOf& of : loops_of_this_machine()) {
      for (const Algorithm algorithm : {Algorithm::kWinograd, Algorithm::kDirect})
        expect_told(data, Direction::kForward, algorithm, of);
      expect_told(data, Direction::kInputGradient, Algorithm::kWinograd, of);
    }
  }
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();

// All but row `bad` are the same bits as `clean`; that one is not finite, or all NaN.
template <typename T>
void expect_bad_row(const Guarded<T>& got, const Guarded<T>& clean, int64_t columns, int64_t bad, bool is_nan,
                    const std::string& name) {
  int64_t spread = 0, hidden = 0;
  for (int64_t i = 0; i < got.size(); ++i) {
    const float v = to_float(got[i]);
    if (i / columns != bad)
      spread += std::memcmp(got.data() + i, clean.data() + i, sizeof(T)) != 0;
    else
      hidden += is_nan ? !std::isnan(v) : std::isfinite(v);
  }
  EXPECT_EQ(spread, 0) << name;
  EXPECT_EQ(hidden, 0) << name;
}

template <typename T>
void expect_bad_rows(const Shape& shape) {
  const Data<T> clean(shape, 920);
  for (const float value : {kNan, -kNan, kInfinity, -kInfinity}) {
    Data<T> data(shape, 920);
    const Convolution& c = data.c;
    // The output's last row but one sees it.
    const int64_t row = std::max<int64_t>(data.rows_of_y() - 2, 0), ox = row % c.out_width,
                  oy = row / c.out_width % c.out_height, image = row / (c.out_width * c.out_height);
    const int64_t pixel = (image * c.height + oy * c.stride - c.pad_top) * c.width + ox * c.stride - c.pad_left;
    data.x[pixel * c.channels + 5] = data.dy[row * c.filters + 7] = from_float<T>(value);
    for_pointwise<T>(c, [&](Direction direction, const LoopsOf& of) {
      const bool forward = direction == Direction::kForward;
      // Of an infinity that meets a ReLU 0 or 6 is left.
      for (const float floor : {-kInfinity, 0.f}) {
        if (std::isinf(value) && floor == 0) continue;
        const PointwiseCall call{3, {data.bias.data(), floor, floor == 0 ? 6 : kInfinity}};
        expect_bad_row(compute_pointwise(direction, data, *of.loops, call),
                       compute_pointwise(direction, clean, *of.loops, call), forward ? c.filters : c.channels,
                       forward ? row : pixel, std::isnan(value),
                       name_of(of, data, direction) + " of " + std::to_string(value));
      }
    });
  }
}

TEST_F(PointwiseRows, KeepWhatIsNotFinite) {
  for (const Shape& shape : std::vector<Shape>{{3, 13, 17, 48, 48, 1, 1},
                                               {3, 13, 17, 48, 37, 1, 1},
                                               {3, 13, 17, 34, 50, 1, 1, 2},
                                               {3, 13, 17, 34, 32, 1, 1, 3, false},
                                               {1, 3, 3, 64, 80, 1, 1},
                                               {1, 3, 3, 64, 82, 1, 1}}) {
    expect_bad_rows<float>(shape);
    expect_bad_rows<bfloat16_bits>(shape);
  }
}

// One weight that is not finite: the columns of its filter, or its channel, and no other.
template <typename T>
void expect_bad_columns(const Shape& shape) {
  for (const float value : {kNan, kInfinity}) {
    Data<T> data(shape, 930);
    const Convolution& c = data.c;
    const int64_t channel = c.channels - 1, filter = c.filters - 1;  // where no vector is filled
    data.filter[channel * c.filters + filter] = value;
    for_pointwise<T>(c, [&](Direction direction, const LoopsOf& of) {
      const bool forward = direction == Direction::kForward;
      const int64_t columns = forward ? c.filters : c.channels, bad = forward ? filter : channel;
      const Guarded<T> got = compute_pointwise(direction, data, *of.loops);
      int64_t wrong = 0;
      for (int64_t i = 0; i < got.size(); ++i) wrong += std::isfinite(to_float(got[i])) == (i % columns == bad);
      EXPECT_EQ(wrong, 0) << name_of(of, data, direction) << " of " << value;
    });
  }
}

TEST_F(PointwiseRows, KeepAFiltersNaNInItsColumn) {
  for (const Shape& shape :
       std::vector<Shape>{{2, 9, 7, 48, 48, 1, 1}, {2, 9, 7, 34, 50, 1, 1}, {1, 2, 2, 19, 17, 1, 1}}) {
    expect_bad_columns<float>(shape);
    expect_bad_columns<bfloat16_bits>(shape);
  }
}

// Packed once for images of several sizes, by either algorithm's choice: as packed anew each time.
template <typename T>
void expect_packed_once(int64_t channels, int64_t filters, int64_t stride) {
  const Shape small{1, 5, 5, channels, filters, 1, 1, stride}, large{3, 29, 31, channels, filters, 1, 1, stride};
  const Data<T> data_small(small, 940);
  Data<T> of_large(large, 941);  // of the same filter
  std::memcpy(of_large.filter.data(), data_small.filter.data(), data_small.filter.size() * sizeof(float));
  const Guarded<T> filter = in_type<T>(data_small.filter);
  for (const LoopsOf& of : loops_of_this_machine()) {
    if (!computes_pointwise<T>(Direction::kForward, data_small.c, *of.loops)) continue;
    on_threads(*of.loops, 3, [&](const Resources& on) {
      const Algorithm pointwise = Algorithm::kPointwise;
      Guarded<float> packed(packed_size(data_small.c, pointwise, on, sizeof(T) == 4)), kept(packed.size());
      pack(data_small.c, pointwise, filter.data(), packed.data(), on);
      std::memcpy(kept.data(), packed.data(), packed.size() * sizeof(float));
      for (const Data<T>* data : {&data_small, static_cast<const Data<T>*>(&of_large), &data_small}) {
        Guarded<T> y(data->dy.size());
        convolve(data->c, pointwise, data->x.data(), Prologue{}, packed.data(), {}, y.data(), RowsDone{}, on);
        EXPECT_TRUE(y.same_bits(compute_pointwise(Direction::kForward, *data, *of.loops)))
            << name_of(of, *data, Direction::kForward);
      }
      EXPECT_TRUE(packed.same_bits(kept));
    });
  }
}

TEST_F(PointwiseRows, TakeAFilterThatWasPackedBefore) {
  for (const auto& [channels, filters] : std::vector<std::pair<int64_t, int64_t>>{{32, 48}, {64, 33}, {17, 100}})
    for (const int64_t stride : {1, 2}) {
      expect_packed_once<float>(channels, filters, stride);
      expect_packed_once<bfloat16_bits>(channels, filters, stride);
    }
}

// A filter that is kept is packed by whichever algorithm comes first, and read by both (kernels/convolution_ops.cc).
TEST_F(PointwiseRows, ReadWhatWasPackedForProducts) {
  const Data<float> data({2, 9, 11, 40, 48, 1, 1}, 950);
  for (const LoopsOf& of : loops_of_this_machine())
    on_threads(*of.loops, 2, [&](const Resources& on) {
      const Algorithm all[] = {Algorithm::kDirect, Algorithm::kPointwise};
      for (const Algorithm by : all)
        for (const Algorithm used : all) {
          ASSERT_EQ(packed_size(data.c, by, on), packed_size(data.c, used, on));
          Guarded<float> packed(packed_size(data.c, by, on)), y(data.dy.size());
          pack(data.c, by, data.filter.data(), packed.data(), on);
          convolve(data.c, used, data.x.data(), Prologue{}, packed.data(), {}, y.data(), RowsDone{}, on);
          EXPECT_TRUE(y.same_bits(compute_pointwise(Direction::kForward, data, *of.loops, {.algorithm = used})))
              << of.name;
        }
    });
}

}  // namespace
}  // namespace mox::convolutions::testing
