// A pass for fully connected layers that are written as convolutions, as TF-slim's VGG, AlexNet and OverFeat have them.
//
// A convolution whose filter covers the whole image is one product of matrices, and so are its gradients. oneDNN's
// convolutions bring large filters into a layout of their own and their gradients back, in every step: for VGG's fc6,
// 392 MiB each, two at a time. The product takes them as they lie.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Convolutions and their gradients that become products, under the same names. Graphs without a filter of four million
// weights, which is where it pays, are not looked at. Returns how many.
MOX_EXPORT int make_dense_convolutions_products(tensorflow::GraphDef* graph);

}  // namespace mox
