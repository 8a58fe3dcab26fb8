#include "convolutions/loops.h"

#include "convolutions/depthwise_loops.h"

namespace mox::convolutions {

const ConvolutionLoops* convolution_loops() {
#if defined(__x86_64__)
  static const ConvolutionLoops* loops = [] {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
      return __builtin_cpu_supports("avx512bf16") ? convolution_loops_avx512_bfloat16() : convolution_loops_avx512();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? convolution_loops_avx2() : nullptr;
  }();
  return loops;
#else
  return nullptr;
#endif
}

const DepthwiseLoops* depthwise_loops() {
#if defined(__x86_64__)
  const ConvolutionLoops* loops = convolution_loops();
  if (!loops) return nullptr;
  return loops == convolution_loops_avx2() ? depthwise_loops_avx2() : depthwise_loops_avx512();
#else
  return nullptr;
#endif
}

}  // namespace mox::convolutions
