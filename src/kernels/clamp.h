// What follows a normalisation or a convolution: min(max(v, floor), ceiling); its gradient passes strictly in between.
#pragma once

#include <limits>
#include <string>

namespace mox::kernels {

struct Clamp {
  float floor, ceiling;
};

// Of "", "Relu" and "Relu6".
inline Clamp clamp_of(const std::string& activation) {
  constexpr float kNone = std::numeric_limits<float>::infinity();
  if (activation.empty()) return {-kNone, kNone};
  return {0, activation == "Relu6" ? 6 : kNone};
}

}  // namespace mox::kernels
