#include "moxing/error.h"
#include "moxing/losses.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

tf::Output as_float(const Scope& scope, const tf::Output& x) {
  return x.type() == tf::DT_FLOAT ? x : tf::Output(ops::Cast(scope, x, tf::DT_FLOAT));
}

// Labels [batch] or [batch, 1] -> [batch].
tf::Output flat_labels(const Scope& scope, const tf::Output& labels) {
  return static_shape(scope, labels).size() == 1 ? labels : tf::Output(ops::Reshape(scope, labels, {-1}));
}

// Sum over the samples / number of samples whose weight is not 0.
tf::Output reduce(const Scope& scope, const tf::Output& losses, const losses::CrossEntropyOptions& options) {
  const tf::Output axis = ops::Const(scope, {0});
  tf::Output mean;
  if (!options.sample_weights.node()) {
    mean = ops::Mean(scope, losses, axis);
  } else {
    const tf::Output weights = as_float(scope, options.sample_weights);
    const tf::Output present = ops::Cast(scope, ops::NotEqual(scope, weights, 0.0f), tf::DT_FLOAT);
    mean = ops::DivNoNan(scope, ops::Sum(scope, ops::Multiply(scope, losses, weights), axis),
                         ops::Sum(scope, present, axis));
  }
  return ops::Multiply(scope.WithOpName("value"), mean, options.weight);
}

tf::Output collect(const Scope& scope, const tf::Output& loss, const losses::CrossEntropyOptions& options) {
  if (!options.collection.empty()) scope.add_to_collection(options.collection, loss);
  return loss;
}

}  // namespace

namespace losses {

tf::Output softmax_cross_entropy(const Scope& outer, const tf::Output& onehot_labels, const tf::Output& logits,
                                 const CrossEntropyOptions& options, const std::string& name) {
  const Scope scope = outer.with(outer.NewSubScope(name));
  const std::vector<int64_t> shape = static_shape(scope, logits), label_shape = static_shape(scope, onehot_labels);
  if (shape.size() != 2 || label_shape.size() != 2)
    throw InvalidArgumentError("softmax_cross_entropy: labels and logits must be [batch, classes], got " +
                               onehot_labels.name() + " with " + std::to_string(label_shape.size()) + " and " +
                               logits.name() + " with " + std::to_string(shape.size()) +
                               " dimensions; for class indices use sparse_softmax_cross_entropy or one_hot_encoding");
  tf::Output labels = as_float(scope, onehot_labels);
  if (options.label_smoothing > 0) {
    if (shape[1] < 0) throw InvalidArgumentError("softmax_cross_entropy: label_smoothing needs logits of a known size");
    labels = ops::Add(scope, ops::Multiply(scope, labels, 1 - options.label_smoothing),
                      options.label_smoothing / static_cast<float>(shape[1]));
  }
  const tf::Output each = ops::SoftmaxCrossEntropyWithLogits(scope.WithOpName("xentropy"), as_float(scope, logits),
                                                             ops::StopGradient(scope, labels))
                              .loss;
  return collect(outer, reduce(scope, each, options), options);
}

tf::Output sparse_softmax_cross_entropy(const Scope& outer, const tf::Output& labels, const tf::Output& logits,
                                        const CrossEntropyOptions& options, const std::string& name) {
  if (options.label_smoothing > 0) {
    const std::vector<int64_t> shape = static_shape(outer, logits);
    if (shape.size() != 2 || shape[1] < 0)
      throw InvalidArgumentError("sparse_softmax_cross_entropy: label_smoothing needs logits [batch, classes]");
    const tf::Output onehot = ops::OneHot(outer, flat_labels(outer, labels), static_cast<int>(shape[1]), 1.0f, 0.0f);
    return softmax_cross_entropy(outer, onehot, logits, options, name);
  }
  const Scope scope = outer.with(outer.NewSubScope(name));
  const tf::Output each = ops::SparseSoftmaxCrossEntropyWithLogits(scope.WithOpName("xentropy"),
                                                                   as_float(scope, logits), flat_labels(scope, labels))
                              .loss;
  return collect(outer, reduce(scope, each, options), options);
}

tf::Output sigmoid_cross_entropy(const Scope& outer, const tf::Output& labels, const tf::Output& logits,
                                 const CrossEntropyOptions& options, const std::string& name) {
  const Scope scope = outer.with(outer.NewSubScope(name));
  const tf::Output x = as_float(scope, logits);
  tf::Output z = ops::StopGradient(scope, as_float(scope, labels));
  if (options.label_smoothing > 0)
    z = ops::Add(scope, ops::Multiply(scope, z, 1 - options.label_smoothing), options.label_smoothing / 2);
  // max(x, 0) - x z + log(1 + exp(-|x|)): no overflow for any x.
  const tf::Output soft = ops::Softplus(scope, ops::Negate(scope, ops::Abs(scope, x)));
  const tf::Output each = ops::Add(scope, ops::Subtract(scope, ops::Relu(scope, x), ops::Multiply(scope, x, z)), soft);
  return collect(outer, reduce(scope, ops::Mean(scope, each, {1}), options), options);
}

tf::Output add_regularization(const Scope& scope, const tf::Output& loss) {
  std::vector<tf::Output> terms = scope.get_collection(collections::kRegularizationLosses);
  if (terms.empty()) return loss;
  for (tf::Output& term : terms) term = as_float(scope, term);
  terms.push_back(loss);
  return ops::AddN(scope.WithOpName("total_loss"), terms);
}

}  // namespace losses

namespace metrics {

tf::Output in_top_k(const Scope& scope, const tf::Output& logits, const tf::Output& labels, int k,
                    const std::string& name) {
  const tf::Output flat = flat_labels(scope, labels);
  const tf::Output count = flat.type() == tf::DT_INT64 ? tf::Output(ops::Const(scope, int64_t{k}))
                                                       : tf::Output(ops::Const(scope, int32_t{k}));
  return ops::InTopKV2(scope.WithOpName(name), as_float(scope, logits), flat, count);
}

tf::Output accuracy(const Scope& scope, const tf::Output& logits, const tf::Output& labels, int k,
                    const std::string& name) {
  const tf::Output hits = ops::Cast(scope, in_top_k(scope, logits, labels, k, name + "/InTopK"), tf::DT_FLOAT);
  return ops::Mean(scope.WithOpName(name), hits, {0});
}

}  // namespace metrics
}  // namespace mox
