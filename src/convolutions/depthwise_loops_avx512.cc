// Compiled for AVX-512 (src/CMakeLists.txt): 8 pixels, a row of the filter and what they meet are at most 16 of its 32
// registers.
#if defined(__x86_64__)
#define MOX_LANES 16
#define MOX_PIXELS 8
#include "convolutions/depthwise_loops_any.h"

const mox::convolutions::DepthwiseLoops* mox::convolutions::depthwise_loops_avx512() { return &kDepthwise; }
#endif
