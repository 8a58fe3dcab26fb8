#include "run/histogram.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr int kBuckets = 30;

template <typename T>
std::vector<double> finite_values(const tf::Tensor& tensor) {
  const auto flat = tensor.flat<T>();
  std::vector<double> values;
  values.reserve(flat.size());
  for (int64_t i = 0; i < flat.size(); ++i) {
    const auto value = static_cast<double>(flat(i));
    if (std::isfinite(value)) values.push_back(value);
  }
  return values;
}

std::vector<double> finite_values_of(const tf::Tensor& tensor) {
  switch (tensor.dtype()) {
    case tf::DT_FLOAT:
      return finite_values<float>(tensor);
    case tf::DT_DOUBLE:
      return finite_values<double>(tensor);
    case tf::DT_HALF:
      return finite_values<Eigen::half>(tensor);
    case tf::DT_BFLOAT16:
      return finite_values<tf::bfloat16>(tensor);
    default:
      return {};
  }
}

}  // namespace

bool fill_histogram(const tf::Tensor& tensor, tf::HistogramProto* histogram) {
  const std::vector<double> values = finite_values_of(tensor);
  if (values.empty()) return false;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double width = *high > *low ? (*high - *low) / kBuckets : 1;
  std::vector<double> counts(kBuckets);
  double sum = 0, squares = 0;
  for (double value : values) {
    ++counts[std::min(kBuckets - 1, static_cast<int>((value - *low) / width))];
    sum += value;
    squares += value * value;
  }
  histogram->set_min(*low);
  histogram->set_max(*high);
  histogram->set_num(static_cast<double>(values.size()));
  histogram->set_sum(sum);
  histogram->set_sum_squares(squares);
  for (int i = 0; i < kBuckets; ++i) {
    histogram->add_bucket_limit(*low + (i + 1) * width);
    histogram->add_bucket(counts[i]);
  }
  return true;
}

}  // namespace mox
