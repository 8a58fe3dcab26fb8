// What tests of convolutions with 1x1 filters, and of gradients of inputs with a stride, compute: y and dx of both
// types, and what they may be.
#pragma once

#include <cmath>

#include "convolutions/convolution_reference.h"

namespace mox::convolutions::testing {

constexpr Direction kPointwiseDirections[] = {Direction::kForward, Direction::kInputGradient};

// The numbers, which are those of T.
template <typename T>
Guarded<T> in_type(const Guarded<float>& values) {
  Guarded<T> to(values.size());
  for (int64_t i = 0; i < values.size(); ++i) to[i] = from_float<T>(values[i]);
  return to;
}

template <typename T>
bool computes_pointwise(Direction direction, const Convolution& c, const ConvolutionLoops& loops) {
  return is_fast(direction, c, sizeof(T) == 4) && (sizeof(T) == 4 || loops.multiply_pairs);
}

template <typename T>
std::string name_of(const LoopsOf& of, const Data<T>& data, Direction direction) {
  return of.name + (sizeof(T) == 2 ? " of bfloat16: " : ": ") + text(data.shape) +
         (direction == Direction::kForward ? ", y" : ", dx");
}

// Calls check(direction, loops) for all that computes a convolution.
template <typename T, typename Check>
void for_pointwise(const Convolution& c, const Check& check) {
  for (const Direction direction : kPointwiseDirections)
    for (const LoopsOf& of : loops_of_this_machine())
      if (computes_pointwise<T>(direction, c, *of.loops)) check(direction, of);
}

struct PointwiseCall {
  int64_t threads = 2;
  Epilogue epilogue = {};  // of y
  RowsDone done = {};
  Algorithm algorithm = Algorithm::kPointwise;  // of y
};

// y or dx into `to`, of the result's size: who looks at its rows knows where they come.
template <typename T>
void compute_pointwise(Direction direction, const Data<T>& data, const ConvolutionLoops& loops,
                       const PointwiseCall& call, Guarded<T>* to) {
  const Convolution& c = data.c;
  const Guarded<T> filter = in_type<T>(data.filter);
  on_threads(loops, call.threads, [&](const Resources& on) {
    if (direction == Direction::kInputGradient)
      return gradient_of_input(c, filter.data(), data.dy.data(), to->data(), call.done, on);
    Guarded<float> packed(packed_size(c, call.algorithm, on, sizeof(T) == 4));
    pack(c, call.algorithm, filter.data(), packed.data(), on);
    convolve(c, call.algorithm, data.x.data(), Prologue{}, packed.data(), call.epilogue, to->data(), call.done, on);
  });
}

template <typename T>
int64_t size_of_result(Direction direction, const Data<T>& data) {
  return direction == Direction::kForward ? data.dy.size() : data.x.size();
}

template <typename T>
Guarded<T> compute_pointwise(Direction direction, const Data<T>& data, const ConvolutionLoops& loops,
                             const PointwiseCall& call = {}) {
  Guarded<T> to(size_of_result(direction, data));
  compute_pointwise(direction, data, loops, call, &to);
  EXPECT_TRUE(to.is_end_untouched()) << text(data.shape) << ": written beyond the end";
  return to;
}

// Whether `got` is what the sum may round to: numbers that differ from it by no more than `bound` do.
template <typename T>
bool is_rounded(T got, double sum, double bound) {
  const float low = to_float(from_float<T>(static_cast<float>(sum - bound))),
              high = to_float(from_float<T>(static_cast<float>(sum + bound)));
  return low <= to_float(got) && to_float(got) <= high;  // never of a NaN
}

// `wanted`: some rows of it. What is not written is a NaN, which is no row's.
template <typename T>
void expect_rows(const Guarded<T>& got, const Wanted& wanted, const std::string& name) {
  int64_t wrong = 0, not_finite = 0;
  std::string first;
  for (int64_t i = 0; i < got.size(); ++i) not_finite += !std::isfinite(to_float(got[i]));
  for (size_t n = 0; n < wanted.rows.size(); ++n) {
    const Sums& sums = wanted.sums[n];
    const auto columns = static_cast<int64_t>(sums.values.size());
    for (int64_t i = 0; i < columns; ++i) {
      const T found = got[wanted.rows[n] * columns + i];
      if (is_rounded(found, sums.values[i], kBound * sums.magnitudes[i]) || wrong++ > 0) continue;
      first = "row " + std::to_string(wanted.rows[n]) + ", column " + std::to_string(i) + ": expected " +
              std::to_string(sums.values[i]) + ", got " + std::to_string(to_float(found));
    }
  }
  EXPECT_EQ(not_finite, 0) << name;
  EXPECT_EQ(wrong, 0) << name << ": " << first;
}

}  // namespace mox::convolutions::testing
