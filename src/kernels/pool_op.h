// What the operations of pooling share: attributes, shapes and threads.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "kernels/elements.h"
#include "kernels/pool_loops.h"
#include "tensorflow/core/framework/kernel_shape_util.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/threadpool.h"
#include "tensorflow/core/util/padding.h"

namespace mox::kernels {

namespace tf = tensorflow;

// Of the attributes ksize, strides and padding, as TensorFlow's poolings have them.
class PoolBase : public tf::OpKernel {
 public:
  explicit PoolBase(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("ksize", &window_));
    OP_REQUIRES_OK(context, context->GetAttr("strides", &strides_));
    OP_REQUIRES_OK(context, context->GetAttr("padding", &padding_));
    for (const std::vector<int32_t>* list : {&window_, &strides_}) {
      bool fits = list->size() == 4 && list->front() == 1 && list->back() == 1;
      for (const int32_t number : *list) fits = fits && number > 0;
      OP_REQUIRES(context, fits,
                  absl::InvalidArgumentError(fmt::format(
                      "{}: ksize and strides are [1, height, width, 1], all of them greater than 0", name())));
    }
  }

 protected:
  // How windows lie on images of this shape.
  absl::Status describe(const tf::TensorShape& images, Pooling* p) const {
    if (images.dims() != 4)
      return absl::InvalidArgumentError(
          fmt::format("{}: expected [batch, height, width, channels], got {}", name(), images.DebugString()));
    *p = {.height = images.dim_size(1),
          .width = images.dim_size(2),
          .channels = images.dim_size(3),
          .out_height = 0,
          .out_width = 0,
          .window_height = window_[1],
          .window_width = window_[2],
          .stride_down = strides_[1],
          .stride_across = strides_[2],
          .pad_top = 0,
          .pad_left = 0};
    TF_RETURN_IF_ERROR(lay(p->height, p->window_height, p->stride_down, &p->out_height, &p->pad_top));
    return lay(p->width, p->window_width, p->stride_across, &p->out_width, &p->pad_left);
  }

  static tf::TensorShape results_of(const tf::TensorShape& images, const Pooling& p) {
    return {images.dim_size(0), p.out_height, p.out_width, p.channels};
  }

  // Of an input that is as large as the results.
  absl::Status check_results(const char* what, const tf::Tensor& given, const tf::TensorShape& results) const {
    if (given.shape() == results) return absl::OkStatus();
    return absl::InvalidArgumentError(fmt::format("{}: the {} have shape {}, expected {}", name(), what,
                                                  given.shape().DebugString(), results.DebugString()));
  }

  // The shape of the images of which input 0 gives the sizes.
  absl::Status images_of(tf::OpKernelContext* context, tf::TensorShape* images) const {
    const tf::Tensor& sizes = context->input(0);
    if (sizes.dims() != 1 || sizes.NumElements() != 4)
      return absl::InvalidArgumentError(
          fmt::format("{}: expected four sizes, got {}", name(), sizes.shape().DebugString()));
    return tf::TensorShapeUtils::MakeShape(sizes.vec<int32_t>(), images);
  }

  // Calls work(begin, end) for ranges of `lines`, each of `numbers`, in the threads of the device: in this one where
  // there is less to do than waiting for others takes. Some more ranges than threads, since a thread may come late.
  static void for_lines(tf::OpKernelContext* context, int64_t lines, int64_t numbers,
                        const std::function<void(int64_t, int64_t)>& work) {
    constexpr int64_t kNumbers = 65536, kRanges = 8;  // in a range; for a thread
    const auto* threads = context->device()->tensorflow_cpu_worker_threads();
    const int64_t ranges =
        std::min(std::clamp<int64_t>(lines * numbers / kNumbers, 1, threads->num_threads * kRanges), lines);
    if (threads->num_threads == 1 || ranges <= 1) return work(0, lines);
    using Parameters = tf::thread::ThreadPool::SchedulingParams;
    threads->workers->ParallelFor(ranges, Parameters::Fixed(1), [&](int64_t first, int64_t last) {
      work(lines * first / ranges, lines * last / ranges);
    });
  }

 private:
  absl::Status lay(int64_t size, int64_t window, int64_t stride, int64_t* results, int64_t* pad) const {
    int64_t pad_after = 0;
    return tf::GetWindowedOutputSizeVerbose(size, window, 1, stride, padding_, results, pad, &pad_after);
  }

  std::vector<int32_t> window_, strides_;
  tf::Padding padding_ = tf::VALID;
};

}  // namespace mox::kernels
