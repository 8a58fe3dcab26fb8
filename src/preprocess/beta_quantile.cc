#include "preprocess/beta_quantile.h"

#include <cmath>

namespace mox::preprocess {
namespace {

// The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method. x below 1/2.
double continued_fraction(double a, double x) {
  constexpr double kTiny = 1e-300, kEnough = 1e-14;
  constexpr int kMost = 10000;
  const auto away_from_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1, d = 1 / away_from_zero(1 - 2 * a * x / (a + 1)), result = d;
  for (int m = 1; m < kMost; ++m) {
    const double even = m * (a - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    result *= c * d;
    const double odd = -(a + m) * (2 * a + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    const double change = c * d;
    result *= change;
    if (std::abs(change - 1) < kEnough) break;
  }
  return result;
}

// Its distribution function; x from 0 to 1/2. std::lgamma writes to a global, signgam, that nobody reads here.
double cumulative(double a, double x) {
  if (x <= 0) return 0;
  const double log_factor = std::lgamma(2 * a) - 2 * std::lgamma(a) + a * (std::log(x) + std::log1p(-x));
  return std::exp(log_factor) * continued_fraction(a, x) / a;
}

// p from 0 to 1/2. In the logarithm of x: of a small alpha most quantiles are tiny.
double lower_quantile(double a, double p) {
  if (p <= 0) return 0;
  double low = -700, high = std::log(0.5);
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (cumulative(a, std::exp(middle)) < p ? low : high) = middle;
  }
  return std::exp((low + high) / 2);
}

}  // namespace

std::vector<float> beta_quantiles(double alpha, int count) {
  std::vector<float> quantiles(count);
  for (int i = 0; i < count; ++i) {
    const double p = static_cast<double>(i) / (count - 1);
    quantiles[i] = static_cast<float>(p <= 0.5 ? lower_quantile(alpha, p) : 1 - lower_quantile(alpha, 1 - p));
  }
  return quantiles;
}

}  // namespace mox::preprocess
