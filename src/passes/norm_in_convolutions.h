// A pass that lets our convolutions do what batch norm needs of their results while these are still in a cache
// (kernels/convolution_ops.cc): a step of a residual network is bound by memory, and batch norm reads each image anew.
//
//   MoxMoments(MoxConvolution), a 1x1 filter with any stride, or of MoxDepthwiseConvolution
//     -> the convolution's own outputs 1 to 3
//   MoxNormalizeGrad(MoxConvolutionInputGradient [, more_dy]), a 1x1 filter or a stride of 2 or more (tells_rows in
//   convolutions/convolution.h), whose result nobody else reads, or of MoxDepthwiseConvolutionInputGradient
//     -> MoxConvolutionNormalizeGrad, MoxDepthwiseConvolutionNormalizeGrad
//   more_dy of a 1x1 filter with a larger stride (a residual network's shortcut), whose result nobody else reads: most
//   of it is 0
//     -> without these, of a MoxConvolutionInputGradient that is compact
//
// The results are the same but for rounding. MoxMoments and the gradients of inputs stay, for who asks for them by
// name; nobody else runs them.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// After fuse_batch_norm and make_convolutions_fast, which make what it looks for. Returns how many statistics and
// gradients of batch norms were moved. Environment MOX_NORM_IN_CONVOLUTIONS=0: none (to compare).
MOX_EXPORT int compute_norms_in_convolutions(tensorflow::GraphDef* graph);

}  // namespace mox
