// Losses and metrics of classifiers. Logits of 16 bits are cast to 32 first. Shapes that are known not to fit are an
// InvalidArgumentError; others are reported by mox::check, or when the graph is run, as a label that is no class is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moxing/export.h"
#include "moxing/scope.h"

namespace mox::losses {

struct CrossEntropyOptions {
  // Multiplies each sample's loss. The result is the sum over the samples divided by the number of samples whose
  // weight is not 0 (tf.losses' SUM_BY_NONZERO_WEIGHTS).
  float weight = 1;
  tensorflow::Output sample_weights = {};         // [batch], optional: multiplies as well
  float label_smoothing = 0;                      // > 0: labels * (1 - s) + s / num_classes
  std::string collection = collections::kLosses;  // joined by the loss; "" for none
};

// Labels and logits [batch, classes]; of labels a distribution a row, e.g. from one_hot_encoding. Returns a float
// scalar. InvalidArgumentError for other shapes, and for label_smoothing where the graph does not know the number of
// classes.
MOX_EXPORT tensorflow::Output softmax_cross_entropy(const Scope& scope, const tensorflow::Output& onehot_labels,
                                                    const tensorflow::Output& logits,
                                                    const CrossEntropyOptions& options = {},
                                                    const std::string& name = "softmax_cross_entropy_loss");
// `labels` [batch] of int32 or int64: the class's index; logits [batch, classes]. Returns a float scalar.
MOX_EXPORT tensorflow::Output sparse_softmax_cross_entropy(
    const Scope& scope, const tensorflow::Output& labels, const tensorflow::Output& logits,
    const CrossEntropyOptions& options = {}, const std::string& name = "sparse_softmax_cross_entropy_loss");

// For labels of several classes at once: labels, of 0 and 1, and logits [batch, classes]. The mean over all elements, a
// float scalar.
MOX_EXPORT tensorflow::Output sigmoid_cross_entropy(const Scope& scope, const tensorflow::Output& labels,
                                                    const tensorflow::Output& logits,
                                                    const CrossEntropyOptions& options = {},
                                                    const std::string& name = "sigmoid_cross_entropy_loss");

// For data whose classes are not equally frequent (King and Zeng 2001): samples / (classes that have some * samples of
// the class), so that each class counts the same and the mean over the samples is 1; 0 for a class without samples.
// InvalidArgumentError when a count is negative, or all are 0.
MOX_EXPORT std::vector<float> balanced_class_weights(const std::vector<int64_t>& counts);
// The weight of each sample, [batch], for CrossEntropyOptions::sample_weights: that of its class; of a distribution
// over classes, as mix_batch makes it, the mean. Labels [batch, classes] of float. InvalidArgumentError when the graph
// knows another number of classes.
MOX_EXPORT tensorflow::Output weights_of_classes(const Scope& scope, const tensorflow::Output& onehot_labels,
                                                 const std::vector<float>& class_weights);

// `loss`, a scalar, plus the sum of REGULARIZATION_LOSSES of this tower.
MOX_EXPORT tensorflow::Output add_regularization(const Scope& scope, const tensorflow::Output& loss);

}  // namespace mox::losses

namespace mox::metrics {

// bool [batch]: is the label among the k best logits?
MOX_EXPORT tensorflow::Output in_top_k(const Scope& scope, const tensorflow::Output& logits,
                                       const tensorflow::Output& labels, int k, const std::string& name = "InTopK");
// The mean of what the labels, [batch, classes] of float, give the class of the best logit: for one-hot labels the
// accuracy, for mixed ones (mix_batch) what can be expected of it. A float scalar.
MOX_EXPORT tensorflow::Output expected_accuracy(const Scope& scope, const tensorflow::Output& logits,
                                                const tensorflow::Output& labels, const std::string& name = "accuracy");
// The share of labels that are among the k best logits: a float scalar from 0 to 1.
MOX_EXPORT tensorflow::Output accuracy(const Scope& scope, const tensorflow::Output& logits,
                                       const tensorflow::Output& labels, int k = 1,
                                       const std::string& name = "accuracy");

}  // namespace mox::metrics
