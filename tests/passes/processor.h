// What tests of passes ask of the processor and the environment.
#pragma once

#include <cstdlib>

#include "tensorflow/core/platform/cpu_info.h"

namespace mox::testing {

// Sets a variable of the environment while it lives.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Environment() { unsetenv(name_); }

 private:
  const char* name_;
};

// Whether convolutions of float32 are given away at all.
inline bool has_vectors() {
  return tensorflow::port::TestCPUFeature(tensorflow::port::AVX2) &&
         tensorflow::port::TestCPUFeature(tensorflow::port::FMA);
}
// With these none of bfloat16 are.
inline bool has_matrices() { return tensorflow::port::TestCPUFeature(tensorflow::port::AMX_BF16); }
// Whether gradients by filters other than 3x3 are given away in bfloat16.
inline bool has_pairs() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

}  // namespace mox::testing
