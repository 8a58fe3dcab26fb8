// Compiled for AVX2 and FMA (src/CMakeLists.txt): 6 rows of 2 vectors are 12 of its 16 registers.
#if defined(__x86_64__)
#define MOX_LANES 8
#define MOX_ROWS 6
#include "convolutions/loops_any.h"

const mox::convolutions::ConvolutionLoops* mox::convolutions::convolution_loops_avx2() { return &kLoops; }
#endif
