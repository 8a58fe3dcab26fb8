// A pass for trainings on CPUs that lets convolutions pad their images themselves. A layer of slim's conv2d_same is a
// Pad, then a convolution with padding VALID: the padded image is written, read and kept for the gradient of the
// filter, and of the gradient of the padded image a Slice is taken.
//
//   Slice(Conv2DBackpropInput(Shape(Pad(x)), filter, dy)), the Pad's gradient
//     -> Conv2DBackpropInput(Shape(x), filter, dy) with padding EXPLICIT, under the Slice's name
//   Conv2D(Pad(x), filter), Conv2DBackpropFilter(Pad(x), _, dy), where nobody else reads the Pad
//     -> the same of x with padding EXPLICIT
//
// Paddings are constants, of height and width, smaller than the filter. TensorFlow has no oneDNN kernels for gradients
// with such paddings (its own take four to forty times as long): only where passes/fast_convolutions.h will compute
// them. The Pad and the gradient of the padded image stay, for who asks for them by name; nobody else runs them.
//
// In predictions, where a convolution alone reads a Pad, TensorFlow joins the two itself (_MklNativePadWithConv2D).
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Before make_convolutions_fast. Returns how many Slices and Pads went. Environment MOX_FAST_CONVOLUTIONS=0: none (to
// compare).
MOX_EXPORT int pad_in_convolutions(tensorflow::GraphDef* graph);

}  // namespace mox
