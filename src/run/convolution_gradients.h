// TensorFlow's C++ gradients of Conv2D and DepthwiseConv2dNative forget their dilations and explicit paddings: they
// would be those of another convolution, without a word.
#pragma once

#include "tensorflow/core/graph/graph.h"

namespace mox {

// Gives the gradients of convolutions among nodes from number `first` on what the convolution has. Throws
// InvalidArgumentError where two convolutions of one image and one filter differ in it: which of them a gradient
// belongs to is not to be seen then; and for a DepthwiseConv2dNative with dilations, which TensorFlow's kernels of
// gradients leave out.
void complete_convolution_gradients(tensorflow::Graph* graph, int first);

}  // namespace mox
