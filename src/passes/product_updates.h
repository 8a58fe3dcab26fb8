// A pass that joins the update of a fully connected layer's weights with the product that is their gradient.
//
//   ResourceApplyMomentum(var, accum, lr, MatMul(left^T, right), momentum), or ResourceApplyDecayedMomentum
//     -> ResourceApplyProductMomentum(var, accum, lr, left, right, momentum, [decay])
//
// float32, on one device, where nobody else reads the product; it may be reshaped on the way, as that of a layer that
// is written as a convolution. The gradient is as large as the weights and is written, and read again, for this one
// use: LeNet's fc3 has 3.2 million, VGG's fc6 103 million. Sums are in another order than TensorFlow's.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// After what looks for products or for updates. Returns how many updates were joined. Environment
// MOX_PRODUCT_UPDATES=0: none (to compare).
MOX_EXPORT int join_products_with_updates(tensorflow::GraphDef* graph);

}  // namespace mox
