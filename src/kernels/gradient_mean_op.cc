// MoxGradientMean: the mean of the gradients that workers push to a parameter server, as TensorFlow's conditional
// accumulators have it. Those copy the first gradient, add the others to it, and divide: of 100 MB from two workers 700
// MB of memory traffic. This keeps what was pushed and adds it up once, when it is taken: 300 MB.
#include <algorithm>
#include <deque>
#include <limits>

#include "base/mutex.h"
#include "tensorflow/core/framework/cancellation.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;

REGISTER_OP("MoxGradientMean")
    .Output("handle: resource")
    .Attr("container: string = ''")
    .Attr("shared_name: string = ''")
    .SetIsStateful()
    .SetShapeFn(tf::shape_inference::ScalarShape);

// From now on gradients of this step count, and of later ones.
REGISTER_OP("MoxSetGradientStep")
    .Input("handle: resource")
    .Input("step: int64")
    .SetIsStateful()
    .SetShapeFn(tf::shape_inference::NoOutputs);

// `step`: for which the gradient was computed. Too late, it is dropped.
REGISTER_OP("MoxPushGradient")
    .Input("handle: resource")
    .Input("step: int64")
    .Input("gradient: dtype")
    .Attr("dtype: {float, double}")
    .SetIsStateful()
    .SetShapeFn(tf::shape_inference::NoOutputs);

// Waits until `needed` gradients are there, and takes all that are. The next step begins.
REGISTER_OP("MoxTakeGradient")
    .Input("handle: resource")
    .Input("needed: int32")
    .Output("mean: dtype")
    .Attr("dtype: {float, double}")
    .SetIsStateful()
    .SetShapeFn(tf::shape_inference::UnknownShape);

// Its input. For what another process takes.
REGISTER_OP("MoxHandOver")
    .Input("value: dtype")
    .Output("same: dtype")
    .Attr("dtype: type")
    .SetIsStateful()
    .SetShapeFn(tf::shape_inference::UnchangedShape);

using Done = tf::AsyncOpKernel::DoneCallback;
using Gradients = std::vector<tf::Tensor>;

// As ((a + b) + c) / 3, in pieces that stay in the cache.
template <typename T>
void add_up(const Gradients& gradients, T* mean, int64_t begin, int64_t end) {
  constexpr int64_t kPiece = 4096;
  const T count = static_cast<T>(gradients.size());
  for (int64_t from = begin; from < end; from += kPiece) {
    const int64_t to = std::min(end, from + kPiece);
    const T* const a = gradients[0].flat<T>().data();
    const T* const b = gradients[1].flat<T>().data();
    for (int64_t i = from; i < to; ++i) mean[i] = a[i] + b[i];
    for (size_t k = 2; k < gradients.size(); ++k) {
      const T* const c = gradients[k].flat<T>().data();
      for (int64_t i = from; i < to; ++i) mean[i] += c[i];
    }
    for (int64_t i = from; i < to; ++i) mean[i] /= count;
  }
}

template <typename T>
void set_mean(tf::OpKernelContext* context, const Gradients& gradients) {
  tf::Tensor* mean = nullptr;
  if (const absl::Status status = context->allocate_output(0, gradients[0].shape(), &mean); !status.ok())
    return context->SetStatus(status);
  T* const data = mean->flat<T>().data();
  const auto* threads = context->device()->tensorflow_cpu_worker_threads();
  const auto cost = static_cast<int64_t>(2 * gradients.size());  // cycles an element
  tf::Shard(threads->num_threads, threads->workers, mean->NumElements(), cost,
            [&](int64_t begin, int64_t end) { add_up(gradients, data, begin, end); });
}

class GradientMean : public tf::ResourceBase {
 public:
  std::string DebugString() const override { return "MoxGradientMean"; }

  void set_step(int64_t step) {
    const MutexLock lock(mutex_);
    step_ = step;
  }

  absl::Status push(int64_t step, const tf::Tensor& gradient) {
    {
      const MutexLock lock(mutex_);
      if (step < step_) return absl::OkStatus();
      if (!gradients_.empty() && gradients_[0].shape() != gradient.shape())
        return absl::InvalidArgumentError("gradients of shape " + gradients_[0].shape().DebugString() + " and " +
                                          gradient.shape().DebugString() + " have no mean");
      gradients_.push_back(gradient);
    }
    serve();
    return absl::OkStatus();
  }

  // The resource is kept until `done`.
  void take(int needed, tf::OpKernelContext* context, Done done) {
    tf::CancellationManager* const cancellation = context->cancellation_manager();
    const tf::CancellationToken token = cancellation->get_cancellation_token();
    bool waits = true;
    {
      const MutexLock lock(mutex_);
      Ref();
      waits = cancellation->RegisterCallback(token, [this, token] { cancel(token); });
      if (waits) takers_.push_back({needed, context, done, token});
    }
    if (waits) return serve();
    finish({needed, context, std::move(done), token}, absl::CancelledError("the step has ended"));
  }

 private:
  struct Taker {
    int needed = 0;
    tf::OpKernelContext* context = nullptr;
    Done done;
    tf::CancellationToken token = 0;
  };

  void serve() {
    Taker taker;
    Gradients gradients;
    {
      const MutexLock lock(mutex_);
      if (takers_.empty() || gradients_.empty() || gradients_.size() < static_cast<size_t>(takers_.front().needed))
        return;
      taker = std::move(takers_.front());
      takers_.pop_front();
      gradients.swap(gradients_);
      ++step_;
    }
    taker.context->cancellation_manager()->DeregisterCallback(taker.token);
    if (gradients.size() == 1)
      taker.context->set_output(0, gradients[0]);
    else if (gradients[0].dtype() == tf::DT_FLOAT)
      set_mean<float>(taker.context, gradients);
    else
      set_mean<double>(taker.context, gradients);
    finish(taker, absl::OkStatus());
  }

  void cancel(tf::CancellationToken token) {
    Taker taker;
    {
      const MutexLock lock(mutex_);
      const auto found =
          std::find_if(takers_.begin(), takers_.end(), [token](const Taker& t) { return t.token == token; });
      if (found == takers_.end()) return;
      taker = std::move(*found);
      takers_.erase(found);
      // The run whose step this was comes together anew, with other names: nothing more is taken here.
      step_ = std::numeric_limits<int64_t>::max();
      gradients_.clear();
    }
    finish(taker, absl::CancelledError("the step has ended"));
  }

  void finish(const Taker& taker, const absl::Status& status) {
    if (!status.ok()) taker.context->SetStatus(status);
    taker.done();
    Unref();
  }

  Mutex mutex_;
  int64_t step_ MOX_GUARDED_BY(mutex_) = 0;
  Gradients gradients_ MOX_GUARDED_BY(mutex_);
  std::deque<Taker> takers_ MOX_GUARDED_BY(mutex_);
};

class GradientMeanOp : public tf::ResourceOpKernel<GradientMean> {
 public:
  using ResourceOpKernel::ResourceOpKernel;

 private:
  absl::Status CreateResource(GradientMean** resource) override {
    *resource = new GradientMean;
    return absl::OkStatus();
  }
};

absl::Status find(tf::OpKernelContext* c, tf::core::RefCountPtr<GradientMean>* found) {
  return tf::LookupResource(c, tf::HandleFromInput(c, 0), found);
}

class SetGradientStepOp : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(tf::OpKernelContext* c) override {
    tf::core::RefCountPtr<GradientMean> mean;
    OP_REQUIRES_OK(c, find(c, &mean));
    mean->set_step(c->input(1).scalar<int64_t>()());
  }
};

class PushGradientOp : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(tf::OpKernelContext* c) override {
    tf::core::RefCountPtr<GradientMean> mean;
    OP_REQUIRES_OK(c, find(c, &mean));
    OP_REQUIRES_OK(c, mean->push(c->input(1).scalar<int64_t>()(), c->input(2)));
  }
};

class TakeGradientOp : public tf::AsyncOpKernel {
 public:
  using AsyncOpKernel::AsyncOpKernel;
  void ComputeAsync(tf::OpKernelContext* c, DoneCallback done) override {
    tf::core::RefCountPtr<GradientMean> mean;
    OP_REQUIRES_OK_ASYNC(c, find(c, &mean), done);
    mean->take(c->input(1).scalar<int32_t>()(), c, std::move(done));
  }
};

// The executor goes on with an operation that is cheap, and with what follows it alone, before it puts the next layer's
// gradient on the stack. It takes TensorFlow's own sending for expensive, until it has measured it for many steps:
// gradients, ready long before, were all sent at the end of the backward pass.
class HandOverOp : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;
  bool IsExpensive() override { return false; }
  void Compute(tf::OpKernelContext* c) override { c->set_output(0, c->input(0)); }
};

REGISTER_KERNEL_BUILDER(Name("MoxHandOver").Device(tf::DEVICE_DEFAULT), HandOverOp);
REGISTER_KERNEL_BUILDER(Name("MoxGradientMean").Device(tf::DEVICE_CPU), GradientMeanOp);
REGISTER_KERNEL_BUILDER(Name("MoxSetGradientStep").Device(tf::DEVICE_CPU), SetGradientStepOp);
REGISTER_KERNEL_BUILDER(Name("MoxPushGradient").Device(tf::DEVICE_CPU), PushGradientOp);
REGISTER_KERNEL_BUILDER(Name("MoxTakeGradient").Device(tf::DEVICE_CPU), TakeGradientOp);

}  // namespace
}  // namespace mox::kernels
