// Where a built graph normalises with moving averages what a convolution gives: what passes/fold_batch_norm.h and
// passes/fold_into_variables.h rewrite.
#pragma once

#include <string>
#include <vector>

#include "graph/built_graph.h"

namespace mox {

// norm(x) = (x - mean) / sqrt(variance + epsilon) * scale + offset of a convolution's result, in one operation or in
// plain ones. Vectors are float32, variables or constants, of as many elements as the convolution has channels.
struct NormBehindConvolution {
  tensorflow::NodeDef* norm = nullptr;         // the last operation: its output 0 is the result
  tensorflow::NodeDef* convolution = nullptr;  // Conv2D or DepthwiseConv2dNative; nobody else reads it
  std::string weights;                         // tensor: the read of a float32 variable that is its filter
  std::string bias;                            // tensor: what is added to its result before; "": nothing
  std::string scale, offset;                   // tensors; "": 1 and 0
  std::string mean, variance;                  // tensors
  float epsilon = 0;
  tensorflow::DataType type = tensorflow::DT_FLOAT;  // of the image
  std::string data_format;                           // NHWC or NCHW
  std::vector<tensorflow::NodeDef*> between;  // whose results nobody needs after a rewrite; the convolution first
};

// In the order of the graph. Not found is what has a reader in between, also one by name: an output, a metric.
std::vector<NormBehindConvolution> norms_behind_convolutions(BuiltGraph* graph);

// The norm becomes the addition of `bias`, a tensor of its type, to `image`.
void become_bias_add(const NormBehindConvolution& found, const std::string& image, const std::string& bias,
                     tensorflow::NodeDef* norm);

// Channels of the result, by the shape of the weights: filters of depthwise convolutions have them in two dimensions.
int64_t channels_of(const tensorflow::TensorShape& weights, const tensorflow::NodeDef& convolution);

}  // namespace mox
