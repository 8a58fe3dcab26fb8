// Classes that are not equally frequent, and labels that are distributions.
#include <fmt/format.h>

#include <algorithm>

#include "moxing/error.h"
#include "moxing/losses.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace losses {

std::vector<float> balanced_class_weights(const std::vector<int64_t>& counts) {
  double samples = 0, classes = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] < 0)
      throw InvalidArgumentError(
          fmt::format("balanced_class_weights: the count of class {} is {}, expected 0 or more", i, counts[i]));
    samples += static_cast<double>(counts[i]);
    classes += counts[i] > 0;
  }
  if (samples == 0)
    throw InvalidArgumentError(fmt::format("balanced_class_weights: none of {} classes has a sample", counts.size()));
  std::vector<float> weights;
  for (const int64_t count : counts)
    weights.push_back(count == 0 ? 0 : static_cast<float>(samples / (classes * static_cast<double>(count))));
  return weights;
}

tf::Output weights_of_classes(const Scope& scope, const tf::Output& onehot_labels,
                              const std::vector<float>& class_weights) {
  const auto count = static_cast<int64_t>(class_weights.size());
  const std::vector<int64_t> shape = static_shape(scope, onehot_labels);
  if (shape.size() != 2 || (shape[1] >= 0 && shape[1] != count))
    throw InvalidArgumentError(fmt::format(
        "weights_of_classes: there are {} weights; the labels {} have {}, expected "
        "[batch, classes]",
        count, onehot_labels.name(),
        shape.size() == 2 ? fmt::format("{} classes", shape[1]) : fmt::format("{} dimensions", shape.size())));
  tf::Tensor weights(tf::DT_FLOAT, {count});
  std::copy(class_weights.begin(), class_weights.end(), weights.vec<float>().data());
  return ops::Sum(scope, ops::Multiply(scope, onehot_labels, tf::Input::Initializer(weights)), 1);
}

}  // namespace losses

namespace metrics {

tf::Output expected_accuracy(const Scope& outer, const tf::Output& logits, const tf::Output& labels,
                             const std::string& name) {
  const Scope scope = outer.with(outer.NewSubScope(name));
  const tf::Output classes = ops::Slice(scope, ops::Shape(scope, logits), {1}, {1});
  const tf::Output best = ops::OneHot(scope, ops::ArgMax(scope, logits, 1), ops::Squeeze(scope, classes), 1.f, 0.f);
  const tf::Output each = ops::Sum(scope, ops::Multiply(scope, best, labels), 1);
  return ops::Mean(scope.WithOpName("value"), each, 0);
}

}  // namespace metrics

}  // namespace mox
