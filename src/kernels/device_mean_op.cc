// MoxDeviceMean: the means of a bucket of tensors over the devices of this process, in host memory: each gradient is
// read once and its mean written once, where a sum and a product of their own would pass over the sum again.
#include <algorithm>
#include <vector>

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;

// `inputs`: the N tensors of the first device, then those of the second …; all devices have the same shapes.
REGISTER_OP("MoxDeviceMean")
    .Input("inputs: total * T")
    .Output("means: N * T")
    .Attr("total: int >= 1")
    .Attr("N: int >= 1")
    .Attr("T: {half, bfloat16, float, double}")
    .SetShapeFn([](tf::shape_inference::InferenceContext* c) {
      for (int i = 0; i < c->num_outputs(); ++i) c->set_output(i, c->input(i));
      return absl::OkStatus();
    });

// Narrow types are summed in float and rounded once.
template <typename T>
struct SumType {
  using type = float;
};
template <>
struct SumType<double> {
  using type = double;
};

constexpr int64_t kBlock = 4096;  // elements whose sum stays in the first-level cache

// to[begin, end) = the mean of all `from`, summed in their order. `to` may be one of them.
template <typename T>
void mean_of(const std::vector<const T*>& from, T* to, int64_t begin, int64_t end) {
  using Sum = typename SumType<T>::type;
  const Sum factor = Sum(1) / static_cast<Sum>(from.size());
  Eigen::Array<Sum, Eigen::Dynamic, 1> sum(kBlock);
  for (int64_t at = begin; at < end; at += kBlock) {
    const int64_t count = std::min(kBlock, end - at);
    const auto part = [&](size_t i) {
      return Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>(from[i] + at, count).template cast<Sum>();
    };
    Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>> mean(to + at, count);
    if (from.size() == 2) {
      mean = ((part(0) + part(1)) * factor).template cast<T>();
      continue;
    }
    auto head = sum.head(count);
    head = part(0);
    for (size_t i = 1; i < from.size(); ++i) head += part(i);
    mean = (head * factor).template cast<T>();
  }
}

template <typename T>
class DeviceMeanOp : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(tf::OpKernelContext* c) override {
    const int tensors = c->num_outputs(), devices = c->num_inputs() / tensors;
    OP_REQUIRES(c, devices * tensors == c->num_inputs(),
                absl::InvalidArgumentError("some device has not as many gradients as the others"));
    const auto* const workers = c->device()->tensorflow_cpu_worker_threads();
    for (int i = 0; i < tensors; ++i) {
      std::vector<int> inputs;
      std::vector<const T*> from;
      const tf::TensorShape& shape = c->input(i).shape();
      for (int device = 0; device < devices; ++device) {
        inputs.push_back(device * tensors + i);
        const tf::Tensor& input = c->input(inputs.back());
        OP_REQUIRES(c, input.shape() == shape,
                    absl::InvalidArgumentError("a gradient is " + shape.DebugString() + " on the first device, " +
                                               input.shape().DebugString() + " on another"));
        from.push_back(input.flat<T>().data());
      }
      tf::Tensor* mean = nullptr;
      OP_REQUIRES_OK(c, c->forward_input_or_allocate_output(inputs, i, shape, &mean));
      T* const to = mean->flat<T>().data();
      tf::Shard(workers->num_threads, workers->workers, shape.num_elements(), 2 * devices,
                [&](int64_t begin, int64_t end) { mean_of<T>(from, to, begin, end); });
    }
  }
};

#define MOX_REGISTER(T) \
  REGISTER_KERNEL_BUILDER(Name("MoxDeviceMean").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), DeviceMeanOp<T>)
MOX_REGISTER(Eigen::half);
MOX_REGISTER(tf::bfloat16);
MOX_REGISTER(float);
MOX_REGISTER(double);
#undef MOX_REGISTER

}  // namespace
}  // namespace mox::kernels
