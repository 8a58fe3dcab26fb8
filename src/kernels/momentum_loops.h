// The arithmetic of an update by momentum, with the weight decay that is added to the gradient: plain loops that the
// compiler makes for several instruction sets. Memory limits them, so each number is read and written once.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace mox::kernels {

// `variable` and `accumulation` become the new ones, which may be the same memory.
struct MomentumUpdate {
  const float *variable, *accumulation, *gradient;
  float *new_variable, *new_accumulation;
  float rate, momentum, decay;
  bool use_nesterov;

  // Of the numbers from `first` on, but for the gradient.
  MomentumUpdate from(int64_t first) const {
    MomentumUpdate rest = *this;
    for (const float **p : {&rest.variable, &rest.accumulation}) *p += first;
    for (float **p : {&rest.new_variable, &rest.new_accumulation}) *p += first;
    return rest;
  }
};

// Of numbers [begin, end), rounded as TensorFlow's Mul, AddN and ResourceApplyMomentum round, one after the other.
void apply_momentum(const MomentumUpdate &update, int64_t begin, int64_t end);

}  // namespace mox::kernels
