// A double in a graph, so that a schedule's formula is written once and runs as C++ and as graph code. Private.
#pragma once

#include <algorithm>
#include <cmath>

#include "moxing/scope.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {

struct GraphNumber {
  Scope scope;
  tensorflow::Output tensor;  // a double scalar

  GraphNumber like(double value) const { return {scope, tensorflow::ops::Const(scope, value)}; }
};

inline GraphNumber operator+(const GraphNumber& a, const GraphNumber& b) {
  return {a.scope, tensorflow::ops::Add(a.scope, a.tensor, b.tensor)};
}
inline GraphNumber operator*(const GraphNumber& a, const GraphNumber& b) {
  return {a.scope, tensorflow::ops::Multiply(a.scope, a.tensor, b.tensor)};
}
inline GraphNumber operator+(const GraphNumber& a, double b) { return a + a.like(b); }
inline GraphNumber operator*(const GraphNumber& a, double b) { return a * a.like(b); }
inline GraphNumber clamp(const GraphNumber& x, double low, double high) {
  namespace ops = tensorflow::ops;
  return {x.scope, ops::Maximum(x.scope, ops::Minimum(x.scope, x.tensor, high), low)};
}
inline GraphNumber cosine(const GraphNumber& x) { return {x.scope, tensorflow::ops::Cos(x.scope, x.tensor)}; }
inline GraphNumber power(const GraphNumber& x, double exponent) {
  return exponent == 1 ? x : GraphNumber{x.scope, tensorflow::ops::Pow(x.scope, x.tensor, exponent)};
}
inline GraphNumber if_below(const GraphNumber& x, double limit, const GraphNumber& then, const GraphNumber& otherwise) {
  namespace ops = tensorflow::ops;
  return {x.scope, ops::SelectV2(x.scope, ops::Less(x.scope, x.tensor, limit), then.tensor, otherwise.tensor)};
}

inline double clamp(double x, double low, double high) { return std::clamp(x, low, high); }
inline double cosine(double x) { return std::cos(x); }
inline double power(double x, double exponent) { return std::pow(x, exponent); }
inline double if_below(double x, double limit, double then, double otherwise) { return x < limit ? then : otherwise; }

}  // namespace mox
