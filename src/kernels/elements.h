// A tensor's elements as our loops take them: float, and bfloat16 as its bits.
#pragma once

#include <cstdint>
#include <type_traits>

#include "tensorflow/core/framework/tensor.h"

namespace mox::kernels {

template <typename T>
using Element = std::conditional_t<std::is_same_v<T, Eigen::bfloat16>, uint16_t, float>;

template <typename T>
const Element<T>* elements(const tensorflow::Tensor& t) {
  return reinterpret_cast<const Element<T>*>(t.flat<T>().data());
}
template <typename T>
Element<T>* elements(tensorflow::Tensor* t) {
  return reinterpret_cast<Element<T>*>(t->flat<T>().data());
}

}  // namespace mox::kernels
