#include "kernels/momentum_loops.h"

#include "base/for_each_cpu.h"

// Compiled with -O3 and without joined multiplications and additions (src/CMakeLists.txt).

namespace mox::kernels {
namespace {

template <bool kNesterov>
inline __attribute__((always_inline)) void apply(const MomentumUpdate &u, int64_t begin, int64_t end) {
  const float *variable = u.variable, *accumulation = u.accumulation, *__restrict gradient = u.gradient;
  float *new_variable = u.new_variable, *new_accumulation = u.new_accumulation;
  const float rate = u.rate, momentum = u.momentum, decay = u.decay;
#pragma GCC ivdep
  for (int64_t i = begin; i < end; ++i) {
    const float g = gradient[i] + variable[i] * decay;
    const float a = accumulation[i] * momentum + g;
    new_accumulation[i] = a;
    new_variable[i] = variable[i] - (kNesterov ? g * rate + a * momentum * rate : a * rate);
  }
}

}  // namespace

MOX_FOR_EACH_CPU void apply_momentum(const MomentumUpdate &update, int64_t begin, int64_t end) {
  if (update.use_nesterov)
    apply<true>(update, begin, end);
  else
    apply<false>(update, begin, end);
}

}  // namespace mox::kernels
