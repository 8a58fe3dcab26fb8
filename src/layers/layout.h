// NCHW where there are only NHWC kernels: everywhere but in a graph placed on a GPU. Private to the layers.
#pragma once

#include <string>
#include <vector>

#include "moxing/scope.h"

namespace mox {

// Takes an image tensor to the format that kernels have here, and results back. In between, work in `format`.
class NativeLayout {
 public:
  // InvalidArgumentError for a data_format that is neither NHWC nor NCHW, or an input without four dimensions.
  NativeLayout(const Scope& scope, const tensorflow::Output& inputs, const std::string& data_format);

  const tensorflow::Output& inputs() const { return inputs_; }
  const std::string& format() const { return format_; }
  int channel_axis() const { return format_ == "NHWC" ? 3 : 1; }
  int height_axis() const { return format_ == "NHWC" ? 1 : 2; }
  tensorflow::Output finish(const Scope& scope, const tensorflow::Output& output) const;

 private:
  tensorflow::Output inputs_;
  std::string format_;
  bool transposed_ = false;
};

void check_data_format(const std::string& data_format);
// The NHWC tensor that our own transpose made `x` from; a null Output for every other tensor.
tensorflow::Output before_transpose(const tensorflow::Output& x);
// Channels of a tensor whose last (NHWC) or second (NCHW) dimension they are; InvalidArgumentError when unknown.
int64_t channels_of(const Scope& scope, const tensorflow::Output& x, int axis, const std::string& layer);
tensorflow::Output int_vector(const Scope& scope, const std::vector<int>& values);

}  // namespace mox
