// Histograms for TensorBoard.
#pragma once

#include "tensorflow/core/framework/summary.pb.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

// Of the values that are finite, in buckets of the same width. False, and nothing is filled, when `tensor` is of no
// floating point type or none of its values is finite.
bool fill_histogram(const tensorflow::Tensor& tensor, tensorflow::HistogramProto* histogram);

}  // namespace mox
