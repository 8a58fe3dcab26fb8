// What the files of kernels/convolution.h share: arguments are as there.
#pragma once

#include "kernels/convolution.h"

namespace mox::kernels {

constexpr Epilogue kNothing{nullptr, -__builtin_inff(), __builtin_inff()};

inline int64_t round_up(int64_t n, int64_t of) { return (n + of - 1) / of * of; }

// [rows][columns] -> [columns][rows]; both are multiples of kLanes.
void transpose(const float* from, int64_t rows, int64_t columns, float* to, const Resources& on);

// 3x3 filters with stride 1, by Winograd's transforms.
template <typename T>
void winograd(const Convolution& c, const T* x, const float* filter, const Epilogue& epilogue, T* y, const Resources& on);
template <typename T>
void winograd_input_gradient(const Convolution& c, const float* filter, const T* dy, T* dx, const Resources& on);
template <typename T>
void winograd_filter_gradient(const Convolution& c, const T* x, const T* dy, float* dfilter, const Resources& on);

}  // namespace mox::kernels
