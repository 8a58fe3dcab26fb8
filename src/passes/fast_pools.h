// A pass that gives gradients of poolings on CPUs to our own kernels (kernels/pool_ops.cc): those of AvgPool, and
// MaxPool with its own, of float32 and bfloat16, NHWC, over height and width, with padding SAME or VALID. Others stay
// TensorFlow's, and so does what has no gradient, where oneDNN is as fast. docs/design.md has the figures.
//
// MaxPool says where its maxima were, so that these read neither its input nor its result. Where
// nothing but a ReLU's gradient reads them, and the pool is the ReLU's, they compute that as well.
// MOX_FAST_POOLS=0 leaves all to TensorFlow, to compare.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Returns how many poolings and gradients of poolings were given away.
MOX_EXPORT int make_pools_fast(tensorflow::GraphDef* graph);

}  // namespace mox
