// Batch norm's sums over rows (kernels/batch_norm_sums.h) against sums in double.
#include "kernels/batch_norm_sums.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

namespace mox::kernels {
namespace {

float to_float(float v) { return v; }
float to_float(bfloat16_bits v) { return std::bit_cast<float>(uint32_t{v} << 16); }
template <typename T>
T from_float(float v) {
  if constexpr (sizeof(T) == 4) return v;
  const uint32_t bits = std::bit_cast<uint32_t>(v);
  return static_cast<T>(std::isnan(v) ? (bits >> 16 | 0x40) : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Rows [rows, channels] of a normal distribution, whose mean differs a little from channel to channel.
template <typename T>
std::vector<T> normal_rows(int64_t rows, int64_t channels, float mean, float deviation, int seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<T> x(rows * channels);
  for (int64_t i = 0; i < rows * channels; ++i)
    x[i] = from_float<T>(mean * (1 + 0.01f * static_cast<float>(i % channels % 10)) + deviation * normal(engine));
  return x;
}

struct Moments {
  explicit Moments(int64_t channels) : mean(channels), unbiased(channels), variance(channels) {}
  std::vector<float> mean, unbiased, variance;
};

// How rows come: parts, and in each so many at a time.
struct Pieces {
  int64_t parts = 1, size = int64_t{1} << 40;
  bool backwards = false;  // the last part first
};

// Calls add(part, begin, end) for all.
template <typename Add>
void for_pieces(int64_t rows, const Pieces& pieces, const Add& add) {
  for (int64_t n = 0; n < pieces.parts; ++n) {
    const int64_t part = pieces.backwards ? pieces.parts - 1 - n : n, end = rows * (part + 1) / pieces.parts;
    for (int64_t r = rows * part / pieces.parts; r < end; r += pieces.size)
      add(part, r, std::min(end, r + std::min(pieces.size, end - r)));
  }
}

template <typename T>
Moments moments_of(const std::vector<T>& x, int64_t channels, const Pieces& pieces = {}) {
  MomentsOfParts sums(pieces.parts, channels);
  for_pieces(static_cast<int64_t>(x.size()) / channels, pieces,
             [&](int64_t part, int64_t begin, int64_t end) { sums.add(part, x.data(), begin, end); });
  Moments got(channels);
  sums.finish(got.mean.data(), got.unbiased.data(), got.variance.data());
  return got;
}

struct Exact {
  double mean = 0, variance = 0;
};
template <typename T>
std::vector<Exact> exact_moments(const std::vector<T>& x, int64_t channels) {
  const int64_t rows = static_cast<int64_t>(x.size()) / channels;
  std::vector<Exact> all(channels);
  for (int64_t i = 0; i < rows * channels; ++i) all[i % channels].mean += to_float(x[i]) / static_cast<double>(rows);
  for (int64_t i = 0; i < rows * channels; ++i) {
    const double d = to_float(x[i]) - all[i % channels].mean;
    all[i % channels].variance += d * d / static_cast<double>(rows);
  }
  return all;
}

// Pieces as convolutions make them, and odd ones.
const Pieces kPieces[] = {{},          {1, 1},  {1, 3},   {1, 5},   {1, 12},        {1, 96},
                          {3, 100000}, {16, 7}, {64, 96}, {64, 12}, {16, 12, true}, {64, 1, true}};

// The largest errors: of the mean in units of the deviation or, where that is more, of itself; of variances relative to
// them, or to `least` where few rows happen to be nearer to each other.
struct Errors {
  double mean = 0, variance = 0;
};
Errors errors_of(const Moments& got, const std::vector<Exact>& wanted, int64_t rows, double least = 0) {
  Errors errors;
  const auto add = [](double error, double* to) { *to = std::isnan(error) ? 1e30 : std::max(*to, error); };
  for (size_t c = 0; c < wanted.size(); ++c) {
    const auto& [mean, variance] = wanted[c];
    add(std::abs(got.mean[c] - mean) / std::max(std::abs(mean), std::sqrt(variance)), &errors.mean);
    const double more = static_cast<double>(rows) / static_cast<double>(rows - 1), unit = std::max(variance, least);
    add(std::abs(got.variance[c] - variance) / unit, &errors.variance);
    add(std::abs(got.unbiased[c] - variance * more) / (unit * more), &errors.variance);
  }
  return errors;
}

template <typename T>
void expect_exact(float mean, float deviation, double bound) {
  for (const int64_t channels : {1, 3, 16, 19, 100, 1027})
    for (const int64_t rows : {2, 4, 5, 97, 1000, 6145}) {
      if (rows * channels > 1'000'000) continue;
      const auto x = normal_rows<T>(rows, channels, mean, deviation, static_cast<int>(rows + channels));
      const auto wanted = exact_moments(x, channels);
      for (const Pieces& pieces : kPieces) {
        const Errors errors = errors_of(moments_of(x, channels, pieces), wanted, rows, double{deviation} * deviation);
        const std::string name = "[" + std::to_string(rows) + ", " + std::to_string(channels) + "] of mean " +
                                 std::to_string(mean) + ", deviation " + std::to_string(deviation) + " in " +
                                 std::to_string(pieces.parts) + " parts of pieces of " + std::to_string(pieces.size);
        EXPECT_LE(errors.mean, pieces.size < 12 ? 1e-5 : 2e-6) << name;
        // Each join rounds, and few rows do not make up for it.
        EXPECT_LE(errors.variance, pieces.size < 12 || rows < 12 ? 3 * bound : bound) << name;
      }
    }
}

TEST(MomentsOfParts, AreExact) {
  for (const auto& [mean, deviation] : {std::pair(0.f, 1.f), std::pair(0.01f, 1.f), std::pair(1.f, 1.f),
                                        std::pair(-7.f, 0.5f), std::pair(0.f, 1e-12f), std::pair(0.f, 1e12f)}) {
    expect_exact<float>(mean, deviation, 2e-5);
    expect_exact<bfloat16_bits>(mean, deviation, 2e-5);
  }
}

// Squares of the numbers themselves would leave no digit of the variance: 1e6 of it are 24 bits.
TEST(MomentsOfParts, LoseNothingToALargeMean) {
  for (const float mean : {1000.f, -1000.f}) {
    expect_exact<float>(mean, 1, 1e-4);
    expect_exact<bfloat16_bits>(mean, 30, 1e-4);
  }
}

// All but the first row far away from it, whose numbers are what the first deviations are from: the squares of as many
// as a block has cancel.
TEST(MomentsOfParts, TakeAFirstRowThatIsFarAway) {
  for (const int64_t rows : {2, 100, 512, 513, 3000})
    for (const float first : {1e3f, -1e5f}) {
      auto x = normal_rows<float>(rows, 19, 0, 1, 3);
      std::fill_n(x.begin(), 19, first);
      for (const Pieces& pieces : kPieces)
        EXPECT_LE(errors_of(moments_of(x, 19, pieces), exact_moments(x, 19), rows).variance, 1e-3)
            << rows << " rows, " << first << ", " << pieces.parts << " parts of " << pieces.size;
    }
}

template <typename T>
void expect_no_variance(int64_t rows) {
  const std::vector<float> constants = {0, -0.f, 1, -3.1f, 1000.3f, 1e-18f, 1e18f, 0.1f, -65537};
  const auto channels = static_cast<int64_t>(constants.size());
  std::vector<T> x(rows * channels);
  for (int64_t i = 0; i < rows * channels; ++i) x[i] = from_float<T>(constants[i % channels]);
  for (const Pieces& pieces : kPieces) {
    const Moments got = moments_of(x, channels, pieces);
    for (int64_t c = 0; c < channels; ++c) {
      const float value = to_float(x[c]), rounding = 1e-6f * std::abs(value);
      EXPECT_LE(std::abs(got.mean[c] - value), 2 * rounding) << rows << " rows of " << value;
      for (const float variance : {got.variance[c], got.unbiased[c]}) {
        EXPECT_FALSE(std::signbit(variance)) << rows << " rows of " << value << ": " << variance;
        EXPECT_LE(variance, rounding * rounding) << rows << " rows of " << value;
        if (rows == 1) EXPECT_EQ(variance, 0) << value;
      }
      if (rows == 1) EXPECT_EQ(got.mean[c], value);
    }
  }
}

// A variance of no more than the mean's rounding, and never below 0, whose root would be a NaN.
TEST(MomentsOfParts, OfConstantsHaveNoVariance) {
  for (const int64_t rows : {1, 2, 3, 4, 7, 100, 513, 1000, 6145}) {
    expect_no_variance<float>(rows);
    expect_no_variance<bfloat16_bits>(rows);
  }
}

// As FusedBatchNormV3's; of parts that got no rows nothing is added.
TEST(MomentsOfParts, OfNoRowsHaveNoVariance) {
  for (const int64_t parts : {0, 1, 5}) {
    const Moments got = moments_of(std::vector<float>{}, 7, {parts});
    for (int64_t c = 0; c < 7; ++c) EXPECT_TRUE(std::isnan(got.variance[c]));
  }
  const auto x = normal_rows<float>(3, 7, 1, 1, 5);
  EXPECT_LE(errors_of(moments_of(x, 7, {10}), exact_moments(x, 7), 3).variance, 1e-5);
}

TEST(MomentsOfParts, ShowWhatIsNotFiniteInItsColumn) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto clean = normal_rows<float>(700, 19, 2, 1, 7);
  for (const float value : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()})
    for (const int64_t row : {0, 3, 350, 699})
      for (const Pieces& pieces : kPieces) {
        auto x = clean;
        x[row * 19 + 5] = value;
        const Moments got = moments_of(x, 19, pieces), wanted = moments_of(clean, 19, pieces);
        EXPECT_FALSE(std::isfinite(got.mean[5])) << value << " in row " << row;
        EXPECT_FALSE(std::isfinite(got.variance[5])) << value << " in row " << row;
        for (int64_t c = 0; c < 19; ++c)
          if (c != 5)
            EXPECT_TRUE(got.mean[c] == wanted.mean[c] && got.variance[c] == wanted.variance[c]) << value << ", " << c;
      }
}

// Whoever comes first.
TEST(MomentsOfParts, DoNotDependOnTheOrderOfParts) {
  const auto x = normal_rows<float>(2000, 33, 3, 1, 11);
  for (const int64_t parts : {2, 16, 64}) {
    const Moments a = moments_of(x, 33, {parts, 12}), b = moments_of(x, 33, {parts, 12, true});
    EXPECT_EQ(a.mean, b.mean);
    EXPECT_EQ(a.variance, b.variance);
    EXPECT_EQ(a.unbiased, b.unbiased);
  }
}

// ---- Of gradients

template <typename T>
struct GradientCase {
  int64_t rows, channels;
  Clamp clamp;
  std::vector<T> dy, more, x, y, g;
  std::vector<float> scale, shift, mean;

  GradientCase(int64_t rows_, int64_t channels_, const std::string& activation)
      : rows(rows_), channels(channels_), clamp(clamp_of(activation)) {
    dy = normal_rows<T>(rows, channels, 0.1f, 1, 1);
    more = normal_rows<T>(rows, channels, -0.2f, 2, 2);
    x = normal_rows<T>(rows, channels, 1, 3, 3);
    y = normal_rows<T>(rows, channels, 1, 4, 4);
    for (T& v : y) v = from_float<T>(std::clamp(to_float(v), clamp.floor, clamp.ceiling));
    g.resize(rows * channels);
    for (int64_t c = 0; c < channels; ++c) {
      scale.push_back(0.5f + static_cast<float>(c % 5)), shift.push_back(static_cast<float>(c % 3) - 1.f);
      mean.push_back(0.9f + 0.01f * static_cast<float>(c));
    }
    // None so near to an end of the clamp that rounding decides.
    for (int64_t i = 0; i < rows * channels; ++i)
      for (const float end : {clamp.floor, clamp.ceiling})
        if (std::abs(to_float(x[i]) * scale[i % channels] + shift[i % channels] - end) < 1e-3)
          x[i] = from_float<T>(to_float(x[i]) + 0.125f);
  }

  NormalizationGradient<T> described(bool has_more, bool has_y) {
    return {.channels = channels,
            .dy = dy.data(),
            .more_dy = has_more ? more.data() : nullptr,
            .x = x.data(),
            .y = has_y ? y.data() : nullptr,
            .scale = scale.data(),
            .shift = shift.data(),
            .mean = mean.data(),
            .clamp = clamp,
            .g = has_y ? g.data() : nullptr,
            .dx = nullptr};
  }
};

struct GradientSums {
  explicit GradientSums(int64_t channels) : g(channels), gx(channels), magnitude_g(channels), magnitude_gx(channels) {}
  std::vector<double> g, gx, magnitude_g, magnitude_gx;
};

template <typename T>
GradientSums exact_sums(const GradientCase<T>& of, const NormalizationGradient<T>& n) {
  GradientSums sums(of.channels);
  for (int64_t i = 0; i < of.rows * of.channels; ++i) {
    const int64_t c = i % of.channels;
    const float v = n.y ? to_float(n.y[i]) : to_float(n.x[i]) * n.scale[c] + n.shift[c];
    if (v <= of.clamp.floor || v >= of.clamp.ceiling) continue;
    const double g = static_cast<double>(to_float(n.dy[i])) + (n.more_dy ? to_float(n.more_dy[i]) : 0),
                 gx = g * (to_float(n.x[i]) - static_cast<double>(n.mean[c]));
    sums.g[c] += g, sums.gx[c] += gx;
    sums.magnitude_g[c] += std::abs(g), sums.magnitude_gx[c] += std::abs(gx);
  }
  return sums;
}

template <typename T>
void expect_sums(int64_t rows, int64_t channels, const std::string& activation, bool has_more, bool has_y) {
  GradientCase<T> of(rows, channels, activation);
  const auto n = of.described(has_more, has_y);
  const GradientSums wanted = exact_sums(of, n);
  for (const Pieces& pieces : kPieces) {
    GradientSumsOfParts sums(pieces.parts, channels);
    std::fill(of.g.begin(), of.g.end(), from_float<T>(NAN));
    for_pieces(rows, pieces, [&](int64_t part, int64_t begin, int64_t end) { sums.add(part, n, begin, end); });
    GradientSums got(channels);
    sums.finish(got.g.data(), got.gx.data());
    int64_t wrong = 0;
    for (int64_t c = 0; c < channels; ++c) {
      wrong += !(std::abs(got.g[c] - wanted.g[c]) <= 3e-6 * wanted.magnitude_g[c]);
      wrong += !(std::abs(got.gx[c] - wanted.gx[c]) <= 3e-6 * wanted.magnitude_gx[c]);
    }
    for (int64_t i = 0; i < rows * channels && has_y; ++i) {  // what is kept
      const float y = to_float(of.y[i]), sum = to_float(of.dy[i]) + (has_more ? to_float(of.more[i]) : 0.f);
      wrong += to_float(of.g[i]) != (y > of.clamp.floor && y < of.clamp.ceiling ? to_float(from_float<T>(sum)) : 0.f);
    }
    EXPECT_EQ(wrong, 0) << "[" << rows << ", " << channels << "] " << activation << (has_more ? ", two" : "")
                        << (has_y ? ", y" : "") << ", " << pieces.parts << " parts of " << pieces.size;
  }
}

TEST(GradientSumsOfParts, AreExact) {
  for (const auto& [rows, channels] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 16}, {3, 19}, {255, 7}, {257, 33}, {1027, 100}, {6145, 16}})
    for (const std::string activation : {"", "Relu", "Relu6"})
      for (const bool has_more : {false, true})
        for (const bool has_y : {false, true}) {
          expect_sums<float>(rows, channels, activation, has_more, has_y);
          expect_sums<bfloat16_bits>(rows, channels, activation, has_more, has_y);
        }
}

}  // namespace
}  // namespace mox::kernels
