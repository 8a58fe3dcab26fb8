// What the operations of convolutions share: attributes, shapes, threads and scratch memory.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <type_traits>
#include <vector>

#include "convolutions/convolution.h"
#include "kernels/elements.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/kernel_shape_util.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/platform/threadpool.h"
#include "tensorflow/core/util/padding.h"

namespace mox::kernels {

namespace tf = tensorflow;

// Those above, below, left and right of an image: of the attribute "explicit_paddings", as Conv2D has it, where the
// padding is EXPLICIT; else 0.
struct Paddings {
  int64_t top = 0, bottom = 0, left = 0, right = 0;
};
template <typename Context>
absl::Status explicit_paddings(const Context& context, tf::Padding padding, Paddings* paddings) {
  std::vector<int64_t> list;
  if (padding != tf::EXPLICIT) return absl::OkStatus();
  TF_RETURN_IF_ERROR(context.GetAttr("explicit_paddings", &list));
  TF_RETURN_IF_ERROR(tf::CheckValidPadding(padding, list, 4, tf::FORMAT_NHWC));
  *paddings = {list[2], list[3], list[4], list[5]};
  return absl::OkStatus();
}

// Of images and a filter, inputs 0 and 1.
inline absl::Status shape_of_output(tf::shape_inference::InferenceContext* c) {
  tf::shape_inference::ShapeHandle x, filter;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &filter));
  tf::Padding padding;
  int64_t stride = 1;
  TF_RETURN_IF_ERROR(c->GetAttr("padding", &padding));
  TF_RETURN_IF_ERROR(c->GetAttr("stride", &stride));
  Paddings paddings;
  TF_RETURN_IF_ERROR(explicit_paddings(*c, padding, &paddings));
  tf::shape_inference::DimensionHandle sizes[2];
  for (int i = 0; i < 2; ++i)
    TF_RETURN_IF_ERROR(tf::shape_inference::GetWindowedOutputSizeFromDimsV2(
        c, c->Dim(x, 1 + i), c->Dim(filter, i), 1, stride, padding, i == 0 ? paddings.top : paddings.left,
        i == 0 ? paddings.bottom : paddings.right, &sizes[i]));
  c->set_output(0, c->MakeShape({c->Dim(x, 0), sizes[0], sizes[1], c->Dim(filter, 3)}));
  return absl::OkStatus();
}

// That which input kInput says.
template <int kInput>
absl::Status shape_of_sizes(tf::shape_inference::InferenceContext* c) {
  tf::shape_inference::ShapeHandle shape;
  TF_RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(kInput, &shape));
  TF_RETURN_IF_ERROR(c->WithRank(shape, 4, &shape));
  c->set_output(0, shape);
  return absl::OkStatus();
}

// A shape of four sizes, as a gradient gets it.
inline absl::Status shape_of(const tf::Tensor& sizes, tf::TensorShape* shape) {
  if (sizes.dims() != 1 || sizes.NumElements() != 4)
    return absl::InvalidArgumentError("convolution: expected four sizes, got " + sizes.shape().DebugString());
  return tf::TensorShapeUtils::MakeShape(sizes.vec<int32_t>(), shape);
}

// Scratch memory and threads of one computation.
class Work {
 public:
  explicit Work(tf::OpKernelContext* context) : context_(context) {}

  convolutions::Resources resources() {
    tf::thread::ThreadPool* pool = context_->device()->tensorflow_cpu_worker_threads()->workers;
    return {*convolutions::convolution_loops(), context_->device()->tensorflow_cpu_worker_threads()->num_threads,
            [pool](int64_t parts, const std::function<void(int64_t)>& work) {
              if (parts == 1) return work(0);
              pool->ParallelFor(parts, tf::thread::ThreadPool::SchedulingParams::Fixed(1),
                                [&](int64_t first, int64_t last) {
                                  for (int64_t part = first; part < last; ++part) work(part);
                                });
            },
            [this](int64_t count) { return scratch(count); }};
  }
  float* scratch(int64_t count) {
    tf::Tensor tensor;
    const absl::Status status = context_->allocate_temp(tf::DT_FLOAT, {count}, &tensor);
    if (!status.ok()) throw status;
    kept_.push_back(tensor);
    return tensor.flat<float>().data();
  }

 private:
  tf::OpKernelContext* context_;
  std::vector<tf::Tensor> kept_;
};

// Calls compute(Work*); no memory for it is an error of the operation.
template <typename Compute>
void with_work(tf::OpKernelContext* context, const Compute& compute) {
  Work work(context);
  try {
    compute(&work);
  } catch (const absl::Status& status) {
    context->SetStatus(status);
  }
}

// A filter or a bias, which is computed with in float32.
template <typename T>
const float* widened(const tf::Tensor& tensor, Work* work) {
  if constexpr (std::is_same_v<T, float>) {
    return tensor.flat<float>().data();
  } else {
    float* to = work->scratch(tensor.NumElements());
    const auto from = tensor.flat<T>();
    for (int64_t i = 0; i < tensor.NumElements(); ++i) to[i] = static_cast<float>(from(i));
    return to;
  }
}

// How a filter goes over an image. `groups`: of channels; the filter has the channels of one (1: all).
class Window {
 public:
  // Of an operation's attributes: "padding", "stride" and, where there are any, "explicit_paddings" and "groups".
  absl::Status load(tf::OpKernelConstruction* context) {
    if (context->HasAttr("groups")) TF_RETURN_IF_ERROR(context->GetAttr("groups", &groups_));
    TF_RETURN_IF_ERROR(context->GetAttr("padding", &padding_));
    TF_RETURN_IF_ERROR(explicit_paddings(*context, padding_, &paddings_));
    TF_RETURN_IF_ERROR(context->GetAttr("stride", &stride_));
    if (convolutions::convolution_loops()) return absl::OkStatus();
    return absl::UnimplementedError("convolution: this processor has neither AVX2 nor AVX-512");
  }

  // is_fast: whether there is a kernel for it; nothing is known of its outputs then. `kernel`: the operation and its
  // type, for errors.
  absl::Status describe(const tf::OpKernel& kernel, tf::DataType type, const tf::TensorShape& x,
                        const tf::TensorShape& filter,
                        const std::function<bool(const convolutions::Convolution&)>& is_fast,
                        convolutions::Convolution* c) const {
    if (x.dims() != 4 || filter.dims() != 4 || x.dim_size(3) != filter.dim_size(2) * groups_)
      return absl::InvalidArgumentError(fmt::format(
          "convolution: expected [batch, height, width, channels] and [height, width, channels{}, filters], "
          "got {} and {}; MOX_FAST_CONVOLUTIONS=0 leaves convolutions to TensorFlow",
          groups_ == 1 ? "" : fmt::format(" / {}", groups_), x.DebugString(), filter.DebugString()));
    *c = {.batch = x.dim_size(0),
          .height = x.dim_size(1),
          .width = x.dim_size(2),
          .channels = x.dim_size(3),
          .filters = filter.dim_size(3),
          .filter_height = filter.dim_size(0),
          .filter_width = filter.dim_size(1),
          .stride = stride_};
    if (!is_fast(*c))
      return absl::InvalidArgumentError(fmt::format("{}: no kernel for images {} and a filter {} with stride {} in {}",
                                                    kernel.type_string(), x.DebugString(), filter.DebugString(),
                                                    stride_, tf::DataTypeString(type)));
    if (!convolutions::takes_paddings(*c, paddings_.top, paddings_.bottom, paddings_.left, paddings_.right))
      return absl::InvalidArgumentError(
          fmt::format("{}: no kernel for a filter {} and paddings of {}, {}, {} and {} above, below, left and right",
                      kernel.type_string(), filter.DebugString(), paddings_.top, paddings_.bottom, paddings_.left,
                      paddings_.right));
    Paddings of = paddings_;
    TF_RETURN_IF_ERROR(tf::GetWindowedOutputSizeVerbose(c->height, c->filter_height, 1, stride_, padding_,
                                                        &c->out_height, &of.top, &of.bottom));
    TF_RETURN_IF_ERROR(tf::GetWindowedOutputSizeVerbose(c->width, c->filter_width, 1, stride_, padding_, &c->out_width,
                                                        &of.left, &of.right));
    c->pad_top = of.top;
    c->pad_left = of.left;
    return absl::OkStatus();
  }

  int64_t groups() const { return groups_; }

 private:
  tf::Padding padding_ = tf::VALID;
  Paddings paddings_;
  int64_t stride_ = 1, groups_ = 1;
};

template <typename T>
class ConvolutionBase : public tf::OpKernel {
 public:
  explicit ConvolutionBase(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, window_.load(context));
  }

 protected:
  // As Window::describe.
  absl::Status describe(const tf::TensorShape& x, const tf::TensorShape& filter,
                        const std::function<bool(const convolutions::Convolution&)>& is_fast,
                        convolutions::Convolution* c) const {
    return window_.describe(*this, tf::DataTypeToEnum<T>::value, x, filter, is_fast, c);
  }

  static tf::TensorShape output_shape(const convolutions::Convolution& c) {
    return {c.batch, c.out_height, c.out_width, c.filters};
  }

  static absl::Status check_gradient(const convolutions::Convolution& c, const tf::Tensor& dy) {
    if (dy.shape() == output_shape(c)) return absl::OkStatus();
    return absl::InvalidArgumentError(fmt::format("gradient of a convolution: expected {}, got {}",
                                                  output_shape(c).DebugString(), dy.shape().DebugString()));
  }

  // Calls compute(sums) with memory for as many floats as `to` has elements, and brings them there: float32 or
  // bfloat16.
  template <typename Compute>
  static void with_sums(Work* work, tf::Tensor* to, const Compute& compute) {
    if (to->dtype() == tf::DT_FLOAT) return compute(to->flat<float>().data());
    constexpr int64_t kBlock = 16 * 1024;
    const int64_t count = to->NumElements();
    float* sums = work->scratch(count);
    compute(sums);
    auto* rounded = to->flat<Eigen::bfloat16>().data();
    work->resources().run((count + kBlock - 1) / kBlock, [&](int64_t part) {
      for (int64_t i = part * kBlock; i < std::min(count, (part + 1) * kBlock); ++i)
        rounded[i] = static_cast<Eigen::bfloat16>(sums[i]);
    });
  }

  int64_t groups() const { return window_.groups(); }
  const Window& window() const { return window_; }

 private:
  Window window_;
};

}  // namespace mox::kernels
