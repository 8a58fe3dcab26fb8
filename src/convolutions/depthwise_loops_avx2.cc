// Compiled for AVX2 and FMA (src/CMakeLists.txt): 8 pixels, a row of the filter and what they meet are at most 16
// registers, as many as it has.
#if defined(__x86_64__)
#define MOX_LANES 8
#define MOX_PIXELS 8
#include "convolutions/depthwise_loops_any.h"

const mox::convolutions::DepthwiseLoops* mox::convolutions::depthwise_loops_avx2() { return &kDepthwise; }
#endif
