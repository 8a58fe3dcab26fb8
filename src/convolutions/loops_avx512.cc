// Compiled for AVX-512 (src/CMakeLists.txt): 12 rows of 2 vectors are 24 of its 32 registers.
#if defined(__x86_64__)
#define MOX_LANES 16
#define MOX_ROWS 12
#include "convolutions/loops_any.h"

const mox::convolutions::ConvolutionLoops* mox::convolutions::convolution_loops_avx512() { return &kLoops; }
#endif
