// MoxAllReduce: the mean of a bucket of tensors over all processes of the cluster, by this process's Exchanger.
#include <exception>

#include "cluster/exchangers.h"
#include "tensorflow/core/framework/cancellation.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;

// `exchanger`: a cluster::ExchangerNumber. `bucket`: its place in the order that all processes keep.
// Stateful: it must run in each step, and equal ones are not one.
REGISTER_OP("MoxAllReduce")
    .Input("inputs: N * float")
    .Output("means: N * float")
    .Attr("N: int >= 1")
    .Attr("exchanger: int")
    .Attr("bucket: int >= 0")
    .SetIsStateful()
    .SetShapeFn([](tf::shape_inference::InferenceContext* c) {
      for (int i = 0; i < c->num_inputs(); ++i) c->set_output(i, c->input(i));
      return absl::OkStatus();
    });

std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  }
}

class AllReduceOp : public tf::AsyncOpKernel {
 public:
  explicit AllReduceOp(tf::OpKernelConstruction* c) : AsyncOpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("exchanger", &exchanger_));
    OP_REQUIRES_OK(c, c->GetAttr("bucket", &bucket_));
  }

  // It only posts: else the executor would leave it for later, behind the rest of the backward pass.
  bool IsExpensive() override { return false; }

  void ComputeAsync(tf::OpKernelContext* c, DoneCallback done) override {
    cluster::Exchanger* const exchanger = cluster::find_exchanger(exchanger_);
    OP_REQUIRES_ASYNC(c, exchanger, absl::FailedPreconditionError("the cluster of this step has ended"), done);
    std::vector<cluster::Exchanger::Part> parts;
    for (int i = 0; i < c->num_inputs(); ++i) {
      tf::Tensor* mean = nullptr;
      const tf::Tensor& input = c->input(i);
      OP_REQUIRES_OK_ASYNC(c, c->forward_input_or_allocate_output({i}, i, input.shape(), &mean), done);
      parts.push_back(
          {input.flat<float>().data(), mean->flat<float>().data(), static_cast<size_t>(input.NumElements())});
    }
    // When another operation of the step fails, some bucket is never posted: those behind it would wait for ever.
    tf::CancellationManager* const cancellation = c->cancellation_manager();
    const tf::CancellationToken token = cancellation->get_cancellation_token();
    if (!cancellation->RegisterCallback(token, [exchanger] { exchanger->cancel(); })) exchanger->cancel();
    exchanger->post(bucket_, std::move(parts), [=, done = std::move(done)](const std::exception_ptr& error) {
      cancellation->DeregisterCallback(token);
      // No UNAVAILABLE: TensorFlow makes INTERNAL of it.
      if (error) c->SetStatus(absl::AbortedError(text_of(error)));
      done();
    });
  }

 private:
  int64_t exchanger_ = 0;
  int bucket_ = 0;
};

REGISTER_KERNEL_BUILDER(Name("MoxAllReduce").Device(tf::DEVICE_CPU), AllReduceOp);

}  // namespace
}  // namespace mox::kernels
