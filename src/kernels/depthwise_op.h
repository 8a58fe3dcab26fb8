// What the operations of depthwise convolutions share beside kernels/convolution_op.h.
#pragma once

#include "convolutions/depthwise.h"
#include "kernels/convolution_op.h"

namespace mox::kernels {

// Of a filter [size, size, channels, 1]; as Window::describe.
inline absl::Status describe_depthwise(const Window& window, const tf::OpKernel& kernel, tf::DataType type,
                                       const tf::TensorShape& x, const tf::TensorShape& filter,
                                       convolutions::Depthwise* d) {
  const auto depthwise_of = [](const convolutions::Convolution& c) {
    return convolutions::Depthwise{c.batch,     c.height,        c.width,  c.channels, c.out_height,
                                   c.out_width, c.filter_height, c.stride, c.pad_top,  c.pad_left};
  };
  convolutions::Convolution c;
  TF_RETURN_IF_ERROR(window.describe(
      kernel, type, x, filter,
      [&](const convolutions::Convolution& one) {
        return one.filters == 1 && one.filter_height == one.filter_width && is_fast(depthwise_of(one));
      },
      &c));
  *d = depthwise_of(c);
  return absl::OkStatus();
}

}  // namespace mox::kernels
