// A pass that normalises an image where convolutions read it, so that nobody writes the result and reads it again:
//
//   MoxNormalize with nothing at the side, read by nothing but MoxConvolution and MoxConvolutionFilterGradient with 1x1
//   filters and stride 1, in float32 by MoxDepthwiseConvolution and its filter's gradient
//     -> these read what was normalised, and the norm's vectors
//
// The results are the same but for rounding of float32. MoxNormalize stays, for who asks for it by name.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// After fuse_batch_norm and make_convolutions_fast, which make what it looks for. Returns how many norms nobody
// computes for itself any longer. Environment MOX_NORM_IN_CONVOLUTIONS=0: none (to compare).
MOX_EXPORT int normalize_where_read(tensorflow::GraphDef* graph);

}  // namespace mox
